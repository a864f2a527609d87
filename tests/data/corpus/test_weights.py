"""Weights of windows: against slow definitions, statistical bounds and hand-worked corpora."""

import math
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats

from helixlm.data.corpus import weights as weights_module
from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.corpus.weights import (
    GenomeWeights,
    WeightConfig,
    WeightError,
    WindowWeights,
    balance_factors,
    contig_weights,
    num_bases,
    plan_weights,
    regions_file,
)
from helixlm.data.formats.bedgraph import BedGraphError
from helixlm.data.genome import Genome
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.unfinished import SCRATCH
from helixlm.data.windows import FixedWindows, Window
from helixlm.errors import StateError
from helixlm.rng import CounterRng
from helixlm.seq.ops import reverse_complement

LENGTHS = {"chr1": 90, "chr2": 40}
WINDOWS = FixedWindows(length_bp=100)


def letters(name, length):
    return "".join("ACGT"[i] for i in CounterRng("weights", name).integers(0, 4, length).tolist())


def write_genome(folder, name, lengths):
    path = folder / f"{name}.fa"
    path.write_text("".join(f">{c}\n{letters(name + c, n)}\n" for c, n in lengths.items()))
    return path


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("genome")
    return Genome.from_fasta([write_genome(folder, "g", LENGTHS)], folder / "genome")


@st.composite
def region_files(draw):
    """A bedGraph file, and the weight of each base that it means."""
    text, by_base = "", {contig: np.ones(length) for contig, length in LENGTHS.items()}
    for contig in draw(st.permutations(list(LENGTHS)))[: draw(st.integers(1, 2))]:
        places = sorted(draw(st.lists(st.integers(0, LENGTHS[contig]), min_size=2, max_size=12)))
        for start, end in pairwise(places):
            value = draw(st.sampled_from([0, 0.1, 0.5, 1, 1.25, 3, 1e6]))
            if draw(st.booleans()):
                text += f"{contig}\t{start}\t{end}\t{value}\n"
                by_base[contig][start:end] = value
    return text or "chr1 0 0 5\n", by_base


@settings(deadline=None, max_examples=200)
@given(region_files(), st.data())
def test_the_weight_of_a_window_is_the_mean_over_its_bases(tmp_path_factory, genome, file, data):
    text, by_base = file
    work = tmp_path_factory.getbasetemp() / "work"
    (work / SCRATCH).mkdir(parents=True, exist_ok=True)
    path = work / "regions.bedgraph"
    path.write_text(text)
    source = Source(fasta="g.fa", weights=path, weight=2)
    (factors,) = plan_weights(work, [source], [genome], WeightConfig(contigs={"chr2": 0.25}))
    weights = WindowWeights(factors, regions_file(work, 0), "", 0)
    for contig, factor in (("chr1", 2), ("chr2", 0.5)):
        start = data.draw(st.integers(0, LENGTHS[contig] - 1))
        end = data.draw(st.integers(start + 1, LENGTHS[contig]))
        expected = factor * by_base[contig][start:end].mean()
        assert weights.weight(contig, start, end) == pytest.approx(expected, rel=1e-12, abs=0)


def test_rows_that_are_written_in_several_parts(tmp_path, genome, monkeypatch):
    monkeypatch.setattr(weights_module, "_WRITTEN_AT_ONCE", 4)
    (tmp_path / SCRATCH).mkdir()
    path = tmp_path / "a.bedgraph"
    lines = [f"{contig} {i} {i + 1} {i}\n" for contig in LENGTHS for i in range(0, 40, 2)]
    path.write_text("".join(lines))
    (factors,) = plan_weights(
        tmp_path, [Source(fasta="g.fa", weights=path)], [genome], WeightConfig()
    )
    weights = WindowWeights(factors, regions_file(tmp_path, 0), "", 0)
    for contig in LENGTHS:
        assert [weights.weight(contig, i, i + 1) for i in range(40)] == [
            1 if i % 2 else i for i in range(40)
        ]


def of_weight(weight, seed=0):
    factors = GenomeWeights(species=weight, balance=1, contigs={}, regions={})
    return WindowWeights(factors, Path(), "", seed)


