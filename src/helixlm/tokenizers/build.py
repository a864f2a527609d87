"""From a configuration and sequences to a tokenizer: trained where the kind needs it."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from helixlm.tokenizers.base import Tokenizer, TokenizerConfig
from helixlm.tokenizers.bpe_train import every_nth, train_bpe, train_bpe_by_parts
from helixlm.tokenizers.char import book_tokenizer, char_tokenizer, hyenadna_tokenizer
from helixlm.tokenizers.kmer import nt_tokenizer
from helixlm.tokenizers.kmer_overlapping import dnabert_tokenizer


def build_tokenizer(
    config: TokenizerConfig,
    sequences: Iterable[str] = (),
    *,
    progress: Callable[[int, int | None], None] | None = None,
) -> Tokenizer:
    """Train or construct the tokenizer that a configuration describes.

    Parameters
    ----------
    config : TokenizerConfig
        What to make.
    sequences : iterable of str
        Training text. All of it: where the method is to sample, that is done here. Not read
        where there is nothing to train.
    progress : callable, optional
        Called as ``progress(sequences used, None)`` while reading, then as ``progress(merges,
        merges wanted)``.

    Returns
    -------
    Tokenizer
        Ready to use.

    Raises
    ------
    TokenizerError
        If there is nothing to train on.
    """
    if config.kind == "bpe":
        return _trained(config, sequences, progress)
    if config.preset == "book":
        return book_tokenizer(max_tokens=config.max_tokens)
    if config.preset == "hyenadna":
        return hyenadna_tokenizer(max_tokens=config.max_tokens)
    if config.kind == "kmer" and config.overlap:
        return dnabert_tokenizer(config.k, max_tokens=config.max_tokens)
    if config.kind == "kmer":
        version: Literal[1, 2] = 1 if config.preset == "nt-v1" else 2
        return nt_tokenizer(version, k=config.k, max_tokens=config.max_tokens)
    return char_tokenizer(special_order=config.special_order, max_tokens=config.max_tokens)


def _trained(
    config: TokenizerConfig,
    sequences: Iterable[str],
    progress: Callable[[int, int | None], None] | None,
) -> Tokenizer:
    """Train byte-pair encoding by the method that is asked for."""
    how: dict[str, Any] = {
        "vocab_size": config.vocab_size,
        "min_frequency": config.min_frequency,
        "special_order": config.special_order,
        "max_token_bp": config.max_token_bp,
        "max_tokens": config.max_tokens,
        "progress": progress,
    }
    if config.method == "iterative":
        return train_bpe_by_parts(sequences, part_bp=config.part_bp, **how)
    if config.method == "sample":
        sequences = every_nth(sequences, config.sample_every)
    return train_bpe(sequences, **how)
