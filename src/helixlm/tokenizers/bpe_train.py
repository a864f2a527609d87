"""Training of byte-pair encoding: exactly, in memory that is said before and kept.

In: lines of letters. Out: a `BpeTokenizer`. Lines are read in upper case and cut at every letter
other than A, C, G and T, so such letters are never learned and no merge crosses one. There is no
end-of-word mark: TinyDNABERT's script trains with one (``</w>``), and 13 or so of its 1,024 entries
are tokens that its encoder can then never emit.

The merges are those of the `tokenizers` library for the same text, in the same order. How they are
found is said in bpe_merges.py.
"""

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from helixlm.tokenizers.base import SPECIAL_ORDERS, SpecialOrder, TokenizerError, size_problem
from helixlm.tokenizers.bpe import BASES, BpeTokenizer, bpe_tokenizer
from helixlm.tokenizers.bpe_iterative import iterative_merges
from helixlm.tokenizers.bpe_merges import Merge, learn_merges
from helixlm.tokenizers.bpe_text import (
    EmptyTextError,
    TrainingText,
    least_bytes,
    read_text,
)

log = logging.getLogger(__name__)

BYTES_A_BASE = 2.75
"""memory that is taken where no limit is given"""

Progress = Callable[[int, int | None], None]


def every_nth(lines: Iterable[str], n: int) -> Iterator[str]:
    """Yield lines 0, n, 2n, ...: TinyDNABERT's sample with n = 10.

    Parameters
    ----------
    lines : iterable of str
        Any text.
    n : int
        Distance of the lines that are taken.

    Examples
    --------
    >>> list(every_nth("ABCDEFG", 3))
    ['A', 'D', 'G']
    """
    return islice(lines, 0, None, n)


