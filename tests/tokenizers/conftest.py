"""Small tokenizers, made here."""

import pytest

from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe_train import train_bpe
from helixlm.tokenizers.char import book_tokenizer, char_tokenizer


def random_lines(*key, count=60, length=200, letters="ACGT", weights=(3, 2, 2, 3)):
    """Lines of random DNA with some words that come again and again, so that merges have depth."""
    rng = CounterRng("lines", *key)
    words = ["TATAAA", "CACGTG", "GATTACA", "AAAAAAAAAAAA", "CGCGCG"]
    lines = []
    for _ in range(count):
        line = "".join(letters[i] for i in rng.choice(weights, length))
        for place, word in zip(
            sorted(rng.integers(0, length, 8)), rng.integers(0, 5, 8), strict=True
        ):
            line = line[:place] + words[word] + line[place:]
        lines.append(line)
    return lines


@pytest.fixture(scope="session")
def lines():
    return random_lines(0)


@pytest.fixture(scope="session")
def bpe(lines):
    return train_bpe(lines, vocab_size=80, min_frequency=2)


@pytest.fixture(scope="session")
def published(lines):
    return train_bpe(lines, vocab_size=80, min_frequency=2, special_order="published")


@pytest.fixture(scope="session")
def char():
    return char_tokenizer()


@pytest.fixture(scope="session")
def book():
    return book_tokenizer()


@pytest.fixture(params=["bpe", "published", "char", "book"])
def tokenizer(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def make_lines():
    return random_lines