@pytest.mark.parametrize("weight", [0.03, 0.5, 0.97, 1.25, 3.9])
def test_the_mean_number_of_copies_is_the_weight(weight):
    weights = of_weight(weight)
    places = [Window("chr1", start, start + 50, "") for start in range(0, 200_000, 50)]
    copies = [weights.copies("train", window) for window in places]
    whole = math.floor(weight)
    assert set(copies) == {whole, whole + 1}
    more = [number - whole for number in copies]
    share = weight - whole
    assert stats.binomtest(sum(more), len(more), share).pvalue > 1e-3
    # Which windows get one more depends on no order: tenths of the contig have alike many.
    tenths = np.reshape(more, (10, -1)).sum(axis=1)
    table = [tenths, len(more) // 10 - tenths]
    assert stats.chi2_contingency(table).pvalue > 1e-3
    assert copies == [weights.copies("train", window) for window in places]
    assert copies != [of_weight(weight, seed=1).copies("train", window) for window in places]
    assert {weights.copies("validation", window) for window in places} == {1}


def test_whole_weights_are_exact():
    window = Window("chr1", 0, 50, "")
    assert [of_weight(n).copies("train", window) for n in (0, 1, 2, 7)] == [0, 1, 2, 7]


@given(
    st.lists(st.integers(0, 10**10), min_size=1, max_size=8),
    st.floats(0, 1),
)
@example([0, 0], 0.5)
@example([5, 0], 0.0)
def test_balance_is_the_smoothing_of_multilingual_models(bases, exponent):
    factors = balance_factors(bases, exponent)
    known = np.array([n for n in bases if n], float)
    given_share = known / known.sum()  # q_i = p_i^a / sum_j p_j^a, arXiv 1901.07291, equation 1
    expected = given_share**exponent / (given_share**exponent).sum()
    found = np.array([n * f for n, f in zip(bases, factors, strict=True) if n])
    np.testing.assert_allclose(found / known.sum(), expected, rtol=1e-9)
    assert all(f == 1 for n, f in zip(bases, factors, strict=True) if not n)


def test_exponents_of_one_and_of_none():
    assert balance_factors([3, 7, 123], 1) == [1.0, 1.0, 1.0]
    bases = [10**9, 10**6, 5]
    equal = [n * f for n, f in zip(bases, balance_factors(bases, 0), strict=True)]
    assert equal == pytest.approx([sum(bases) / 3] * 3)


def test_the_size_of_a_genome_is_its_letters_other_than_n(tmp_path):
    (tmp_path / "a.fa").write_text(">a\nACGTNNnnRYac\n>b\nNNNN\n>c\nT\n")
    (tmp_path / "b.fa").write_text(">d\nnGGn\n")
    files = [tmp_path / "a.fa", tmp_path / "b.fa"]
    assert num_bases(Genome.from_fasta(files, tmp_path / "genome")) == 8 + 1 + 2


CONTIGS = ["chr1", "chrM", "chrUn_1", "chrUn_22", "HLA-A*01", "HLA-A*02:01"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {}),
        ({"chrM": 0}, {"chrM": 0}),
        ({"chrUn_*": 0.2}, {"chrUn_1": 0.2, "chrUn_22": 0.2}),
        ({"chrUn_?": 0.2}, {"chrUn_1": 0.2}),
        ({"chr[1M]": 3}, {"chr1": 3, "chrM": 3}),
        ({"*": 0, "chr1": 1}, {**dict.fromkeys(CONTIGS, 0), "chr1": 1}),
        ({"chr1": 1, "*": 0}, dict.fromkeys(CONTIGS, 0)),
        ({"HLA-A*01": 2}, {"HLA-A*01": 2}),
        ({"HLA-A*": 2}, {"HLA-A*01": 2, "HLA-A*02:01": 2}),
    ],
)
def test_patterns_of_contigs(asked, expected):
    assert contig_weights(WeightConfig(contigs=asked), CONTIGS) == expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CHR1", "weights.contigs: no contig 'CHR1': found 'chr1'; use the names of the genome"),
        ("M", "weights.contigs: no contig 'M': found 'chrM'; use the names of the genome"),
        (
            "chrV_*",
            "weights.contigs: no contig 'chrV_*': found 'chrUn_1', 'chrM', 'chr1' and others",
        ),
    ],
)
def test_names_and_patterns_that_match_no_contig(name, message):
    with pytest.raises(WeightError) as caught:
        contig_weights(WeightConfig(contigs={"chr1": 2, name: 1}), CONTIGS)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"contigs": {"chr1": -1}}, "greater than or equal to 0"),
        ({"contigs": {"chr1": math.inf}}, "finite number"),
        ({"contigs": {"chr1": math.nan}}, "finite number|greater than"),
        ({"species_exponent": -0.1}, "greater than or equal to 0"),
        ({"species_exponent": 1.1}, "less than or equal to 1"),
        ({"exponent": 1}, "Extra inputs"),
    ],
)
def test_settings_that_are_no_weights(settings, message):
    with pytest.raises(ValidationError, match=message):
        WeightConfig(**settings)


