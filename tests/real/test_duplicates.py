"""Duplicates and leaks in real sequence: what is removed, published leaks, splits by group."""

import re

import pytest

from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.formats.fasta import iter_chunks
from helixlm.data.similarity.duplicates import Duplicate, DuplicateConfig, remove_duplicates
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.similarity.sequence_files import SequenceFiles
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import Window

COMPLEMENT = str.maketrans("ACGT", "TGCA")
# Low-copy repeats A, B and D of 22q11 in hg19, bp, with their edges rounded outwards.
LOW_COPY_REPEATS = [(18_640_000, 19_025_000), (20_128_000, 20_735_000), (21_360_000, 21_920_000)]


def kmers(text, k=21):
    words = (text[i : i + k] for i in range(len(text) - k + 1))
    return {min(word, word.translate(COMPLEMENT)[::-1]) for word in words}


@pytest.fixture(scope="module")
def windows(data):
    """Side by side, 1,000 bp without N."""
    found = []
    for path in sorted((data / "human").glob("*.fa.gz")):
        for chunk in iter_chunks(path):
            for piece in re.finditer("[^Nn]+", chunk.sequence):
                for i in range(piece.start(), piece.end() - 999, 1000):
                    start = chunk.start + i
                    text = chunk.sequence[i : i + 1000]
                    found.append(Window(f"{path.name[:10]}", start, start + 1000, text))
    return found


@pytest.fixture(scope="module")
def removed(windows):
    passed = remove_duplicates(windows, DuplicateConfig(remove="near"))
    return [item for item in passed if isinstance(item, Duplicate)]


def test_what_is_removed_of_the_human_pieces(windows, removed):
    assert len(windows) == 15_026
    assert len(removed) == 228
    assert {duplicate.reason for duplicate in removed} == {"near"}
    for duplicate in removed:
        own = kmers(duplicate.window.sequence.upper())
        share = len(own & kmers(windows[duplicate.of].sequence.upper())) / len(own)
        assert share == duplicate.containment >= 0.8


def test_removed_windows_of_chr22_are_its_low_copy_repeats(windows, removed):
    pairs = [(d.window, windows[d.of]) for d in removed if d.window.contig == "hg19_chr22"]
    assert len(pairs) == 224
    for pair in pairs:
        for window in pair:
            assert any(low <= window.start < high for low, high in LOW_COPY_REPEATS)


def test_samples_overlook_nothing_here(windows, removed):
    chr22 = [window for window in windows if window.contig == "hg19_chr22"]
    for config in (
        DuplicateConfig(remove="near", scale=1),
        DuplicateConfig(remove="near", scale=64),
    ):
        found = [d.window for d in remove_duplicates(chr22, config) if isinstance(d, Duplicate)]
        assert found == [d.window for d in removed if d.window.contig == "hg19_chr22"]


@pytest.mark.parametrize(
    ("task", "percent"), [("prom_core_tata", 2.61), ("prom_core_notata", 0.57), ("tf/1", 0.10)]
)
def test_test_sequences_found_verbatim_in_training_data(data, task, percent):
    """The shares were counted before, by comparing the texts."""
    folder = data / "gue" / (task if "/" in task else f"prom/{task}")
    files = SequenceFiles([folder / "train.csv.gz"], [folder / "test.csv.gz"])
    report = check_leaks(files, near=0.5, places=False)
    assert 100 * report.validation["identical"] / report.num_validation == pytest.approx(
        percent, abs=0.005
    )
    assert report.validation["near"] > 0


def test_groups_take_the_leaks_of_chr22_away(data, tmp_path):
    path = data / "human" / "hg19_chr22_1-22000000.softmasked.fa.gz"
    leaking = {}
    for by in ("block", "group"):
        split = SplitConfig(by=by, block_bp=100_000, validation_fraction=0.2)
        prepare_corpus([Source(fasta=path)], tmp_path / by, split=split)
        report = check_leaks(open_corpus(tmp_path / by), near=0.5)
        assert report.overlapping == 0
        leaking[by] = report.num_leaking_validation / report.num_validation
    assert leaking["block"] > 0.1
    assert leaking["group"] < 0.005
