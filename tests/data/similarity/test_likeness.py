"""What the index of like sequences finds, whatever their lengths, and how rarely it overlooks."""

from math import ceil, comb, lgamma, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data.similarity.likeness import LikeIndex, least_sampled
from helixlm.rng import CounterRng
from helixlm.seq.ops import reverse_complement


def random_dna(name, length):
    return "".join("ACGT"[code] for code in CounterRng("test", name).integers(0, 4, length))


def index_of(texts, near, scale):
    index = LikeIndex(near, 21, scale, lambda number: texts[number].upper().encode())
    index.add(texts)
    return index


def found_in(index, texts):
    """Pairs of numbers, in `texts` and in the index, and what is said of each pair."""
    sampled = index.sample(texts)
    return {
        (number, found.number): (found.share, found.contained)
        for number, text in enumerate(texts)
        for found in index.alike(text, sampled.of(number))
    }


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.integers(21, 250), st.integers(0, 1500)), min_size=1, max_size=12),
    st.sampled_from([0.2, 0.5, 1.0]),
    st.sampled_from([1, 7, 40, 64]),
    st.integers(0, 99),
)
def test_what_stands_in_a_longer_sequence_is_always_found(sizes, near, scale, seed):
    """Sequences of any length, looked up in the longer ones or the other way round."""
    short, long = [], []
    for number, (inner, more) in enumerate(sizes):
        text = random_dna(f"{seed} {number}", inner + more)
        first = (seed * 37) % (more + 1)
        short.append(text[first : first + inner])
        long.append(reverse_complement(text) if number % 2 else text.lower())
    expected = {(n, n): (1, True) for n, (_, more) in enumerate(sizes) if more}
    assert found_in(index_of(short, near, scale), long) == expected
    queries = index_of(long, near, scale)
    sampled = queries.sample(short)
    dense = [n for n in range(len(sizes)) if not queries.is_sparse(sampled.of(n))]
    found = found_in(queries, short)
    assert {pair: found[pair] for pair in expected if pair[0] in dense} == {
        pair: expected[pair] for pair in expected if pair[0] in dense
    }


def poisson(mean):
    """Probabilities of 0, 1, 2, ... as far as they matter."""
    count = np.arange(int(mean + 12 * mean**0.5 + 30))
    return np.exp(count * log(mean) - mean - np.array([lgamma(n + 1) for n in count]))


@pytest.mark.parametrize("near", [0.05, 0.07, 0.1, 0.2, 0.28, 0.5, 0.8, 1.0])
def test_pairs_at_the_threshold_are_overlooked_below_one_in_1000(near):
    """Of a sequence's sampled k-mers `near` are shared; a quarter of that must be, and one."""

    least, enough = least_sampled(near), LikeIndex(near, 21, 1, lambda _: b"").num_lowest
    assert 1 <= least < enough
    # Its lowest hashes stand for a sparse one. They are drawn with replacement here: the bound is
    # then above that of the hypergeometric distribution.
    few = ceil(near * enough / 4)
    lowest = sum(comb(enough, n) * near**n * (1 - near) ** (enough - n) for n in range(few))
    for sampled in np.linspace(0.2, 3, 57) * 12 / near:
        shared, others = poisson(near * sampled), poisson(max((1 - near) * sampled, 1e-9))
        chance = shared[:, None] * others
        x, y = np.arange(len(shared))[:, None], np.arange(len(others))
        sparse = x + y < least
        missed = ~sparse & ((x == 0) | (x < near * (x + y) / 4))
        assert chance[missed].sum() + chance[sparse].sum() * lowest < 1e-3


def test_few_regular_sequences_are_sparse():
    texts = [random_dna(n, 1000) for n in range(1000)]
    index = index_of(texts, 0.5, 40)
    sampled = index.sample(texts)
    assert sum(index.is_sparse(sampled.of(n)) for n in range(1000)) < 40


def test_sequences_without_kmers_are_said_and_not_hidden():
    texts = [random_dna("a", 20), "N" * 500, "ACGTNNNN" * 30, random_dna("b", 21), ""]
    for scale in (1, 40):
        index = index_of(texts, 0.5, scale)
        assert index.without_kmers().tolist() == [True, True, True, False, True]
        assert not index.hidden().any()
        assert found_in(index, [random_dna("b", 21) + "A"]) == {(0, 3): (1, True)}
