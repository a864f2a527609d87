"""A corpus of real haplotypes, pushed to a hub on loopback, made again as its card says."""

import re
import shutil

import pytest
from tests.pipeline.hub_server import only_hub

from helixlm.data.corpus.base import open_corpus
from helixlm.data.hub import fetch_corpus
from helixlm.pipeline.hub import push_corpus
from helixlm.pipeline.prepare import prepare

FASTA = "GRCh38_chr22_16.6-16.8M.padded.fa.gz"
VCF = "1000G_GRCh38_chr22_16.6-16.8M.vcf.gz"


@pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
def test_haplotypes(data, tmp_path, monkeypatch):
    corpus = prepare(
        "demo",
        tmp_path / "corpus",
        fasta=[data / "haplotypes" / FASTA],
        vcf=[data / "haplotypes" / VCF],
        species="Homo sapiens",
        assembly="GRCh38",
        overrides=["windows.kind=fixed", "windows.length_bp=500", "split.by=block",
                   "split.block_bp=20000"],
    )  # fmt: skip
    with only_hub(monkeypatch, tmp_path) as hub:
        folder = fetch_corpus("owner/chr22", push_corpus(corpus, "owner/chr22").revision)
        fetched = open_corpus(folder)
        card = hub.datasets["owner/chr22"].files["README.md"].decode()
    for split in ("train", "validation"):
        assert list(fetched.iter_windows(split)) == list(corpus.iter_windows(split))
    blocks = re.findall(r"^```yaml\n(.*?)^```", card, re.DOTALL | re.MULTILINE)
    work = tmp_path / "again"
    work.mkdir()
    for name in (FASTA, VCF, f"{VCF}.csi"):
        shutil.copy(data / "haplotypes" / name, work)
    for name, text in zip(("recipe.yaml", "sources.yaml"), blocks, strict=True):
        (work / name).write_text(text)
    again = prepare(work / "recipe.yaml", work / "corpus", sources=work / "sources.yaml")
    assert again.manifest.corpus_sha256 == corpus.manifest.corpus_sha256
