"""What benchmarks are made of: inputs that fit together, and the arithmetic of the page."""

import importlib.util
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pysam
import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"


def load(name):
    """Import a script."""
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_simulated_inputs_fit_together(tmp_path, monkeypatch):
    genomes = load("genomes")
    monkeypatch.setattr(genomes, "CONTIG_BP", 400_000)
    rng = np.random.default_rng(1)
    letters = np.frombuffer(b"ACGTacgtN", np.uint8)[rng.integers(0, 9, 90_000)]
    rows = [["chr1", ".", "CDS", "11", "19", ".", "+", "0", "ID=cds;Parent=gene"]]
    genomes.write_inputs(genomes.World(letters, rows), tmp_path, 1, 5)
    inputs = genomes.inputs_in(tmp_path)
    with pysam.FastaFile(str(inputs.fasta[0])) as fasta:
        contigs = {name: fasta.fetch(name) for name in fasta.references}
    assert [len(text) for text in contigs.values()] == [400_000, 400_000, 200_000]
    tile = np.frombuffer(contigs["chr1"][90_000:180_000].encode(), np.uint8)
    assert 0.03 < np.mean(tile != letters) < 0.06
    assert np.array_equal(tile == ord("N"), letters == ord("N"))
    assert np.array_equal(tile >= ord("a"), letters >= ord("a"))
    fields = [line.split("\t") for line in inputs.gff.read_text().splitlines()[1:]]
    assert [(row[0], int(row[3])) for row in fields[:5]] == [
        ("chr1", 11), ("chr1", 90_011), ("chr1", 180_011), ("chr1", 270_011), ("chr2", 11),
    ]  # fmt: skip
    assert len({row[8] for row in fields}) == len(fields) == 10
    with pysam.VariantFile(str(inputs.vcf)) as vcf:
        records = list(vcf)
    assert {record.contig for record in records} == set(contigs)
    for record in records:
        assert contigs[record.contig][record.start : record.stop].upper() == record.ref
    assert {len(record.ref) for record in records} == {1, 4}


@pytest.fixture
def args():
    """Return round rates."""
    return Namespace(
        fasta_bytes=0.25, reading=0.36, training=3.6, training_bytes=2, encoding=7.2, record=1.8,
        bases_a_token=5, bytes_a_token=2, workers=64, machine_cores=16,
    )  # fmt: skip


def test_the_arithmetic_of_a_project(args):
    """By hand: 10 Gbp, every base in two windows of half a byte, 1.08 s of prepare a Mbp."""
    scaling = load("scaling")
    run = {"bases": 2e6, "corpus_bases": 4e6, "corpus_bytes": 2e6, "processor": 2.16}
    project = scaling.Project("ten", 5, 10, "fixed", copies=3, more_gb=1, records_m=2)
    letters, corpus, vocabulary, store = scaling.stages(project, run, args)
    assert letters == pytest.approx(("letters", 1.0, 2.5, 10, 5))
    # 10,000 Mbp x 3 x 0.72 s, and 2 million records x 1.8 ms
    assert corpus[1:4] == pytest.approx((7.0, 31, 30))
    assert vocabulary[1:] == pytest.approx((60.0, 30, 0, 16))
    assert store[1:] == pytest.approx((120.0, 30, 24, 16))
    found = [letters, corpus, vocabulary, store]
    assert scaling.disk(project, found) == [
        "ten", "3.5 GB", "10.0 GB", "30.0 GB", "24.0 GB", "57.5 GB",
    ]  # fmt: skip
    assert scaling.work(project, found)[-1] == "188.00"
    cells = scaling.cluster(project, found, args)
    assert cells[1] == "12.0 min on 5, 0.02 GB/s"
    assert cells[-1] == "token store: 16 of 64 workers are of use"
