"""The laws of all kinds of windows: every base once, parts give the whole, letters as they are."""

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from tests.data.window_laws import codes, contigs, cut_text, windows_of

from helixlm.data import runs
from helixlm.data.windows import (
    DROP_REASONS,
    DnabertWindows,
    Dropped,
    Feature,
    FeatureWindows,
    FixedWindows,
    PieceWindows,
    RepeatFreeWindows,
    TinyDnabertWindows,
    Window,
    WindowConfig,
    base,
    cut,
    unit_bp,
)
from helixlm.data.windows.base import CHUNK_BP

small = st.integers(1, 25)
fractions = st.sampled_from([0, 0.1, 0.5, 1])
policies = st.sampled_from(["keep", "drop"])
CONFIGS = {
    "tinydnabert": st.builds(
        lambda block, least, more, iupac: TinyDnabertWindows(
            block_bp=block, min_bp=least, max_bp=least + more, iupac=iupac
        ),
        st.one_of(st.none(), st.integers(20, 60)),
        st.integers(1, 12),
        st.integers(1, 12),
        st.sampled_from(["keep", "split"]),
    ),
    "fixed": st.builds(
        lambda step, more, last, n, share, cap, iupac: FixedWindows(
            length_bp=step + more,
            step_bp=step,
            last=last,
            n=n,
            max_n_fraction=share,
            cap_bp=cap,
            iupac="keep" if iupac == "split" != n else iupac,
        ),
        small,
        st.integers(0, 40),
        st.sampled_from(["drop", "keep", "shift"]),
        st.sampled_from(["split", "drop", "cap", "keep"]),
        fractions,
        st.integers(1, 8),
        st.sampled_from(["keep", "split", "n"]),
    ),
    "dnabert": st.builds(
        lambda mode, rate, n, iupac: DnabertWindows(
            mode=mode, rate=rate, n=n, iupac="keep" if iupac == "split" != n else iupac
        ),
        st.sampled_from(["cut", "sample"]),
        st.sampled_from([1, 10, 40]),
        st.sampled_from(["split", "keep"]),
        st.sampled_from(["keep", "split", "n"]),
    ),
    "pieces": st.builds(
        PieceWindows,
        chunk_bp=small,
        overlap_bp=st.integers(0, 12),
        n=policies,
        max_n_fraction=fractions,
        iupac=st.sampled_from(["keep", "n"]),
    ),
    "features": st.builds(
        FeatureWindows,
        upstream_bp=small,
        downstream_bp=small,
        around=st.sampled_from(["start", "interval"]),
        n=policies,
        max_n_fraction=fractions,
        iupac=st.sampled_from(["keep", "n"]),
    ),
    "repeatfree": st.builds(
        RepeatFreeWindows,
        length_bp=small,
        min_run_bp=st.one_of(st.none(), st.integers(1, 20)),
        kept_fraction=st.sampled_from([0.1, 0.5, 1.0]),
    ),
}


@st.composite
def features_on(draw, length):
    starts = draw(st.lists(st.integers(0, length - 1), max_size=6))
    return [
        Feature("chr1", start, draw(st.integers(start + 1, length)), draw(st.sampled_from("+-")))
        for start in starts
    ]


