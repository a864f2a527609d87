"""dnaGrinder's selection on soft-masked human sequence, against a plain reading of the letters."""

import functools

import numpy as np
import pytest

from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.formats.fasta import iter_chunks
from helixlm.data.repeats import find_threshold, find_unmasked, report_repeats, select_pieces
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import Dropped, RepeatFreeWindows, cut

PIECES = {
    "chr2": "hg38_chr2_1-2333275.softmasked.fa.gz",
    "chr22": "hg19_chr22_1-22000000.softmasked.fa.gz",
    "chr20": "hg18_chrM_chr20_1-1000000.softmasked.fa.gz",
}


@pytest.fixture(scope="module", params=PIECES)
def human(request, data):
    name = request.param
    names = (name, name.removeprefix("chr"))
    chunks = [c for c in iter_chunks(data / "human" / PIECES[name]) if c.contig in names]
    text = "".join(chunk.sequence for chunk in chunks)
    assert text
    return name, np.frombuffer(text.encode(), np.uint8)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3])
def test_the_threshold_keeps_the_share_that_is_wanted(human, share):
    name, letters = human
    masked = find_unmasked(letters)
    # Of chr22, 16 of 22 Mbp are N.
    known = 1 - (masked.gap_ends - masked.gap_starts).sum() / len(letters)
    threshold = find_threshold(masked, share * known)
    report = report_repeats(name, masked, select_pieces(masked, threshold))
    print(report.model_dump_json())
    above = select_pieces(masked, threshold + 1).kept_bp / len(letters)
    assert report.kept_fraction >= share * known > above
    # Few runs have the same length, so the share changes by few pieces from step to step.
    assert report.kept_bp - share * known * len(letters) < 3 * 12_200


def test_pieces_hold_less_repeat_than_the_sequence_does(human):
    name, letters = human
    masked = find_unmasked(letters)
    selection = select_pieces(masked, 1150)  # the paper's threshold for chromosome 1
    report = report_repeats(name, masked, selection)
    print(report.model_dump_json())
    is_masked = (letters >= ord("a")) & (letters != ord("n"))
    is_n = (letters == ord("N")) | (letters == ord("n"))
    kept = np.zeros(len(letters), bool)
    for start in selection.starts.tolist():
        kept[start : start + 12_200] = True
    assert (report.masked_bp, report.n_bp) == (is_masked.sum(), is_n.sum())
    assert (report.kept_bp, report.kept_masked_bp) == (kept.sum(), (kept & is_masked).sum())
    assert not (kept & is_n).any()
    assert report.kept_masked_bp / report.kept_bp < report.masked_bp / (~is_n).sum()


def test_windows_and_dropped_stretches_are_the_contig(human):
    name, letters = human
    covered = np.zeros(len(letters), bool)
    for segment in cut(letters, name, RepeatFreeWindows(min_run_bp=1150), 0):
        if isinstance(segment, Dropped):
            assert not covered[segment.start : segment.end].any()
        else:
            assert segment.sequence.encode() == letters[segment.start : segment.end].tobytes()
        covered[segment.start : segment.end] = True
    assert covered.all()


def test_the_bins_of_a_corpus_are_what_was_selected(human, tmp_path):
    name, letters = human
    fasta = tmp_path / "genome.fa"
    fasta.write_bytes(b">" + name.encode() + b"\n" + letters.tobytes() + b"\n")
    split = SplitConfig(by="block", block_bp=200_000)
    windows = RepeatFreeWindows()
    manifest = prepare_corpus(
        [Source(fasta=fasta)], tmp_path / "corpus", windows=windows, split=split
    )
    (found,) = manifest.coverage
    (report,) = manifest.repeats.largest
    masked = find_unmasked(letters)
    pieces = select_pieces(masked, report.min_run_bp)
    assert report == report_repeats(name, masked, pieces)
    kinds = {split: np.zeros(len(letters), bool) for split in ("train", "validation")}
    for start in pieces.starts.tolist():
        blocks = {start // 200_000, (start + 12_199) // 200_000}
        held_out = found_in(tmp_path / "corpus", start)
        assert held_out is not None or len(blocks) == 2
        if held_out is not None:
            kinds[held_out][start : start + 12_200] = True
    kinds["n"] = (letters | 32) == ord("n")
    kinds["softmasked"] = (letters >= ord("a")) & ~kinds["n"]
    assert found.bin_bp == -(-len(letters) // 200)
    for kind, flags in kinds.items():
        bins = [flags[low : low + found.bin_bp].sum() for low in range(0, len(flags), found.bin_bp)]
        assert list(getattr(found, kind)) == bins


@functools.cache
def starts_in(folder, split):
    return {row.start for row in open_corpus(folder).iter_windows(split)}


def found_in(folder, start):
    """The split of the piece that begins at a place, or None."""
    return next((s for s in ("train", "validation") if start in starts_in(folder, s)), None)
