"""The configuration's rules, and what is built from it."""

import pytest
from pydantic import ValidationError

from helixlm.tokenizers import bpe_text, bpe_train
from helixlm.tokenizers.base import TokenizerConfig, TokenizerError
from helixlm.tokenizers.bpe_train import train_bpe, train_bpe_by_parts
from helixlm.tokenizers.build import build_tokenizer


def test_defaults_are_those_of_tinydnabert_but_for_the_sample():
    config = TokenizerConfig()
    assert (config.kind, config.vocab_size, config.min_frequency, config.sample_every) == (
        "bpe", 1024, 4, 10
    )  # fmt: skip
    assert config.method == "exact"
    assert TokenizerConfig(**config.model_dump()) == config


def test_bpe_is_trained_on_every_nth_sequence(lines):
    config = TokenizerConfig(
        method="sample", vocab_size=40, min_frequency=2, sample_every=3, max_token_bp=3
    )
    calls = []
    built = build_tokenizer(config, iter(lines), progress=lambda *call: calls.append(call))
    assert calls == [(20, None), *((merges, 31) for merges in range(1, 32))]
    expected = train_bpe(lines[::3], vocab_size=40, min_frequency=2, max_token_bp=3)
    assert built.sha256 == expected.sha256
    assert built.kind == "bpe"


def test_exact_reads_every_sequence(lines):
    exact = build_tokenizer(TokenizerConfig(vocab_size=40, min_frequency=2), lines)
    assert exact.sha256 == train_bpe(lines, vocab_size=40, min_frequency=2).sha256


def test_iterative_of_one_part_knows_the_tokens_of_exact(lines):
    settings = {"vocab_size": 40, "min_frequency": 2}
    whole = build_tokenizer(TokenizerConfig(method="iterative", **settings), lines)
    assert set(whole.tokens) == set(train_bpe(lines, **settings).tokens)
    parts = TokenizerConfig(method="iterative", part_bp=2000, **settings)
    assert build_tokenizer(parts, lines).sha256 != whole.sha256


def test_iterative_takes_each_file_as_a_part(lines):
    settings = {"method": "iterative", "vocab_size": 40, "min_frequency": 2}
    files = build_tokenizer(TokenizerConfig(**settings), lines[:20], lines[20:])
    expected = train_bpe_by_parts([lines[:20], lines[20:]], vocab_size=40, min_frequency=2)
    assert files.sha256 == expected.sha256
    parts = TokenizerConfig(**settings, part_bp=1000)
    by_bases = build_tokenizer(parts, lines[:20], lines[20:])
    assert by_bases.sha256 == build_tokenizer(parts, lines).sha256 != files.sha256


def test_exact_does_not_care_for_files(lines):
    config = TokenizerConfig(vocab_size=40, min_frequency=2)
    assert build_tokenizer(config, lines[:7], lines[7:]).sha256 == (
        build_tokenizer(config, lines).sha256
    )


@pytest.mark.parametrize("method", ["exact", "sample", "iterative"])
def test_memory_and_threads_reach_the_trainer(lines, monkeypatch, method):
    seen = []

    def read_text(text, **settings):
        seen.append((settings["max_regions"], settings["memory_bytes"]))
        return bpe_text.read_text(text, **settings)

    monkeypatch.setattr(bpe_train, "read_text", read_text)
    config = TokenizerConfig(vocab_size=40, min_frequency=2, method=method)
    made = build_tokenizer(config, lines, memory_bytes=10**8, threads=7)
    assert seen == [(7, 10**8)]
    assert made.sha256 == build_tokenizer(config, lines).sha256
    with pytest.raises(TokenizerError, match="bytes of memory are too small"):
        build_tokenizer(config, lines, memory_bytes=1000)


def test_settings_reach_the_tokenizer(lines):
    made = build_tokenizer(
        TokenizerConfig(vocab_size=20, special_order="published", max_tokens=77), lines
    )
    assert (made.special.pad, made.max_tokens) == (3, 77)
    made = build_tokenizer(TokenizerConfig(kind="char", special_order="published", max_tokens=None))
    assert (made.special.pad, made.max_tokens, made.vocab_size) == (3, None, 10)
    made = build_tokenizer(TokenizerConfig(kind="char", preset="book", max_tokens=9))
    assert (made.special.pad, made.max_tokens, made.vocab_size) == (19, 9, 23)


def test_sequences_are_not_read_where_nothing_is_trained():
    def never():
        raise AssertionError("read")
        yield

    assert build_tokenizer(TokenizerConfig(kind="char"), never()).kind == "char"


def test_no_sequences():
    with pytest.raises(TokenizerError, match="nothing to train on: 0 lines"):
        build_tokenizer(TokenizerConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"preset": "book", "kind": "bpe"},
            "preset 'book' has kind 'char', found 'bpe': leave kind out, or leave the preset out",
        ),
        ({"preset": "dnabert2", "vocab_size": 1024}, "'dnabert2' has vocab_size 4096, found 1024"),
        ({"preset": "tinydnabert", "method": "exact"}, "has method 'sample', found 'exact'"),
        ({"preset": "nt-v2", "k": 5}, "preset 'nt-v2' has k 6, found 5: leave k out"),
        ({"preset": "nt-v2", "overlap": True}, "has overlap False, found True"),
        ({"preset": "dnabert-6", "vocab_size": 4101}, "has vocab_size 1024, found 4101"),
        ({"preset": "dnabert"}, "'dnabert-3', 'dnabert-4'"),
        ({"kind": "char", "special_order": "dnabert2"}, "is one of kind 'bpe', but kind is 'char'"),
        ({"kind": "kmer", "special_order": "published"}, "does not go with kind 'kmer'"),
        ({"k": 8}, "less than or equal to 7"),
        ({"k": 1}, "greater than or equal to 2"),
        ({"vocab_size": 8}, "vocabulary of 8 has no room: 5 special tokens and the 4 bases need 9"),
        ({"vocab_size": 9, "special_order": "gena-lm"}, "6 special tokens .* need 10"),
        ({"min_frequency": 0}, "greater than or equal to 1"),
        ({"sample_every": 0}, "greater than or equal to 1"),
        ({"max_token_bp": 1}, "greater than or equal to 2"),
        ({"max_tokens": 0}, "greater than or equal to 1"),
        ({"kind": "word"}, "'bpe', 'char' or 'kmer'"),
        ({"size": 5}, "Extra inputs are not permitted"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        TokenizerConfig(**settings)


def test_configuration_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        TokenizerConfig().kind = "char"
