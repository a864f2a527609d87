"""From file to file: the table holds what the functions in memory give, for every kind of input."""

import csv
import gzip

import numpy as np
import pytest

from helixlm.errors import InputError, StateError
from helixlm.inference import classify, encode_rows, files, load, masked_probabilities, predict
from helixlm.inference.rows import TooLongError
from helixlm.rng import CounterRng


def dna(length, *key):
    return "".join("ACGTacgtN"[i] for i in CounterRng("files", *key).integers(0, 9, length))


TEXTS = {f"seq{i}": dna(n, i) for i, n in enumerate([9, 3, 20, 1, 14])}


def fasta(path, texts=TEXTS):
    path.write_text("".join(f">{name} x\n{text[:7]}\n{text[7:]}\n" for name, text in texts.items()))
    return path


def table(path, texts=TEXTS, column="name"):
    path.write_text(
        f"{column},sequence,label\n" + "".join(f"{name},{t},?\n" for name, t in texts.items())
    )
    return path


def read(path, delimiter=","):
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    header, *rows = csv.reader(text.splitlines(), delimiter=delimiter)
    return header, rows


@pytest.fixture(autouse=True)
def small_groups(monkeypatch):
    monkeypatch.setattr(files, "_GROUP_ROWS", 2)
    monkeypatch.setattr(files, "PIECE_BP", 8)


