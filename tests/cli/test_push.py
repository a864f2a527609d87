"""`helixlm push`, and the verbs that read from the hub, against a hub on loopback."""

import shutil

import pytest
from tests.models.published import publish
from tests.pipeline.hub_server import only_hub

from helixlm.data.corpus.base import open_corpus
from helixlm.data.hub import fetch_corpus
from helixlm.data.simulate import simulate, small_config
from helixlm.data.store import open_store
from helixlm.pipeline.prepare import prepare
from helixlm.tokenizers.hf import load_tokenizer
from helixlm.tokenizers.kmer import nt_vocabulary

# Of huggingface_hub's own upload.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("push")
    world = simulate(folder / "world", small_config(seed=5))
    return prepare("demo", folder / "corpus", fasta=[world.fasta()]).path


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with only_hub(monkeypatch, tmp_path) as served:
        yield served


def test_help_has_an_example(helixlm):
    status, out, _ = helixlm("push", "--help")
    assert status == 0
    assert "Example: helixlm push corpus OWNER/NAME" in out


def test_push(helixlm, hub, corpus):
    status, out, err = helixlm("push", corpus, "alba/w", "--private", "--license", "mit")
    assert status == 0, err
    revision = hub.datasets["alba/w"].refs["main"]
    shards = len(open_corpus(corpus).manifest.files)
    assert out.splitlines() == [
        f"Wrote {hub.url}/datasets/alba/w: {shards + 3} file(s) sent, 0 deleted, revision "
        f"{revision[:12]}",
        'Load it: datasets.load_dataset("alba/w", split="train", streaming=True)',
        "Next: helixlm pretrain --recipe tinydnabert-mini --corpus alba/w -o RUN",
    ]
    assert hub.datasets["alba/w"].private
    assert b"license: mit" in hub.datasets["alba/w"].files["README.md"]
    _, out, _ = helixlm("push", corpus, "alba/w", "--private", "--license", "mit")
    assert f"0 file(s) sent, 0 deleted, revision {revision[:12]}" in out


def test_push_a_model(helixlm, hub, tmp_path):
    publish("nt-v2", tmp_path / "nt", vocab_size=4107)
    (tmp_path / "nt" / "vocab.txt").write_text("\n".join(nt_vocabulary(2)))
    status, out, err = helixlm("push", "nt", "alba/m", "--private", "--license", "mit")
    assert status == 0, err
    revision = hub.models["alba/m"].refs["main"]
    assert out.splitlines() == [
        f"Wrote {hub.url}/alba/m: 5 file(s) sent, 0 deleted, revision {revision[:12]}",
        'Load it: helixlm.load("alba/m")',
        f"Next: open {hub.url}/alba/m and complete its card",
    ]
    assert hub.models["alba/m"].private
    assert b"license: mit" in hub.models["alba/m"].files["README.md"]


def test_a_tokenizer_from_the_hub_is_that_from_the_folder(helixlm, hub, corpus):
    helixlm("push", corpus, "alba/w")
    options = ("--vocab-size", "40", "--min-frequency", "2")
    for source, output in (("alba/w", "fetched"), (corpus, "local")):
        status, _, err = helixlm("tokenizer", "train", "-i", source, *options, "-o", output)
        assert status == 0, err
    assert load_tokenizer("fetched").sha256 == load_tokenizer("local").sha256
    status, _, err = helixlm("tokenizer", "train", "-i", "alba/w", "--line-bp", "9", "-o", "none")
    assert status == 1
    assert "--line-bp belongs to FASTA, but no input is FASTA" in err


def test_pretrain_from_the_hub(helixlm, hub, corpus):
    helixlm("push", corpus, "alba/w")
    tiny = [
        "train.steps=2", "train.warmup_steps=1", "train.log_every=1", "train.validate_every=2",
        "train.validation_rows=4", "train.checkpoint_every=2", "train.micro_rows=2",
        "batches.rows=2", "model.hidden_size=16", "model.num_layers=1", "model.num_heads=2",
        "model.intermediate_size=32", "tokenizer.vocab_size=40",
    ]  # fmt: skip
    sets = [part for change in tiny for part in ("--set", change)]
    command = ("pretrain", "-r", "demo", "--corpus", "alba/w", "-o", "run", "--device", "cpu")
    status, _, err = helixlm(*command, *sets)
    assert status == 0, err
    manifest = open_corpus(fetch_corpus("alba/w")).manifest
    assert open_store("run/store").manifest.corpus_sha256 == manifest.corpus_sha256
    assert manifest.corpus_sha256 == open_corpus(corpus).manifest.corpus_sha256


def test_what_goes_wrong_is_one_line_and_status_1(helixlm, hub, corpus, tmp_path):
    shutil.copytree(corpus, tmp_path / "damaged")
    next((tmp_path / "damaged").glob("train/*.parquet")).unlink()
    for arguments, message in (
        (("push", "none", "alba/w"), "expected the manifest of a helixlm corpus"),
        (("push", "damaged", "alba/w"), "the file is missing, though manifest.json names it"),
        (("push", corpus, "w"), "w: expected OWNER/NAME"),
        (("push", corpus, "others/w"), "others/w: the token has no right to do this (403)"),
        (("pretrain", "--corpus", "alba/none", "-o", "run"), "alba/none: no such file or folder; "),
        (("pretrain", "--corpus", "none", "-o", "run"), "expected the manifest of a helixlm"),
        (("tokenizer", "train", "-i", "alba/none", "-o", "t"), "taken for a name on the hub: no "),
        (("tokenizer", "train", "-i", "damaged/none", "-o", "t"), "none: no such file or folder, "),
    ):
        status, _, err = helixlm(*arguments)
        assert status == 1
        assert err.count("error:") == 1
        assert message in err
    assert not hub.datasets
