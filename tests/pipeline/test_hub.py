"""Corpora pushed to a hub on loopback and read back from there, and what goes wrong on the way."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard, constants

from helixlm.data.corpus import open_corpus
from helixlm.errors import StateError
from helixlm.pipeline import hub as hub_module
from helixlm.pipeline.hub import HubError, fetch_corpus, find_corpus, push_corpus
from helixlm.pipeline.prepare import prepare
from helixlm.rng import CounterRng
from tests.pipeline.hub_server import TOKEN, serve_hub

# Of huggingface_hub's own upload.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NAME = "alba/windows"


def letters(seed, count):
    return "".join("ACGT"[i] for i in CounterRng("letters", seed).integers(0, 4, count))


@pytest.fixture(scope="session")
def corpora(tmp_path_factory):
    """Two corpora: the first has a shard more."""
    folder = tmp_path_factory.mktemp("corpora")
    made = []
    for number, genomes in enumerate((("a", "b", "c"), ("d", "e"))):
        listed = []
        for genome in genomes:
            path = folder / f"{genome}.fa"
            path.write_text(
                "".join(f">chr{i}\n{letters(genome + str(i), 4000)}\n" for i in (1, 2, 3))
            )
            listed.append(f"{{species: {genome}, fasta: {path}}}")
        (folder / "genomes.yaml").write_text(f"[{', '.join(listed)}]")
        made.append(
            prepare(
                "demo",
                folder / f"corpus{number}",
                sources=folder / "genomes.yaml",
                overrides=["split.by=block", "split.block_bp=1000", "split.validation_fraction=0.4"],
            )
        )
    return made


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub, and clients in this process that know of no other."""
    with serve_hub() as served:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        for key, value in {
            "ENDPOINT": served.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": served.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(tmp_path / "cache"),
            "HF_TOKEN_PATH": str(tmp_path / "token"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
        }.items():
            monkeypatch.setattr(constants, key, value)
        yield served


def rows_of(folder, split):
    files = sorted(Path(folder).glob(f"{split}/*.parquet"))
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def test_push_and_fetch(hub, corpora):
    corpus = corpora[0]
    done = push_corpus(corpus, NAME)
    assert done.url == f"{hub.url}/datasets/{NAME}"
    dataset = hub.datasets[NAME]
    assert done.revision == dataset.refs["main"]
    assert not dataset.private
    shards = [record.file for record in corpus.manifest.files]
    assert set(dataset.files) == {
        ".gitattributes", "README.md", "manifest.json", "report.html", *shards,
    }  # fmt: skip
    assert (done.sent, done.deleted) == (len(shards) + 3, 0)
    for shard in [*shards, "report.html"]:
        assert dataset.files[shard] == (corpus.path / shard).read_bytes()
    folder = fetch_corpus(NAME)
    assert folder.name == done.revision
    fetched = open_corpus(folder)
    fetched.verify()
    assert fetched.manifest.corpus_sha256 == corpus.manifest.corpus_sha256
    for split in ("train", "validation"):
        assert rows_of(folder, split) == rows_of(corpus.path, split)
        assert list(fetched.iter_windows(split)) == list(corpus.iter_windows(split))