def rows_of(folder, split="train"):
    return list(open_corpus(folder).iter_windows(split))


def bases_of(manifest, number):
    return manifest.sources[number].tallies["train"].bases


@pytest.fixture
def pair(tmp_path):
    """A large and a small genome, and what holds out a fifth of each."""
    sources = []
    for name, length in (("large", 240_000), ("small", 40_000)):
        lengths = {f"chr{i}": length // 5 for i in range(5)}
        sources.append(Source(fasta=write_genome(tmp_path, name, lengths), species=name))
    return sources, SplitConfig(validation_contigs=("large:chr0", "small:chr0"))


@pytest.mark.parametrize(("exponent", "share"), [(0, 1 / 2), (0.7, 0.2220), (0.3, 0.3688)])
def test_species_are_balanced(pair, tmp_path, exponent, share):
    """Shares by hand: of p = 1/7 and 6/7, (1/7)**a / ((1/7)**a + (6/7)**a)."""
    sources, split = pair
    plain = prepare_corpus(sources, tmp_path / "plain", windows=WINDOWS, split=split, seed=1)
    config = WeightConfig(species_exponent=exponent)
    made = prepare_corpus(
        sources, tmp_path / "made", windows=WINDOWS, split=split, weights=config, seed=1
    )
    whole = made.splits["train"].num_bases
    # Copies of 2,240 windows are drawn: four standard deviations are at most 95 windows.
    error = 4 * math.sqrt(2240 / 4) * 100
    assert bases_of(made, 1) == pytest.approx(share * 224_000, abs=error)
    assert whole == pytest.approx(224_000, abs=error)
    assert plain.splits["train"].num_bases == 224_000
    assert made.splits["validation"] == plain.splits["validation"]
    assert [source.num_bases for source in made.sources] == [240_000, 40_000]
    assert [source.weight for source in made.sources] == [1, 1]
    expected = [(1 - share) / (6 / 7), share / (1 / 7)]
    assert [source.balance for source in made.sources] == pytest.approx(expected, abs=1e-3)
    assert [source.balance for source in plain.sources] == [1, 1]


def test_weights_of_one_change_no_byte(pair, tmp_path):
    (large, small), split = pair
    plain = prepare_corpus([large, small], tmp_path / "plain", windows=WINDOWS, split=split)
    ones = tmp_path / "ones.bedgraph"
    ones.write_text("chr1\t17\t1234\t1\nchr3\t0\t5000\t1.0\n")
    weighed = prepare_corpus(
        [large.model_copy(update={"weights": ones}), small],
        tmp_path / "ones",
        windows=WINDOWS,
        split=split,
        weights=WeightConfig(species_exponent=1, contigs={"*": 1}),
    )
    assert weighed.splits == plain.splits  # hashes of all files
    assert weighed.dropped_bases == plain.dropped_bases


def test_whole_weights_of_regions_and_contigs(tmp_path):
    lengths = {"chr1": 1000, "chr2": 500, "chrM": 300, "held": 400}
    path = tmp_path / "regions.bedgraph"
    path.write_text("chr1 0 200 3\nchr1 400 600 0\nchr1 950 1000 5\nheld 0 400 0\nchrM 0 9 7\n")
    source = Source(fasta=write_genome(tmp_path, "g", lengths), weights=path)
    manifest = prepare_corpus(
        [source],
        tmp_path / "corpus",
        windows=WINDOWS,
        split=SplitConfig(validation_contigs=("held",)),
        weights=WeightConfig(contigs={"chr*": 2, "chrM": 0, "chr1": 1, "held": 9}),
    )
    found = Counter((row.contig, row.start) for row in rows_of(tmp_path / "corpus"))
    expected = dict.fromkeys([("chr1", start) for start in range(0, 1000, 100)], 1)
    expected |= {("chr1", 0): 3, ("chr1", 100): 3, ("chr1", 900): 3}  # the last: (50 + 5 * 50) / 2
    del expected["chr1", 400], expected["chr1", 500]
    expected |= dict.fromkeys([("chr2", start) for start in range(0, 500, 100)], 2)
    assert found == expected
    assert [row.start for row in rows_of(tmp_path / "corpus", "validation")] == [0, 100, 200, 300]
    assert manifest.dropped_bases["weight"] == 200 + 300
    assert manifest.sources[0].others[0].kind == "weights"
    assert manifest.weights.contigs["chrM"] == 0


def test_contigs_of_several_genomes(pair, tmp_path):
    sources, split = pair
    config = WeightConfig(contigs={"*:chr1": 0, "small:*": 2})
    prepare_corpus(sources, tmp_path / "corpus", windows=WINDOWS, split=split, weights=config)
    found = Counter(row.contig for row in rows_of(tmp_path / "corpus"))
    assert found == {
        **{f"large:chr{i}": 480 for i in (2, 3, 4)},
        **{f"small:chr{i}": 160 for i in (1, 2, 3, 4)},
    }
    config = WeightConfig(contigs={"chr1": 0})
    with pytest.raises(
        WeightError, match=r"weights.contigs: no contig 'chr1': found 'large:chr0', '"
    ):
        prepare_corpus(sources, tmp_path / "c", windows=WINDOWS, split=split, weights=config)


@pytest.mark.parametrize("remove", ["exact", "near"])
def test_copies_are_made_of_windows_that_repeat_no_other(tmp_path, remove):
    text = {name: letters(name, 1000) for name in ("chr1", "chr2", "held")}
    genome = {
        "chr0": text["chr1"][:300],  # left out by its weight, so that chr1 repeats nothing
        "chr1": text["chr1"] + reverse_complement(text["held"][200:400]),
        "chr2": text["chr1"][500:600] + text["chr2"],
        "held": text["held"],
    }
    fasta = tmp_path / "g.fa"
    fasta.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in genome.items()))
    manifest = prepare_corpus(
        [Source(fasta=fasta, weight=2)],
        tmp_path / "corpus",
        windows=WINDOWS,
        split=SplitConfig(validation_contigs=("held",)),
        weights=WeightConfig(contigs={"chr0": 0, "chr2": 1.5}),
        duplicates=DuplicateConfig(remove=remove),
    )
    rows = rows_of(tmp_path / "corpus")
    expected = Counter({("chr1", start): 2 for start in range(0, 1000, 100)})
    expected.update({("chr2", start): 3 for start in range(100, 1100, 100)})
    assert Counter((row.contig, row.start) for row in rows) == expected
    assert len(rows_of(tmp_path / "corpus", "validation")) == 10
    assert manifest.dropped_bases["weight"] == 300
    assert manifest.dropped_bases["duplicate"] == 200 + 100
    assert manifest.sources[0].tallies["train"].windows == 50


