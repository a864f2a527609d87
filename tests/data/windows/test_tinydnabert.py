"""Windows against a slow definition of the published walk, numpy's randint, and their laws."""

import re
import tracemalloc
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helixlm.data.formats.fasta import Chunk
from helixlm.data.windows import DROP_REASONS, Dropped, TinyDnabertWindows, Window, segments
from helixlm.data.windows import tinydnabert as module
from helixlm.data.windows.tinydnabert import randint, tinydnabert_windows, walk_lengths
from helixlm.rng import CounterRng

SMALL = {"block_bp": 60, "min_bp": 4, "max_bp": 12}


def slow_walk(contig, randint, block_bp, min_bp, max_bp, inclusive=False):
    """The published segmentation, in the words of its description."""
    found = []
    for block_start in range(0, len(contig), block_bp):
        piece_start = block_start
        for piece in contig[block_start : block_start + block_bp].upper().split("N"):
            position = 0
            while True:
                remaining = len(piece) - position
                if remaining < min_bp:
                    break
                if remaining == min_bp:
                    length = min_bp
                else:
                    length = randint(min_bp, min(remaining, max_bp) + inclusive)
                start = piece_start + position
                found.append((start, start + length, piece[position : position + length]))
                position += length
            piece_start += len(piece) + 1  # the N
    return found


def chunks_of(contig, chunk_bp, name="chr1"):
    starts = range(0, len(contig), chunk_bp)
    return [
        Chunk(name, start, contig[start : start + chunk_bp], start == starts[-1])
        for start in starts
    ]


def cut(contig, config, seed=0, name="chr1"):
    return list(segments(chunks_of(contig, config.chunk_bp, name), config, seed))


def only_windows(found):
    return [(w.start, w.end, w.sequence) for w in found if isinstance(w, Window)]


# Mostly sequence, some gaps, both cases, a few IUPAC letters.
contigs = st.lists(
    st.one_of(
        st.text("ACGTacgt", min_size=1, max_size=90),
        st.text("Nn", min_size=1, max_size=5),
        st.text("RYk", min_size=1, max_size=2),
    ),
    min_size=1,
    max_size=12,
).map("".join)
configs = st.builds(
    lambda block, least, more, bound, iupac: TinyDnabertWindows(
        block_bp=block, min_bp=least, max_bp=least + more, upper_bound=bound, iupac=iupac
    ),
    st.one_of(st.none(), st.integers(20, 150)),
    st.integers(1, 12),
    st.integers(1, 30),
    st.sampled_from(["exclusive", "inclusive"]),
    st.sampled_from(["keep", "split"]),
)


@settings(deadline=None, max_examples=200)
@given(
    contigs, st.integers(0, 2**32 - 1), st.integers(5, 80), st.integers(1, 12), st.integers(1, 9)
)
def test_the_published_walk_with_numpys_random_lengths(contig, seed, block_bp, min_bp, more):
    block_bp = max(block_bp, min_bp)
    config = TinyDnabertWindows(block_bp=block_bp, min_bp=min_bp, max_bp=min_bp + more)
    legacy = np.random.RandomState(seed)
    expected = slow_walk(
        contig, np.random.RandomState(seed).randint, block_bp, min_bp, config.max_bp
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "randint", lambda rng: legacy.randint)
        found = only_windows(cut(contig, config))
    assert [(s, e, w.upper()) for s, e, w in found] == expected


@settings(deadline=None, max_examples=200)
@given(contigs, configs, st.integers(0, 9))
def test_the_walk_with_our_random_lengths(contig, config, seed):
    expected = []
    block_bp = config.block_bp or len(contig)
    for start in range(0, len(contig), block_bp):
        block = contig[start : start + block_bp]
        if config.iupac == "split":
            block = re.sub("[^ACGTacgt]", "N", block)
        draw = CounterRng("windows", seed, "chr1", start).integer
        inclusive = config.upper_bound == "inclusive"
        for s, e, w in slow_walk(block, draw, block_bp, config.min_bp, config.max_bp, inclusive):
            expected.append((start + s, start + e, w))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK_BP", 17)  # without blocks, pieces run through many chunks
        found = only_windows(cut(contig, config, seed))
    assert [(s, e, w.upper()) for s, e, w in found] == expected


@settings(deadline=None, max_examples=200)
@given(contigs, configs, st.integers(0, 9))
def test_windows_and_dropped_stretches_tile_the_contig(contig, config, seed):
    found = cut(contig, config, seed)
    assert found[0].start == 0
    assert found[-1].end == len(contig)
    assert all(a.end == b.start for a, b in pairwise(found))
    longest = config.max_bp if config.upper_bound == "inclusive" else config.max_bp - 1
    for segment in found:
        letters = contig[segment.start : segment.end]
        if isinstance(segment, Window):
            assert segment.sequence == letters  # case and IUPAC letters as in the file
            assert config.min_bp <= len(letters) <= longest
            assert "N" not in letters.upper()
            if config.iupac == "split":
                assert set(letters.upper()) <= set("ACGT")
            if config.block_bp:
                assert segment.start // config.block_bp == (segment.end - 1) // config.block_bp
        elif segment.reason == "gap":
            assert set(letters) <= set("Nn")
        elif segment.reason == "iupac":
            assert config.iupac == "split"
            assert not set(letters.upper()) & set("ACGTN")
        else:
            assert segment.reason in DROP_REASONS
            assert len(letters) < config.min_bp
    for before, segment in pairwise([None, *found]):
        if isinstance(segment, Dropped) and segment.reason in ("tail", "short_piece"):
            assert isinstance(before, Window) == (segment.reason == "tail") or (
                config.block_bp is not None and segment.start % config.block_bp == 0
            )


