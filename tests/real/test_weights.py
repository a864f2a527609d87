"""Weights on real genomes: three species balanced, and yeast with its repeats weighed down."""

import numpy as np
import pytest
from tests.real.test_genomes import plain_reader

from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.corpus.weights import WeightConfig
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import FixedWindows

WINDOWS = FixedWindows(length_bp=500)
SPLIT = SplitConfig(by="block", block_bp=50_000)


def test_three_species_of_other_sizes_get_the_same_number_of_bases(data, tmp_path):
    files = {
        "Saccharomyces cerevisiae": "yeast/S_cerevisiae.SGD.softmasked.fa.gz",
        "Escherichia coli": "species/ecoli_K12_GCF_000005845.2.fna.gz",
        "Caenorhabditis elegans": "species/celegans_chrI_1Mb.softmasked.fa.gz",
    }
    sources = [Source(fasta=data / file, species=name) for name, file in files.items()]
    found = {}
    for exponent in (1, 0.3, 0):
        manifest = prepare_corpus(
            sources,
            tmp_path / str(exponent),
            windows=WINDOWS,
            split=SPLIT,
            weights=WeightConfig(species_exponent=exponent),
        )
        bases = np.array([source.tallies["train"].bases for source in manifest.sources])
        sizes = np.array([float(source.num_bases) for source in manifest.sources])
        # Held out are blocks, so a genome of 20 of them is not reduced by exactly a tenth.
        expected = (sizes / sizes.sum()) ** exponent
        np.testing.assert_allclose(bases / bases.sum(), expected / expected.sum(), rtol=0.06)
        found[exponent] = bases
    assert found[0].sum() == pytest.approx(found[1].sum(), rel=0.06)
    assert found[1].max() / found[1].min() > 10


def test_repeats_of_yeast_weigh_a_tenth(data, tmp_path):
    path = data / "yeast" / "S_cerevisiae.SGD.softmasked.fa.gz"
    genome = plain_reader(path)
    masked = {
        name: np.frombuffer(text.encode(), np.uint8) >= ord("a") for name, text in genome.items()
    }
    regions = tmp_path / "repeats.bedgraph"
    with regions.open("w") as stream:
        for name, flags in masked.items():
            edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
            for start, end in edges.reshape(-1, 2).tolist():
                stream.write(f"{name}\t{start}\t{end}\t0.1\n")
    prepare_corpus([Source(fasta=path)], tmp_path / "plain", windows=WINDOWS, split=SPLIT)
    source = Source(fasta=path, weights=regions)
    prepare_corpus([source], tmp_path / "weighed", windows=WINDOWS, split=SPLIT)
    plain, weighed = (open_corpus(tmp_path / name) for name in ("plain", "weighed"))
    rows = list(plain.iter_windows("train"))
    expected = np.array([1 - 0.9 * masked[row.contig][row.start : row.end].mean() for row in rows])
    kept = {(row.contig, row.start) for row in weighed.iter_windows("train")}
    found = np.array([(row.contig, row.start) in kept for row in rows])
    assert kept < {(row.contig, row.start) for row in rows}
    assert found[expected == 1].all()
    for low, high in ((0.1, 0.6), (0.6, 0.9), (0.9, 1)):
        chosen = (low <= expected) & (expected < high)
        error = np.sqrt((expected * (1 - expected))[chosen].sum())
        assert abs(found[chosen].sum() - expected[chosen].sum()) < 4 * error
        assert chosen.sum() > 30
    assert list(weighed.iter_windows("validation")) == list(plain.iter_windows("validation"))