def test_a_file_of_weights_that_does_not_fit_stops_before_the_work(tmp_path):
    path = tmp_path / "a.bedgraph"
    path.write_text("chr7\t0\t10\t2\n")
    fasta = write_genome(tmp_path, "g", {"chr1": 500, "chr2": 500})
    with pytest.raises(BedGraphError, match=r"a.bedgraph:1: no contig 'chr7': found 'chr"):
        prepare_corpus([Source(fasta=fasta, weights=path)], tmp_path / "c", windows=WINDOWS)
    assert not list(tmp_path.glob(".c*"))


def test_other_weights_for_a_finished_corpus_are_refused(tmp_path):
    fasta = write_genome(tmp_path, "g", {"chr1": 500, "chr2": 500})
    path = tmp_path / "a.bed"
    path.write_text("chr1\t0\t400\t2\nchr2\t0\t500\t1\n")

    def make(contigs, **files):
        return prepare_corpus(
            [Source(fasta=fasta, **files)],
            tmp_path / "corpus",
            windows=WINDOWS,
            weights=WeightConfig(**contigs),
        )

    made = make({"contigs": {"*": 1, "chr1": 2}}, weights=path)
    assert make({"contigs": {"*": 1, "chr1": 2}}, weights=path) == made
    with pytest.raises(StateError, match=r"weights.contigs \(\[\('\*', 1.0\), \('chr1', 2.0\)\]"):
        make({"contigs": {"chr1": 2, "*": 1}}, weights=path)
    with pytest.raises(StateError, match=r"weights.species_exponent \(1.0 there, 0.5 now\)"):
        make({"contigs": {"*": 1, "chr1": 2}, "species_exponent": 0.5}, weights=path)
    with pytest.raises(StateError, match=r"other files \(\['weights'\] there, \['bed'\] now\)"):
        make({"contigs": {"*": 1, "chr1": 2}}, bed=path)
