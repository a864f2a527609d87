"""CounterRng against the definition of Philox, its published answers, and plain statistics."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helixlm.rng import CounterRng

MASK = 2**64 - 1


def philox(counter, key):
    """Philox4x64-10 as Salmon et al. (2011) define it, in Python integers."""
    counter, key = list(counter), list(key)
    for _ in range(10):
        low = counter[0] * 0xD2E7470EE14C6C93
        high = counter[2] * 0xCA5A826395121157
        counter = [
            (high >> 64) ^ counter[1] ^ key[0],
            high & MASK,
            (low >> 64) ^ counter[3] ^ key[1],
            low & MASK,
        ]
        key = [(key[0] + 0x9E3779B97F4A7C15) & MASK, (key[1] + 0xBB67AE8584CAA73B) & MASK]
    return counter


def slow_words(text, count):
    """What a key's text gives: its BLAKE2b digest is the key, the counter goes from 1."""
    digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
    key = [int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")]
    blocks = [philox([1 + i, 0, 0, 0], key) for i in range(-(-count // 4))]
    return [word for block in blocks for word in block][:count]


def test_the_definition_gives_the_published_answers():
    # Random123, tests/kat_vectors, philox4x64 10.
    pi = [0x243F6A8885A308D3, 0x13198A2E03707344, 0xA4093822299F31D0, 0x082EFA98EC4E6C89]
    pi_key = [0x452821E638D01377, 0xBE5466CF34E90C6C]
    answers = {
        (0,): "16554d9eca36314c db20fe9d672d0fdc d7e772cee186176b 7e68b68aec7ba23b",
        (MASK,): "87b092c3013fe90b 438c3c67be8d0224 9cc7d7c69cd777b6 a09caebf594f0ba0",
        tuple(pi): "a528f45403e61d95 38c72dbd566e9788 a5a1610e72fd18b5 57bd43b5e52b7fe6",
    }
    for start, answer in answers.items():
        counter = pi if len(start) == 4 else list(start) * 4
        key = pi_key if len(start) == 4 else list(start) * 2
        assert " ".join(f"{word:016x}" for word in philox(counter, key)) == answer


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ((), ""),
        (("mask", 7, 12), "str:mask\x1fint:7\x1fint:12"),
        (("windows", 0, "chr1", 3_000_000), "str:windows\x1fint:0\x1fstr:chr1\x1fint:3000000"),
    ],
)
def test_words_are_philox_of_the_key(key, text):
    assert CounterRng(*key).words(11).tolist() == slow_words(text, 11)


def test_frozen_values():
    # From our own output; they must never change, or old seeds would give new data.
    rng = CounterRng("dice", 7)
    assert rng.integers(1, 7, 5).tolist() == [4, 6, 3, 6, 6]
    assert CounterRng("dice", 7).words(1).tolist() == slow_words("str:dice\x1fint:7", 1)
    assert CounterRng("dice", 7).integer(1, 7) == 4


def test_numbers_follow_from_words():
    words = [int(word) for word in CounterRng("w").words(50)]
    assert CounterRng("w").uniform(50).tolist() == [(w >> 11) / 2**53 for w in words]
    expected = [10 + ((w >> 32) * 7 >> 32) for w in words]
    assert CounterRng("w").integers(10, 17, 50).tolist() == expected
    order = sorted(range(50), key=lambda i: words[i])
    assert CounterRng("w").permutation(50).tolist() == order


def test_a_stream_goes_on_where_it_was():
    rng = CounterRng("stream", 1)
    parts = np.concatenate([rng.words(3), rng.words(0), rng.words(6)])
    assert np.array_equal(parts, CounterRng("stream", 1).words(9))


def test_global_state_is_neither_read_nor_changed():
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    CounterRng("a").uniform(100)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_different_keys_give_different_streams():
    keys = [(), ("",), ("a",), ("a", 1), ("a", "1"), (1, "a"), ("a", 1, 0), ("a1",), (1,), (-1,)]
    keys += [("a", seed) for seed in range(2, 200)] + [("a", 2**80), ("ab", "c"), ("a", "bc")]
    streams = {tuple(CounterRng(*key).words(4).tolist()) for key in keys}
    assert len(streams) == len(keys)


def test_streams_of_neighbouring_seeds_are_not_correlated():
    streams = np.array([CounterRng("seed", seed).uniform(2000) for seed in range(20)])
    off_diagonal = np.corrcoef(streams)[np.triu_indices(20, k=1)]
    assert np.abs(off_diagonal).max() < 5 / np.sqrt(2000)


@pytest.mark.parametrize(("low", "high"), [(0, 2), (1, 7), (256, 1024), (-50, 50)])
def test_integers_are_uniform(low, high):
    draws = CounterRng("chi", low, high).integers(low, high, 40_000)
    assert draws.dtype == np.int64
    counts = np.bincount(draws - low, minlength=high - low)
    assert len(counts) == high - low
    assert stats.chisquare(counts).pvalue > 1e-3


def test_uniform_is_uniform_and_below_one():
    draws = CounterRng("uniform").uniform(40_000)
    assert draws.min() >= 0
    assert draws.max() < 1
    assert stats.kstest(draws, "uniform").pvalue > 1e-3


def test_the_widest_range_and_the_narrowest():
    draws = CounterRng("wide").integers(-(2**30), 2**30, 1000)
    assert draws.min() >= -(2**30)
    assert draws.max() < 2**30
    assert draws.max() - draws.min() > 2**31 * 0.98
    assert CounterRng("narrow").integers(5, 6, 10).tolist() == [5] * 10


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 300), st.integers())
def test_permutation_is_a_permutation(count, seed):
    order = CounterRng("order", seed).permutation(count)
    assert order.dtype == np.int64
    assert sorted(order.tolist()) == list(range(count))


