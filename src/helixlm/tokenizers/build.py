"""From a configuration and sequences to a tokenizer: trained where the kind needs it."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, Literal

from helixlm.tokenizers.base import Tokenizer, TokenizerConfig
from helixlm.tokenizers.bpe_iterative import parts_of
from helixlm.tokenizers.bpe_train import every_nth, train_bpe, train_bpe_by_parts
from helixlm.tokenizers.char import book_tokenizer, char_tokenizer, hyenadna_tokenizer
from helixlm.tokenizers.kmer import nt_tokenizer
from helixlm.tokenizers.kmer_overlapping import dnabert_tokenizer


def build_tokenizer(
    config: TokenizerConfig,
    *texts: Iterable[str],
    memory_bytes: int | None = None,
    threads: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Tokenizer:
    """Train or construct the tokenizer that a configuration describes.

    Parameters
    ----------
    config : TokenizerConfig
        What to make.
    *texts : iterable of str
        Training text: the sequences of each file. All of them: where the method is to sample, that
        is done here. Not read where there is nothing to train.
    memory_bytes, threads : int, optional
        What training may use, see `train_bpe`. They change no result.
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
        how = {"memory_bytes": memory_bytes, "threads": threads, "progress": progress}
        return _trained(config, texts, how)
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
    config: TokenizerConfig, texts: Sequence[Iterable[str]], how: dict[str, Any]
) -> Tokenizer:
    """Train byte-pair encoding by the method that is asked for."""
    how |= {
        "vocab_size": config.vocab_size,
        "min_frequency": config.min_frequency,
        "special_order": config.special_order,
        "max_token_bp": config.max_token_bp,
        "max_tokens": config.max_tokens,
    }
    sequences = chain.from_iterable(texts)
    if config.method == "iterative":
        parts = parts_of(sequences, config.part_bp) if config.part_bp else texts
        return train_bpe_by_parts(parts, **how)
    if config.method == "sample":
        return train_bpe(every_nth(sequences, config.sample_every), **how)
    return train_bpe(sequences, **how)