def test_a_worked_example():
    #         0123456789
    contig = "ACGTNNacgtacgtaNACNGGGGG"
    config = TinyDnabertWindows(block_bp=20, min_bp=4, max_bp=5)  # every window has 4 letters
    assert cut(contig, config) == [
        Window("chr1", 0, 4, "ACGT"),
        Dropped("chr1", 4, 6, "gap"),
        Window("chr1", 6, 10, "acgt"),
        Window("chr1", 10, 14, "acgt"),
        Dropped("chr1", 14, 15, "tail"),
        Dropped("chr1", 15, 16, "gap"),
        Dropped("chr1", 16, 18, "short_piece"),
        Dropped("chr1", 18, 19, "gap"),
        Dropped("chr1", 19, 20, "short_piece"),  # the block ends here
        Window("chr1", 20, 24, "GGGG"),
    ]
    assert cut("ACG", config) == [Dropped("chr1", 0, 3, "short_contig")]
    without_blocks = cut(contig, config.model_copy(update={"block_bp": None}))
    assert without_blocks[-2:] == [
        Window("chr1", 19, 23, "GGGG"),
        Dropped("chr1", 23, 24, "tail"),
    ]


@pytest.mark.parametrize(
    ("bound", "remaining", "calls", "lengths"),
    [
        ("exclusive", 255, [], []),
        ("exclusive", 256, [], [256]),
        ("exclusive", 257, [(256, 257)], [256]),
        ("exclusive", 1023, [(256, 1023)], [256]),
        ("exclusive", 1024, [(256, 1024)], [256]),
        ("exclusive", 5000, [(256, 1024)], [256]),
        ("inclusive", 256, [], [256]),
        ("inclusive", 257, [(256, 258)], [256]),
        ("inclusive", 1024, [(256, 1025)], [256]),
        ("inclusive", 5000, [(256, 1025)], [256]),
    ],
)
def test_the_bounds_that_lengths_are_drawn_from(bound, remaining, calls, lengths):
    drawn = []

    def draw(low, high):
        drawn.append((low, high))
        return low

    walk = walk_lengths(remaining, TinyDnabertWindows(upper_bound=bound), draw)
    assert list(islice(walk, 1)) == lengths
    assert drawn == calls


def test_the_upper_bound_is_reached_only_if_inclusive():
    contig = "ACGT" * 5000
    for bound, longest in (("exclusive", 11), ("inclusive", 12)):
        config = TinyDnabertWindows(**SMALL, upper_bound=bound)
        lengths = {e - s for s, e, _ in only_windows(cut(contig, config))}
        assert lengths == set(range(4, longest + 1))


def test_draws_equal_those_of_the_generator_one_by_one():
    draw, rng = randint(CounterRng("test", 1)), CounterRng("test", 1)
    ranges = [(256, 257 + 37 * i % 768) for i in range(1000)]
    assert [draw(*bounds) for bounds in ranges] == [rng.integer(*bounds) for bounds in ranges]


def test_a_block_depends_on_nothing_but_itself():
    config = TinyDnabertWindows(**SMALL)
    contig = "ACGTTGCA" * 40
    alone = cut(contig, config, seed=3, name="chr2")
    chunks = chunks_of("GGCC" * 50, 60, "chr1") + chunks_of(contig, 60, "chr2")
    after_another = [s for s in segments(chunks, config, 3) if s.contig == "chr2"]
    assert after_another == alone
    third = chunks_of(contig, 60, "chr2")[2]
    rng = CounterRng("windows", 3, "chr2", 120)
    in_third = [s for s in alone if isinstance(s, Window) and 120 <= s.start < 180]
    assert list(tinydnabert_windows(third, config, rng)) == in_third
    assert cut(contig, config, seed=4, name="chr2") != alone


def test_memory_is_bounded_without_block_borders():
    config = TinyDnabertWindows(block_bp=None)
    text = "ACGTTGCATT" * 100_000  # 1 Mbp; the contig is one piece of 12 Mbp
    chunks = (Chunk("chr1", i * 1_000_000, text, i == 11) for i in range(12))
    tracemalloc.start()
    bases = sum(s.end - s.start for s in segments(chunks, config, 0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert bases == 12_000_000
    assert peak < 5_000_000


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_bp": 256, "max_bp": 256}, "max_bp 256: expected at least 257 .* exclusive"),
        ({"min_bp": 9, "max_bp": 8, "upper_bound": "inclusive"}, "max_bp 8: expected at least 9"),
        ({"block_bp": 100}, "block_bp 100: expected at least min_bp 256, or null"),
        ({"min_bp": 0}, "greater than 0"),
        ({"overlap": 3}, "Extra inputs are not permitted"),
    ],
)
def test_settings_that_make_no_windows_are_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        TinyDnabertWindows(**fields)


def test_windows_of_one_length():
    config = TinyDnabertWindows(block_bp=None, min_bp=8, max_bp=8, upper_bound="inclusive")
    assert [e - s for s, e, _ in only_windows(cut("A" * 83, config))] == [8] * 10