def test_permutations_are_equally_likely():
    counts = Counter(tuple(CounterRng("p", i).permutation(3).tolist()) for i in range(3000))
    assert len(counts) == 6
    assert stats.chisquare(list(counts.values())).pvalue > 1e-3


def test_choice_follows_its_weights():
    weights = [1, 0, 5, 4]
    counts = np.bincount(CounterRng("choice").choice(weights, 20_000), minlength=4)
    assert counts[1] == 0
    expected = np.array([1, 5, 4]) / 10 * 20_000
    assert stats.chisquare(counts[[0, 2, 3]], expected).pvalue > 1e-3
    assert CounterRng("one").choice([0, 0, 2], 5).tolist() == [2] * 5


def test_choice_at_the_borders_between_weights(monkeypatch):
    monkeypatch.setattr(CounterRng, "uniform", lambda self, count: np.array([0.0, 0.5, 0.25]))
    assert CounterRng("a").choice([0, 1, 1, 2], 3).tolist() == [1, 3, 2]


@pytest.mark.parametrize(("low", "high"), [(3, 3), (4, 3), (0, 2**31 + 1)])
def test_ranges_that_are_refused(low, high):
    with pytest.raises(ValueError, match=rf"integers\({low}, {high}\): expected a range of 1 to"):
        CounterRng("a").integers(low, high, 1)


@pytest.mark.parametrize(
    "weights", [[], [0, 0], [2, -1], [-1], [1, float("nan")], [float("nan"), 1], [float("inf")]]
)
def test_weights_that_are_refused(weights):
    with pytest.raises(ValueError, match="choice: expected finite weights that are not negative"):
        CounterRng("a").choice(weights, 1)


def test_integers_of_numpy_are_integers_and_odd_parts_are_refused():
    for same in (np.int64(3), np.uint8(3)):
        assert CounterRng("a", same).words(3).tolist() == CounterRng("a", 3).words(3).tolist()
    assert CounterRng("3").words(3).tolist() != CounterRng(3).words(3).tolist()
    assert CounterRng("a", "b").words(3).tolist() != CounterRng("ab").words(3).tolist()
    with pytest.raises(ValueError, match=r"expected strings without the character U\+001F"):
        CounterRng("a\x1fstr:b")
    with pytest.raises(TypeError):
        CounterRng("a", 0.5)
