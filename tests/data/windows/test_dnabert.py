"""DNABERT's windows against the published functions, written slowly, and their shares."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.data.window_laws import contigs, cut_text, dropped_of, spans_of, windows_of

from helixlm.data.windows import DnabertWindows
from helixlm.rng import CounterRng

long_contigs = st.lists(
    st.one_of(
        st.integers(1, 3000).map(lambda size: ("ACgT" * 750)[:size]),
        st.integers(1, 20).map(lambda size: "N" * size),
    ),
    min_size=1,
    max_size=6,
).map("".join)


def slow_cuts(length, k, rand):
    """`cut_no_overlap`: lengths of the windows of a line."""
    cuts = []
    while length:
        if length <= 509 + k:
            cuts.append(length)
            break
        cut = max(int(rand() * (509 + k)), 5) if rand() < 0.5 else 509 + k
        cuts.append(cut)
        length -= cut
    return cuts


def lines_of(contig):
    """Where the stretches without N begin, and how long they are."""
    return [(line.start(), line.end() - line.start()) for line in re.finditer("[^Nn]+", contig)]


def stream(start, seed):
    return CounterRng("windows", seed, "chr1", start)


@settings(deadline=None, max_examples=200)
@given(long_contigs, st.integers(3, 6), st.integers(0, 99))
def test_cuts_are_those_of_the_published_function(contig, k, seed):
    expected = []
    for start, length in lines_of(contig):
        rng = stream(start, seed)
        for cut in slow_cuts(length, k, lambda rng=rng: float(rng.uniform(1)[0])):
            if cut >= 5:
                expected.append((start, start + cut))
            start += cut
    assert spans_of(cut_text(contig, DnabertWindows(k=k), seed=seed)) == expected


@settings(deadline=None, max_examples=200)
@given(long_contigs, st.integers(3, 6), st.sampled_from([0.3, 1.0, 2.5]), st.integers(0, 99))
def test_samples_are_those_of_the_published_function(contig, k, rate, seed):
    expected = []
    for begin, length in lines_of(contig):
        rng = stream(begin, seed)
        times = int(length * rate / 256)
        cuts = [max(int(rng.uniform(1)[0] * (509 + k)), 5) for _ in range(times)]
        starts = [rng.integer(0, length - k) for _ in range(times if length > k else 0)]
        line = range(begin, begin + length)
        for start, cut in zip(starts, cuts, strict=True):
            places = line[start : start + cut]  # as Python slices: the end is the line's at most
            expected.append((places[0], places[-1] + 1))
    config = DnabertWindows(mode="sample", k=k, rate=rate)
    assert spans_of(cut_text(contig, config, seed=seed)) == sorted(expected)


@pytest.mark.parametrize("seed", range(8))
def test_what_fits_in_one_window_is_one(seed):
    assert spans_of(cut_text("A" * 515, DnabertWindows(), seed=seed)) == [(0, 515)]
    assert len(spans_of(cut_text("A" * 521, DnabertWindows(), seed=seed))) > 1


def test_half_of_the_cuts_are_whole_and_the_others_uniform():
    windows = windows_of(cut_text("ACGT" * 500_000, DnabertWindows()))
    lengths = np.array([len(window.sequence) for window in windows[:-1]])
    whole = lengths == 515
    assert whole.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(lengths)))
    short = lengths[~whole]
    assert (short.min(), short.max()) == (5, 514)
    # int(u * 515) is uniform on 0..514; what is below 5 becomes 5.
    spread = np.sqrt(515**2 / 12 / len(short))
    assert short.mean() == pytest.approx((5 * 6 + sum(range(6, 515))) / 515, abs=4 * spread)


def test_samples_begin_anywhere():
    found = windows_of(cut_text("ACGT" * 50_000, DnabertWindows(mode="sample", rate=20)))
    starts = np.array([window.start for window in found])
    assert len(starts) == int(200_000 * 20 / 256)
    counts = np.histogram(starts, bins=10, range=(0, 200_000))[0]
    assert (abs(counts - len(starts) / 10) < 5 * np.sqrt(len(starts) / 10)).all()
    assert starts.tolist() == sorted(starts)


def test_short_stretches_and_rests():
    text = "ACGT" * 129  # 516 bases; a rest shorter than 5 has no k-mer of the script's
    for seed in range(20):
        found = cut_text(text, DnabertWindows(), seed=seed)
        sizes = [end - start for start, end in spans_of(found)]
        rest = 516 - sum(sizes)
        assert dropped_of(found) == ([(516 - rest, 516, "tail")] if rest else [])
        assert rest < 5
    assert cut_text("ACGTnACGTA", DnabertWindows())[:2] == [
        ("chr1", 0, 4, "short_piece"),
        ("chr1", 4, 5, "gap"),
    ]
    assert dropped_of(cut_text("ACGT", DnabertWindows())) == [(0, 4, "short_contig")]
    sample = DnabertWindows(mode="sample", rate=100)
    assert dropped_of(cut_text("ACGTAC", sample)) == [(0, 6, "short_contig")]
    few = DnabertWindows(mode="sample", rate=0.01)
    assert dropped_of(cut_text("ACGT" * 10, few)) == [(0, 40, "not_sampled")]


@settings(deadline=None, max_examples=50)
@given(contigs, st.sampled_from(["cut", "sample"]))
def test_n_may_stay(contig, mode):
    found = cut_text(contig, DnabertWindows(mode=mode, n="keep", rate=9))
    plain = cut_text("A" * len(contig), DnabertWindows(mode=mode, n="keep", rate=9))
    assert spans_of(found) == spans_of(plain)


def test_the_seed_and_the_contig_decide():
    text = "ACGT" * 2000
    found = [
        spans_of(cut_text(text, DnabertWindows(), seed=seed, name=name))
        for seed, name in ((0, "chr1"), (0, "chr1"), (1, "chr1"), (0, "chr2"))
    ]
    assert found[0] == found[1]
    assert found[0] != found[2]
    assert found[0] != found[3]


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ValidationError, match="iupac 'split': expected n 'split' with it, found"):
        DnabertWindows(n="keep", iupac="split")
    with pytest.raises(ValidationError, match="greater than 0"):
        DnabertWindows(rate=0)