@pytest.mark.parametrize("kind", CONFIGS)
@settings(deadline=None, max_examples=80)
@given(contig=contigs, seed=st.integers(0, 9), data=st.data())
def test_each_base_is_in_windows_or_in_one_dropped_stretch(kind, contig, seed, data):
    config = data.draw(CONFIGS[kind])
    features = data.draw(features_on(len(contig)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "CHUNK_BP", data.draw(st.integers(1, 80)))
        patch.setattr(runs, "BLOCK_BP", data.draw(st.integers(1, 80)))
        found = cut_text(contig, config, seed=seed, features=features)
    in_windows, dropped = np.zeros(len(contig), int), np.zeros(len(contig), int)
    for segment in found:
        assert 0 <= segment.start < segment.end <= len(contig)
        if isinstance(segment, Dropped):
            assert segment.reason in DROP_REASONS
            dropped[segment.start : segment.end] += 1
        else:
            assert (segment.contig, segment.sample, segment.haplotype) == ("chr1", None, None)
            in_windows[segment.start : segment.end] += 1
    assert dropped.max(initial=0) <= 1
    assert ((in_windows > 0) != (dropped > 0)).all()
    assert [segment.start for segment in found] == sorted(segment.start for segment in found)


@pytest.mark.parametrize("kind", CONFIGS)
@settings(deadline=None, max_examples=80)
@given(contig=contigs, seed=st.integers(0, 9), data=st.data())
def test_parts_give_what_the_whole_gives(kind, contig, seed, data):
    config = data.draw(CONFIGS[kind])
    features = data.draw(features_on(len(contig)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(base, "CHUNK_BP", data.draw(st.integers(1, 80)))
        patch.setattr(runs, "BLOCK_BP", data.draw(st.integers(1, 80)))
        unit = unit_bp(config)
        borders = range(unit, len(contig), unit) if unit else []
        chosen = [border for border in borders if data.draw(st.booleans())]
        edges = [0, *chosen, len(contig)]
        in_parts = [
            segment
            for start, stop in pairwise(edges)
            for segment in cut_text(
                contig, config, seed=seed, start=start, stop=stop, features=features
            )
        ]
        assert in_parts == cut_text(contig, config, seed=seed, features=features)


@pytest.mark.parametrize("kind", CONFIGS)
@settings(deadline=None, max_examples=50)
@given(contig=contigs, data=st.data())
def test_sequences_are_the_letters_of_the_contig(kind, contig, data):
    config = data.draw(CONFIGS[kind])
    features = data.draw(features_on(len(contig)))
    complement = str.maketrans("ACGTNRYKacgtnrykMm", "TGCANYRMtgcanyrmKk")
    for window in windows_of(cut_text(contig, config, features=features)):
        letters = contig[window.start : window.end]
        if getattr(config, "iupac", "keep") == "n":
            letters = letters.translate(str.maketrans("RYk", "NNn"))
        if window.strand == "-":
            letters = letters.translate(complement)[::-1]
        if getattr(config, "n", "") != "cap":  # compared in test_windows_fixed.py
            assert window.sequence == letters
        if getattr(config, "n", "") == "split" or isinstance(config, RepeatFreeWindows):
            assert not set(window.sequence) & set("Nn")
        if getattr(config, "n", "") == "drop":
            num_n = window.sequence.upper().count("N")
            assert num_n <= config.max_n_fraction * len(window.sequence)


@pytest.mark.parametrize(
    ("config", "unit"),
    [
        (TinyDnabertWindows(), 1_000_000),
        (TinyDnabertWindows(block_bp=None), None),
        (FixedWindows(length_bp=1000, step_bp=300), 999_900),
        (FixedWindows(length_bp=3_000_000), 3_000_000),
        (FixedWindows(length_bp=1000, n="split"), None),
        (FixedWindows(length_bp=1000, n="cap"), None),
        (DnabertWindows(), None),
        (PieceWindows(), 996_000),
        (PieceWindows(chunk_bp=12_000), 996_000),
        (FeatureWindows(upstream_bp=9, downstream_bp=9), 1_000_000),
        (RepeatFreeWindows(), None),
    ],
    ids=str,
)
def test_where_a_contig_may_be_parted(config, unit):
    assert unit_bp(config) == unit


@pytest.mark.parametrize(
    "config",
    [
        TinyDnabertWindows(),
        FixedWindows(length_bp=2000, step_bp=500),
        PieceWindows(),
        FeatureWindows(upstream_bp=1000, downstream_bp=1000),
    ],
    ids=lambda config: config.kind,
)
def test_a_memory_map_is_read_in_blocks(config, tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "contig"
    path.write_bytes(rng.choice(np.frombuffer(b"ACGTacgt", np.uint8), 12 * CHUNK_BP).tobytes())
    letters = np.memmap(path, np.uint8, mode="r")
    features = [Feature("chr1", i, i + 1, "+") for i in range(5000, len(letters), 50_000)]
    expected = list(cut(np.array(letters), "chr1", config, 0, features=features))
    tracemalloc.start()
    found = cut(letters, "chr1", config, 0, features=features)
    assert all(one == other for one, other in zip(found, expected, strict=True))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(expected) > 100
    assert peak < 6_000_000  # the contig has 12 Mbp


def test_settings_are_told_apart_by_their_kind():
    read = TypeAdapter(WindowConfig).validate_python
    assert read({"kind": "fixed", "length_bp": 9}) == FixedWindows(length_bp=9)
    assert read({"kind": "pieces"}) == PieceWindows()
    assert read({"min_bp": 300}) == TinyDnabertWindows(min_bp=300)
    assert read(DnabertWindows()) == DnabertWindows()
    for values in ({"kind": "pieces", "min_bp": 300}, {"kind": "fixed", "length_bp": 9, "k": 3}):
        with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
            read(values)
    with pytest.raises(ValidationError, match="'fixd' found using 'kind' does not match"):
        read({"kind": "fixd"})


def test_a_border_inside_a_unit_is_our_mistake():
    with pytest.raises(AssertionError, match="30 is no multiple of 20"):
        cut(codes("ACGT" * 20), "chr1", TinyDnabertWindows(block_bp=20, min_bp=4), 0, 30)


def test_a_window_is_on_the_forward_strand_of_the_reference():
    assert Window("chr1", 0, 3, "ACG")[4:] == ("+", None, None, None)
