"""dnaGrinder's selection on soft-masked human sequence, against a plain reading of the letters."""

import numpy as np
import pytest

from helixlm.data.fasta import iter_chunks
from helixlm.data.repeats import find_threshold, find_unmasked, report_repeats, select_pieces
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
