"""`helixlm convert`, from a folder as it is published and from the hub."""

from tests.models.published import publish

from helixlm.tokenizers.kmer import nt_vocabulary


def test_convert(helixlm, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    publish("nt-v2", tmp_path / "nt", vocab_size=4107)
    (tmp_path / "nt" / "vocab.txt").write_text("\n".join(nt_vocabulary(2)))
    status, out, err = helixlm("convert", "nt", "-o", "new")
    assert status == 0, err
    assert out.splitlines() == [
        "Wrote new: 209,811 parameters, as HelixlmForMaskedLM",
        'Load it: import helixlm; transformers.AutoModelForMaskedLM.from_pretrained("new")',
        "Next: helixlm finetune new --train train.csv --test test.csv -o tuned",
    ]
    status, _, err = helixlm("convert", "nt", "-o", "new")
    assert status == 1
    assert "error: " in err
    status, out, _ = helixlm("convert", "--help")
    assert "Example: helixlm convert zhihan1996/DNABERT-2-117M -o dnabert2" in out
