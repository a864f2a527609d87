"""dnaGrinder's selection: each rule by hand, all rules against a slow reading of the paper's text.

Pieces have 10 letters here; the paper's have 12,200.
"""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.data.window_laws import codes, cut_text, dropped_of, spans_of, windows_of

from helixlm.data import runs
from helixlm.data.repeats import (
    GRCH38,
    MOST_REPORTS,
    RepeatReport,
    Selection,
    find_threshold,
    find_unmasked,
    paper_fraction,
    report_repeats,
    select_pieces,
    summarize,
)
from helixlm.data.windows import RepeatFreeWindows, Window

masked_contigs = st.lists(
    st.one_of(
        st.text("ACGTR", min_size=1, max_size=25),
        st.text("acgtr", min_size=1, max_size=15),
        st.text("Nn", min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=14,
).map("".join)


def starts_of(contig, threshold, piece=10):
    return select_pieces(find_unmasked(codes(contig)), threshold, piece).starts.tolist()


def slow_starts(contig, threshold, piece):
    """Section 3.3.1 on text, run by run; and how many runs have too little room."""
    found, stranded, included_to = [], 0, 0
    for run in re.finditer("[A-MO-Z]+", contig):
        if len(run[0]) < threshold or run.end() <= included_to:
            continue
        before = [i + 1 for i in range(run.start()) if contig[i] in "Nn"]
        after = [i for i in range(run.end(), len(contig)) if contig[i] in "Nn"]
        left, right = max(before, default=0), min(after, default=len(contig))
        if right - left < piece:
            stranded += 1
            continue
        here = run.start()
        while True:
            if here + piece > right:
                here = right - piece
            found.append(here)
            here += piece
            if here >= run.end():
                break
        included_to = here
    return found, stranded


def test_a_run_that_is_too_short_gives_no_piece():
    contig = "ACGTA" + "t" * 20 + "ACGT" + "t" * 20
    assert starts_of(contig, 4) == [0, 25]
    assert starts_of(contig, 5) == [0]
    assert starts_of(contig, 6) == []


def test_a_short_run_is_extended_to_the_right():
    assert starts_of("ttACGTtttttttttttt", 4) == [2]


def test_runs_within_an_extension_are_passed_over():
    #         0         1         2         3
    contig = "ACGTttACGtttttACGTtttttttttttt"
    assert starts_of(contig, 3) == [0, 14]  # the second run, 6-9, is whole in 0-10


def test_a_run_that_an_extension_covers_in_part_is_the_next():
    contig = "ACGTttttACGTAttttttttttt"
    assert starts_of(contig, 4) == [0, 8]  # 8-13 reaches beyond 0-10


def test_long_runs_are_split_and_the_last_part_extended():
    contig = "tt" + "ACGTACGTAC" * 2 + "AC" + "t" * 20
    assert starts_of(contig, 5) == [2, 12, 22]  # 22-32 holds only 2 bases of the run
    exact = "tt" + "ACGTACGTAC" * 2 + "t" * 20
    assert starts_of(exact, 5) == [2, 12]


def test_an_extension_that_meets_n_goes_to_the_left():
    contig = "t" * 20 + "ACGTtt" + "NN" + "t" * 20
    assert starts_of(contig, 4) == [16]  # ends where the N begin
    lower = "t" * 20 + "ACGTtt" + "nn" + "t" * 20
    assert starts_of(lower, 4) == [16]


def test_an_extension_that_meets_the_end_goes_to_the_left():
    assert starts_of("t" * 20 + "ACGTtt", 4) == [16]


def test_n_at_both_sides():
    room = "N" + "tttACGTttt" + "N"
    assert starts_of(room, 4) == [1]  # exactly a piece
    narrow = "N" + "ttACGTttt" + "N" + "t" * 5 + "ACGTAt" + "N"
    found = select_pieces(find_unmasked(codes(narrow)), 4, 10)
    assert found.starts.tolist() == [12]  # the run 16-21 goes to the left, as far as the N at 10
    assert found.num_stranded == 1
    ends = select_pieces(find_unmasked(codes("ACGTACGTA")), 4, 10)
    assert (ends.starts.tolist(), ends.num_stranded) == ([], 1)


def test_a_piece_extended_to_the_left_shares_bases_with_the_one_before():
    contig = "ACGTACGTACACGtt" + "N" + "t" * 12
    assert starts_of(contig, 4) == [0, 5]  # 10-13 is left of 0-13; 5-15 ends at the N
    assert starts_of(contig + "ACGTAttttttt", 4) == [0, 5, 28]


@settings(deadline=None, max_examples=500)
@given(masked_contigs, st.integers(1, 12), st.integers(1, 25), st.integers(1, 40))
def test_the_text_read_slowly(contig, threshold, piece, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "BLOCK_BP", block)
        found = select_pieces(find_unmasked(codes(contig)), threshold, piece)
    assert (found.starts.tolist(), found.num_stranded) == slow_starts(contig, threshold, piece)
    text = contig.upper()
    for start in found.starts.tolist():
        assert 0 <= start <= len(contig) - piece
        assert "N" not in text[start : start + piece]
    assert (np.diff(found.starts) > 0).all()


def kept_places(starts, piece):
    return {place for start in starts for place in range(start, start + piece)}


@settings(deadline=None, max_examples=300)
@given(masked_contigs, st.integers(1, 9), st.integers(1, 25))
def test_the_report_counts_what_is_there(contig, threshold, piece):
    masked = find_unmasked(codes(contig))
    selection = select_pieces(masked, threshold, piece)
    report = report_repeats("chr1", masked, selection)
    starts, stranded = slow_starts(contig, threshold, piece)
    kept = kept_places(starts, piece)
    lengths = [len(run) for run in re.findall("[A-MO-Z]+", contig)]
    assert report.model_dump() == {
        "contig": "chr1",
        "length_bp": len(contig),
        "n_bp": contig.upper().count("N"),
        "masked_bp": sum(letter in "acgtr" for letter in contig),
        "num_runs": len(lengths),
        "min_run_bp": threshold,
        "num_long_runs": sum(length >= threshold for length in lengths),
        "num_stranded": stranded,
        "num_pieces": len(starts),
        "kept_bp": len(kept),
        "kept_masked_bp": sum(contig[place].islower() for place in kept),
        "shared_bp": len(starts) * piece - len(kept),
        "paper_fraction": None,
    }
    assert report.kept_fraction == len(kept) / len(contig)
    intervals = selection.kept_intervals()
    assert {place for a, b in intervals.tolist() for place in range(a, b)} == kept
    assert (intervals[1:, 0] > intervals[:-1, 1]).all()


@settings(deadline=None, max_examples=200)
@given(masked_contigs, st.integers(1, 25), st.floats(0.01, 1))
def test_the_threshold_is_where_less_begins_to_be_kept(contig, piece, share):
    masked = find_unmasked(codes(contig))
    found = find_threshold(masked, share, piece)
    kept = {
        threshold: len(kept_places(slow_starts(contig, threshold, piece)[0], piece))
        for threshold in (1, found, found + 1)
    }
    wanted = share * len(contig)
    assert kept[found] >= wanted or found == 1
    assert kept[found + 1] < wanted


def test_a_threshold_by_hand():
    """Runs of 3, 5 and 7 bases in 100: a threshold of 5 keeps two pieces of 10."""
    contig = "".join("ACGTACG"[:size] + "t" * (30 - size) for size in (3, 5, 7)) + "t" * 10
    masked = find_unmasked(codes(contig))
    assert [find_threshold(masked, share, 10) for share in (0.1, 0.2, 0.21, 0.3)] == [7, 5, 3, 3]
    assert find_threshold(masked, 0.31, 10) == 1  # more than there is
    assert find_threshold(find_unmasked(codes("acgt")), 0.5, 10) == 1


def test_intervals_that_touch_are_one():
    selection = Selection(10, 4, np.array([0, 10, 25, 32, 50]), 0)
    assert selection.kept_intervals().tolist() == [[0, 20], [25, 42], [50, 60]]
    assert selection.kept_bp == 47
    assert Selection(10, 4, np.zeros(0, np.int64), 0).kept_intervals().shape == (0, 2)


def report_of(contig, threshold, name):
    masked = find_unmasked(codes(contig))
    return report_repeats(name, masked, select_pieces(masked, threshold, 10))


@settings(deadline=None, max_examples=100)
@given(st.lists(masked_contigs, min_size=1, max_size=30), st.integers(1, 9), st.data())
def test_sums_do_not_depend_on_the_parts(contigs, threshold, data):
    reports = [report_of(text, threshold, f"chr{i}") for i, text in enumerate(contigs)]
    whole = summarize(reports)
    assert whole.num_contigs == len(contigs)
    for name, amount in whole.total:
        assert amount == sum(getattr(report, name) for report in reports)
    slow = sum(len(kept_places(slow_starts(text, threshold, 10)[0], 10)) for text in contigs)
    assert whole.total.kept_fraction == slow / sum(map(len, contigs))
    order = sorted(range(len(contigs)), key=lambda i: (-len(contigs[i]), i))
    assert [r.contig for r in whole.largest] == [f"chr{i}" for i in order[:MOST_REPORTS]]
    assert set(whole.largest) <= set(reports)
    border = data.draw(st.integers(0, len(contigs)))
    parts = [summarize(reports[:border]), summarize(reports[border:])]
    assert summarize([part for part in parts if part]) == whole
    assert summarize([]) is None


def test_the_papers_fractions():
    printed = (
        "0.50, 0.50, 0.55, 0.53, 0.52, 0.51, 0.54, 0.56, 0.47, 0.56, 0.53, 0.54, "
        "0.46, 0.44, 0.44, 0.49, 0.52, 0.51, 0.55, 0.56, 0.50, 0.57, 0.50"
    )
    assert [share for _, share in GRCH38.values()] == [
        float(number) for number in printed.split(", ")
    ]
    # GRCh38: 3,088,269,832 bp in chr1 to chr22, X and Y, of which Y has 57,227,415.
    lengths = [length for length, _ in GRCH38.values()]
    assert sum(lengths) == 3_088_269_832 - 57_227_415
    assert len(set(lengths)) == 23
    assert paper_fraction(248_956_422) == 0.50
    assert paper_fraction(50_818_468) == 0.57
    assert paper_fraction(16_569) is None


def test_windows_and_what_lies_between_them():
    contig = "t" * 3 + "ACGTAt" + "t" * 10 + "NNN" + "ACGTAC" + "n"
    found = cut_text(contig, RepeatFreeWindows(length_bp=10, min_run_bp=4))
    assert windows_of(found) == [Window("chr1", 3, 13, "ACGTAttttt")]
    assert dropped_of(found) == [
        (0, 3, "repeat"),
        (13, 19, "repeat"),
        (19, 22, "gap"),
        (22, 28, "short_piece"),
        (28, 29, "gap"),
    ]
    short = cut_text("ACGTA", RepeatFreeWindows(length_bp=10, min_run_bp=4))
    assert dropped_of(short) == [(0, 5, "short_contig")]


@settings(deadline=None, max_examples=200)
@given(masked_contigs, st.integers(1, 25), st.integers(1, 9))
def test_windows_are_the_pieces(contig, piece, threshold):
    config = RepeatFreeWindows(length_bp=piece, min_run_bp=threshold)
    starts, _ = slow_starts(contig, threshold, piece)
    assert spans_of(cut_text(contig, config)) == [(start, start + piece) for start in starts]
    searched = RepeatFreeWindows(length_bp=piece, kept_fraction=0.3)
    found = find_threshold(find_unmasked(codes(contig)), 0.3, piece)
    starts, _ = slow_starts(contig, found, piece)
    assert spans_of(cut_text(contig, searched)) == [(start, start + piece) for start in starts]


def test_cutting_reports_what_it_keeps():
    contig = "ACGTAt" + "t" * 10 + "NNN" + "ACGTAC" + "n"
    found: list[RepeatReport] = []
    config = RepeatFreeWindows(length_bp=10, kept_fraction=0.3)
    cut_text(contig, config, report=found.append)
    assert found == [report_of(contig, 5, "chr1")]


def test_shares_beyond_one_are_refused():
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        RepeatFreeWindows(kept_fraction=50)