def train_bpe(
    lines: Iterable[str],
    *,
    vocab_size: int = 1024,
    min_frequency: int = 4,
    special_order: SpecialOrder = "roberta",
    max_token_bp: int | None = None,
    max_tokens: int | None = 512,
    memory_bytes: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> BpeTokenizer:
    """Learn merges from lines of DNA; the same lines give the same tokenizer.

    Parameters
    ----------
    lines : iterable of str
        Sequences, each counted as often as it comes.
    vocab_size : int
        Entries of the vocabulary at most, special tokens and bases counted.
    min_frequency : int
        A pair must occur this often to be merged.
    special_order : {"roberta", "published", "dnabert2", "gena-lm"}
        Order of the special tokens, see `SPECIAL_ORDERS`.
    max_token_bp : int, optional
        Longest token in bases, 2 or more.
    max_tokens : int, optional
        Longest input of the model in tokens, for transformers.
    memory_bytes : int, optional
        Memory to keep to, beside the interpreter. By default 2.75 bytes a base, and at least 16 MiB
        more than the text takes.
    threads : int, optional
        Threads; by default one for each core. Their number changes no result.
    progress : callable, optional
        Called as ``progress(lines read, None)`` while reading, then as ``progress(merges,
        merges wanted)``.

    Returns
    -------
    BpeTokenizer
        With fewer entries than asked, and a warning, where the text has no more frequent pairs.

    Raises
    ------
    TokenizerError
        If the text holds no two bases side by side, the vocabulary has no room for the alphabet or
        too many entries, the minimum frequency is under 1, or the memory is too small.

    References
    ----------
    Sennrich, Haddow & Birch (2016), Neural machine translation of rare words with subword units.
    ForestsKing/TinyDNABERT, ``2_tokenizer.py`` (the defaults).
    """
    fixed = _fixed(vocab_size, min_frequency, special_order, max_token_bp)
    text, merges = _learn(
        lines, vocab_size - fixed, min_frequency, max_token_bp, memory_bytes, threads, progress
    )
    tokens = _spelled(merges)
    tokenizer = bpe_tokenizer(
        [(tokens[left], tokens[right]) for left, right, _ in merges],
        special_order=special_order,
        max_tokens=max_tokens,
    )
    log.info(
        "trained a vocabulary of %d on %d bases in %d lines",
        tokenizer.vocab_size,
        text.num_bases,
        text.num_lines,
    )
    if tokenizer.vocab_size < vocab_size:
        log.warning(
            "the vocabulary has %d entries, %d were asked: after %d merges no pair%s occurs %d "
            "times in the %d bases of the training text; give more text, or a lower minimum "
            "frequency%s",
            tokenizer.vocab_size,
            vocab_size,
            len(merges),
            _within(max_token_bp),
            min_frequency,
            text.num_bases,
            _or_longer(max_token_bp),
        )
    return tokenizer


def train_bpe_by_parts(
    parts: Iterable[Iterable[str]],
    *,
    vocab_size: int = 4096,
    min_frequency: int = 4,
    special_order: SpecialOrder = "roberta",
    max_token_bp: int | None = None,
    max_tokens: int | None = 512,
    memory_bytes: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> BpeTokenizer:
    """Train as dnaGrinder did: on one part of the text after the other, see bpe_iterative.py.

    Parameters
    ----------
    parts : iterable of iterable of str
        The sequences of each part, such as those of each file, or what `parts_of` gives. A part
        that holds no two bases side by side is passed over, with a warning.
    vocab_size, min_frequency, special_order, max_token_bp, max_tokens, memory_bytes, threads,
    progress
        As `train_bpe` has them; the memory is that of one part. The progress begins anew with each.

    Returns
    -------
    BpeTokenizer
        With fewer entries than asked, and a warning, where tokens that were frequent enough
        cannot be made by merging two others.

    Raises
    ------
    TokenizerError
        As `train_bpe`: for any part, and an `EmptyTextError` if there is nothing to learn in all
        of them.

    References
    ----------
    The dnaGrinder paper (arXiv:2409.15697), section 2.1.1.
    """
    fixed = _fixed(vocab_size, min_frequency, special_order, max_token_bp)

    problems: list[EmptyTextError] = []
    learned = 0

    def learn(part: Iterable[str]) -> dict[str, int]:
        nonlocal learned
        try:
            _, merges = _learn(
                part,
                vocab_size - fixed,
                min_frequency,
                max_token_bp,
                memory_bytes,
                threads,
                progress,
            )
        except EmptyTextError as error:
            problems.append(error)
            return {}
        learned += 1
        frequencies = (merge.frequency for merge in merges)
        return dict(zip(_spelled(merges)[len(BASES) :], frequencies, strict=True))

    merges, lost = iterative_merges(parts, size=vocab_size - fixed, learn=learn)
    if not learned:
        raise problems[-1] if problems else EmptyTextError("nothing to train on: no part was given")
    for problem in problems:
        log.warning("a part of the text was passed over: %s", problem)
    if learned == 1:
        log.warning(
            "the text is a single part, so the method 'iterative' gives what 'exact' gives: give "
            "several files, or the bases of a part"
        )
    tokenizer = bpe_tokenizer(merges, special_order=special_order, max_tokens=max_tokens)
    if lost:
        log.warning(
            "the vocabulary has %d entries, %d were asked: %d tokens, such as %s, were frequent "
            "enough, but merging by rank makes them from no two others; the method 'exact' has no "
            "such loss",
            tokenizer.vocab_size,
            vocab_size,
            len(lost),
            lost[0],
        )
    elif tokenizer.vocab_size < vocab_size:
        log.warning(
            "the vocabulary has %d entries, %d were asked: no more pairs%s occur %d times in a "
            "part of the training text; give larger parts, or a lower minimum frequency%s",
            tokenizer.vocab_size,
            vocab_size,
            _within(max_token_bp),
            min_frequency,
            _or_longer(max_token_bp),
        )
    return tokenizer


def _within(max_token_bp: int | None) -> str:
    """Name the limit of a pair's length, where there is one."""
    return "" if max_token_bp is None else f" of {max_token_bp} bases or fewer"


def _or_longer(max_token_bp: int | None) -> str:
    """Name the remedy of a limit, where there is one."""
    return "" if max_token_bp is None else f", or longer tokens (now {max_token_bp} bases at most)"


def _fixed(
    vocab_size: int, min_frequency: int, special_order: SpecialOrder, max_token_bp: int | None
) -> int:
    """Entries of a vocabulary that are no merges; refuses settings that cannot be."""
    problem = size_problem(vocab_size, special_order)
    if problem is not None:
        raise TokenizerError(problem)
    if min_frequency < 1:
        raise TokenizerError(
            f"a minimum frequency of {min_frequency} would merge pairs that occur nowhere, "
            "expected 1 or more"
        )
    if max_token_bp is not None and max_token_bp < 2:
        raise TokenizerError(
            f"a longest token of {max_token_bp} bases leaves nothing to merge, expected 2 or more"
        )
    return len(SPECIAL_ORDERS[special_order]) + len(BASES)


def _learn(
    lines: Iterable[str],
    num_merges: int,
    min_frequency: int,
    max_token_bp: int | None,
    memory_bytes: int | None,
    threads: int | None,
    progress: Progress | None,
) -> tuple[TrainingText, list[Merge]]:
    """Read a text and learn its merges."""
    text = read_text(
        lines,
        max_regions=threads or os.cpu_count() or 1,
        memory_bytes=memory_bytes,
        progress=progress,
    )
    if num_merges and text.num_bases == text.num_runs:
        raise EmptyTextError(
            f"nothing to merge: the training text of {text.num_lines} lines holds no two bases "
            "side by side; give longer sequences"
        )
    merges = learn_merges(
        text,
        num_merges=num_merges,
        min_frequency=min_frequency,
        max_token_bp=max_token_bp,
        memory_bytes=_memory(text, memory_bytes),
        progress=progress,
    )
    return text, merges


def _spelled(merges: Iterable[Merge]) -> list[str]:
    """Text of the bases and of the tokens that merges make, by their id while training."""
    tokens = list(BASES)
    for left, right, _ in merges:
        tokens.append(tokens[left] + tokens[right])
    return tokens


def _memory(text: TrainingText, given: int | None) -> int:
    """Say what memory is taken, before it is."""
    least = least_bytes(text.num_bases + text.num_runs)
    memory = given or max(int(BYTES_A_BASE * text.num_bases), least)
    log.info("training takes up to %.1f MB of memory for %d bases", memory / 1e6, text.num_bases)
    return memory