@pytest.mark.parametrize("make", [fasta, table], ids=["fasta", "csv"])
def test_classes(classifier_folder, tmp_path, make, device):
    source = make(tmp_path / ("in.fa" if make is fasta else "in.csv"))
    seen = []
    result = predict(
        classifier_folder,
        source,
        tmp_path / "out.csv",
        device=device,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert result == (tmp_path / "out.csv", 5, 5, 0)
    assert seen == [(2, None), (4, None), (5, None)]
    header, rows = read(result.output)
    assert header == ["name", "predicted", "p_exon", "p_intron, long", "p_other"]
    loaded = load(classifier_folder)
    expected = classify(loaded, encode_rows(loaded, list(TEXTS.values()), 5 * [""])[0])
    assert [row[0] for row in rows] == list(TEXTS)
    assert [row[1] for row in rows] == [loaded.labels[i] for i in expected.argmax(1)]
    np.testing.assert_allclose(np.array([r[2:] for r in rows], float), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("column", "names"), [("id", list(TEXTS)), ("x", ["0", "1", "2", "3", "4"])]
)
def test_names_of_rows(classifier_folder, tmp_path, column, names):
    source = table(tmp_path / "in.csv", column=column)
    _, rows = read(predict(load(classifier_folder), source, tmp_path / "out.csv").output)
    assert [row[0] for row in rows] == names


def test_tokens(masked_folder, tmp_path, device, monkeypatch):
    monkeypatch.setattr(files, "PIECE_BP", 1000)
    loaded = load(masked_folder)
    seen = []
    result = predict(
        loaded,
        fasta(tmp_path / "in.fa"),
        tmp_path / "out.tsv.gz",
        device=device,
        progress=lambda done, total: seen.append((done, total)),
    )
    header, rows = read(result.output, "\t")
    assert header[:4] == ["name", "token_index", "start", "end"]
    assert header[4:] == ["token", "probability", "best_token", "best_probability"]
    assert (result.num_sequences, result.num_rows) == (5, len(rows))
    assert seen[-1] == (len(rows), None)
    assert seen == sorted(seen)
    for name, text in TEXTS.items():
        found = masked_probabilities(loaded, text)
        mine = [row for row in rows if row[0] == name]
        assert [int(row[1]) for row in mine] == list(range(len(found.token_ids)))
        assert [int(row[2]) for row in mine] == found.starts.tolist()
        assert [int(row[3]) for row in mine] == found.ends.tolist()
        np.testing.assert_allclose([float(r[5]) for r in mine], found.probability, atol=1e-6)
        np.testing.assert_allclose([float(r[7]) for r in mine], found.best_probability, atol=1e-6)
        tokens = loaded.tokenizer.tokens
        assert [row[6] for row in mine] == [tokens[i] for i in found.best_ids]
        unk = tokens[loaded.tokenizer.special.unk]
        letters = "".join("N" if row[4] == unk else row[4] for row in mine)
        assert letters == text.upper()


def test_pieces_of_a_long_record_keep_their_coordinates(masked_folder, tmp_path):
    loaded = load(masked_folder)
    source = fasta(tmp_path / "in.fa", {"a": dna(19, "long"), "b": "ACGT"})
    result = predict(loaded, source, tmp_path / "out.csv")
    assert (result.num_sequences, result.num_cut) == (2, 0)
    _, rows = read(result.output)
    mine = [row for row in rows if row[0] == "a"]
    assert [int(row[1]) for row in mine] == list(range(len(mine)))
    assert [int(row[2]) for row in mine] == [0, *(int(row[3]) for row in mine[:-1])]
    assert int(mine[-1][3]) == 19
    second = masked_probabilities(loaded, dna(19, "long")[8:16])
    found = [float(row[5]) for row in mine if 8 <= int(row[2]) < 16]
    np.testing.assert_allclose(found, second.probability, atol=1e-6)


def test_too_long_for_a_classifier(classifier_folder, tmp_path, caplog):
    loaded = load(classifier_folder)
    longest = int(loaded.tokenizer.token_bp.max())
    texts = {"short": "ACGT", "few": "N" * 40, "many": "ACG" * 24 * longest, "last": "G"}
    source = fasta(tmp_path / "in.fa", texts)
    message = r"in\.fa: record 'few': the sequence has 42 tokens \(2 of them special\), .* most 24"
    with pytest.raises(TooLongError, match=message):
        predict(loaded, source, tmp_path / "out.csv")
    texts.pop("few")
    with pytest.raises(TooLongError, match=rf"record 'many': over {24 * longest} bases, expected"):
        predict(loaded, fasta(source, texts), tmp_path / "out.csv")
    with pytest.raises(TooLongError, match=r"in\.csv:3: the sequence has"):
        predict(loaded, table(tmp_path / "in.csv", texts), tmp_path / "out.csv")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.csv", "in.fa"]
    result = predict(loaded, source, tmp_path / "out.csv", truncate=True)
    assert result.num_cut == 1
    assert "1 of 3 sequences were cut to 24 tokens" in caplog.text
    _, rows = read(result.output)
    whole = tmp_path / "in.csv"
    _, same = read(predict(loaded, whole, tmp_path / "same.csv", truncate=True).output)
    assert rows == same


def test_errors_leave_no_table(classifier_folder, tmp_path):
    loaded = load(classifier_folder)
    output = tmp_path / "out.csv"
    for content, message in [
        ("sequence\nACGT\nAC-T\n", r"in\.csv:3: letter '-' at position 3"),
        ("sequence,x\nACGT,1\n,1\n", r"in\.csv:3: no sequence"),
        ("seq\nACGT\n", "no column 'sequence'"),
        ("sequence\n", r"in\.csv: no sequence to predict: expected at least one row"),
    ]:
        source = tmp_path / "in.csv"
        source.write_text(content)
        with pytest.raises(InputError, match=message):
            predict(loaded, source, output)
    with pytest.raises(InputError, match="input and output are the same file"):
        predict(loaded, source, source)
    assert not output.exists()


def test_a_table_that_is_there_is_never_overwritten(classifier_folder, tmp_path):
    output = tmp_path / "out.csv"
    output.write_text("old")
    with pytest.raises(StateError, match=r"out\.csv: exists already: delete it or choose another"):
        predict(load(classifier_folder), fasta(tmp_path / "in.fa", {"a": "ACGT"}), output)
    assert output.read_text() == "old"


@pytest.mark.parametrize("packed", [lambda text: text, gzip.compress])
@pytest.mark.parametrize("content", [b"##fileformat=VCFv4.2\n#CHROM\n", b"BCF\x02\x02"])
def test_variants_are_not_scored_yet(classifier_folder, tmp_path, content, packed):
    source = tmp_path / "people.vcf"
    source.write_bytes(packed(content))
    with pytest.raises(InputError, match=r"found variants .* variants are not scored yet: give"):
        predict(load(classifier_folder), source, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
