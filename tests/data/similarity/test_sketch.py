"""Sketches against sets of k-mers as strings, and the index against a comparison of all pairs."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data.similarity.sketch import (
    MOST_COPIES,
    SketchIndex,
    count_shared,
    scale_for,
    sketch,
)
from helixlm.rng import CounterRng
from helixlm.seq.alphabet import AlphabetError
from helixlm.seq.ops import reverse_complement

COMPLEMENT = str.maketrans("ACGT", "TGCA")
WORD = 2**64

texts = st.text("ACGTacgtNR", max_size=60)
few_letters = st.text("ACa", max_size=60)  # many k-mers twice


def random_dna(name, length):
    return "".join("ACGT"[code] for code in CounterRng("test", name).integers(0, 4, length))


def turned(text):
    return text.upper().translate(COMPLEMENT)[::-1]


def kmers(text, k):
    """The distinct canonical k-mers, as strings."""
    words = (text.upper()[i : i + k] for i in range(len(text) - k + 1))
    return {min(word, turned(word)) for word in words if set(word) <= set("ACGT")}


def split_mix(number):
    """SplitMix64 in Python's integers: the state after one step from `number`, mixed."""
    word = (number + 0x9E3779B97F4A7C15) % WORD
    word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9 % WORD
    word = (word ^ word >> 27) * 0x94D049BB133111EB % WORD
    return word ^ word >> 31


def hash_of(kmer):
    return split_mix(int(kmer.translate(str.maketrans("ACGT", "0123")), 4))


def test_the_hash_is_splitmix64():
    # The first output of the published generator from the state 0.
    assert sketch(["AAAAA"], 5).hashes.tolist() == [0xE220A8397B1DCDAF]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(texts, few_letters), max_size=6), st.integers(1, 31), st.integers(1, 5))
def test_sketches_are_the_hashes_of_the_kmers_below_a_bound(sequences, k, scale):
    found = sketch(sequences, k, scale)
    for i, text in enumerate(sequences):
        expected = sorted(h for h in map(hash_of, kmers(text, k)) if h <= (WORD - 1) // scale)
        assert found.of(i).tolist() == expected
    assert len(found.ends) == len(sequences)


@pytest.mark.parametrize("scale", [1, 3])
def test_long_sequences_and_tandem_repeats_have_sorted_sketches(scale):
    unit = random_dna("unit", 171)
    for text in (random_dna("long", 5000), unit * 30, "AC" * 2000, "A" * 3000):
        expected = sorted(h for h in map(hash_of, kmers(text, 21)) if h <= (WORD - 1) // scale)
        assert sketch([text], 21, scale).hashes.tolist() == expected


@settings(deadline=None, max_examples=200)
@given(texts, st.integers(1, 31), st.integers(1, 5))
def test_both_strands_have_the_same_sketch(text, k, scale):
    both = sketch([text, reverse_complement(text)], k, scale)
    assert both.of(0).tolist() == both.of(1).tolist()


@settings(deadline=None, max_examples=200)
@given(texts, texts, st.integers(1, 8))
def test_shared_hashes_are_shared_kmers(first, second, k):
    both = sketch([first, second], k)
    assert count_shared(both.of(0), both.of(1)) == len(kmers(first, k) & kmers(second, k))


def test_one_kmer_of_so_many_is_sampled():
    text = random_dna("density", 200_000)
    for scale in (4, 16, 64):
        expected = 199_980 / scale
        assert abs(len(sketch([text], 21, scale).hashes) - expected) < 5 * math.sqrt(expected)


def test_bytes_are_read_as_text():
    assert sketch([b"ACGTTGCA", "acgttgca"], 4).ends.tolist() == [5, 10]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["ACGT"], 0), ValueError, "k 0: expected 1 to 31"),
        ((["ACGT"], 32), ValueError, "k 32: expected 1 to 31"),
        ((["ACGT"], 21, 0), ValueError, "scale 0: expected at least 1"),
        ((["ACGX"], 3), AlphabetError, "letter 'X' at position 3"),
    ],
)
def test_what_cannot_be_sketched(arguments, error, message):
    with pytest.raises(error, match=message):
        sketch(*arguments)


@settings(deadline=None, max_examples=100)
@given(st.floats(1, 10_000), st.floats(0.01, 1), st.integers(8, 31))
def test_twelve_shared_kmers_are_expected(length, share, k):
    scale = scale_for(length, share, k)
    assert 1 <= scale <= 64
    shared = share * (length - k + 1)
    assert scale == 1 or shared / scale >= 12 - 1e-9
    assert scale == 64 or shared / (scale + 1) < 12


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sets(st.integers(0, 40)), max_size=30), st.sets(st.integers(0, 40)))
def test_the_index_counts_what_is_shared(sets, query):
    index = SketchIndex()
    for number, members in enumerate(sets):
        index.add(number, words(members))
    numbers, counts = index.find(words(query))
    expected = {n: len(members & query) for n, members in enumerate(sets) if members & query}
    assert dict(zip(numbers.tolist(), counts.tolist(), strict=True)) == expected


def words(members):
    """Sorted words of which many begin their search at the same slot of the table."""
    return np.array(sorted(member << 12 for member in members), np.uint64)


def test_the_index_grows():
    index = SketchIndex()
    rows = CounterRng("index").words(40_000).reshape(400, 100)
    for number, row in enumerate(rows):
        index.add(number, np.sort(row))
    assert 8 * 40_000 / 0.6 <= index.num_bytes <= 27 * 40_000
    for number in (0, 17, 399):
        numbers, counts = index.find(rows[number])
        assert dict(zip(numbers.tolist(), counts.tolist(), strict=True))[number] == 100


def test_there_is_room_for_whatever_is_found():
    """100 k-mers that 200 sequences share are 20,000 pairs, and more in the next question."""
    index = SketchIndex()
    for number in range(200):
        index.add(number, np.arange(100 + number % 2, dtype=np.uint64))
    for _ in range(2):
        numbers, counts = index.find(np.arange(101, dtype=np.uint64))
        assert numbers.tolist() == list(range(200))
        assert counts.tolist() == [100, 101] * 100


def test_of_a_kmer_in_many_sequences_the_first_are_known():
    index = SketchIndex()
    for number in range(MOST_COPIES + 50):
        known = index.add(number, np.array([7, 1000 + number], np.uint64))
        assert known == (1.0 if number < MOST_COPIES else 0.5)
    assert index.find(np.array([7], np.uint64))[0].tolist() == list(range(MOST_COPIES))
    last = MOST_COPIES + 49
    assert index.find(np.array([1000 + last], np.uint64))[0].tolist() == [last]
