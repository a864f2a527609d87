"""What a tokenizer does to a text: token lengths, use of the vocabulary, cost in bits per base.

In: a tokenizer and sequences, streamed. Out: counts, and their description as text; nothing here
draws or writes files. All counts come from one pass, in memory that depends on the vocabulary only.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from helixlm.tokenizers.base import Tokenizer, TokenizerError, in_its_case

SEQUENCES_AT_ONCE = 1024
BAR_WIDTH = 30


@dataclass(frozen=True, kw_only=True)
class TokenizerReport:
    """Counts of the tokens of a text. Special tokens that surround sequences are not counted."""

    kind: str
    """bpe, char or kmer"""
    sha256: str
    """hash of tokenizer.json"""
    tokens: tuple[str, ...]
    """the text of each token, by id"""
    token_bp: NDArray[np.int32]
    """bases that each token covers, shape (V,)"""
    is_base: NDArray[np.bool_]
    """whether the token stands for known bases, shape (V,): not so for special tokens and unk"""
    counts: NDArray[np.int64]
    """how often each token occurs in the text, shape (V,)"""
    unk: int
    """id of the unknown token"""
    num_sequences: int
    """sequences in the text, empty ones too"""
    num_bases: int
    """letters in the text"""
    overlap_bp: int = 0
    """bases that a token shares with the one before it"""

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens counted."""
        return len(self.tokens)

    @property
    def num_tokens(self) -> int:
        """Tokens in the text."""
        return int(self.counts.sum())

    @property
    def bases_per_token(self) -> float:
        """Letters of the text by its tokens: 1 and a little for overlapping k-mers."""
        return self.num_bases / self.num_tokens

    @property
    def vocabulary_lengths(self) -> dict[int, int]:
        """Length in bases -> entries of the vocabulary; special tokens and unk are left out."""
        return _histogram(self.token_bp[self.is_base], None)

    @property
    def text_lengths(self) -> dict[int, int]:
        """Length in bases -> tokens of the text; unknown letters are left out."""
        return _histogram(self.token_bp[self.is_base], self.counts[self.is_base])

    @property
    def unknown_share(self) -> float:
        """Share (0 to 1) of the text's tokens that stand for an unknown letter."""
        return int(self.counts[self.unk]) / self.num_tokens

    @property
    def unknown_base_share(self) -> float:
        """Share (0 to 1) of the text's letters that are unknown.

        NaN for overlapping k-mers, of which one letter makes several unknown.
        """
        if self.overlap_bp:
            return math.nan
        return int(self.counts[self.unk]) / self.num_bases

    @property
    def usable_tokens(self) -> int:
        """Entries of the vocabulary that stand for bases."""
        return int(self.is_base.sum())

    @property
    def unused_tokens(self) -> int:
        """Entries of the vocabulary that stand for bases and that the text never uses."""
        return int((self.is_base & (self.counts == 0)).sum())

    @property
    def unigram_bits_per_base(self) -> float:
        """Bits per base of a model that knows the token frequencies of this text and no more.

        ``-sum(n_v * log2(n_v / n)) / bases`` over the tokens v. It is fitted to the text that it is
        measured on, so it is the least that a unigram model can cost there. Single bases of equal
        frequency cost 2 bits. Longer tokens may cost more than single bases: such a model also
        gives probability to successions of tokens that the tokenizer never makes. NaN for
        overlapping k-mers, which spell each base several times.
        """
        if self.overlap_bp:
            return math.nan
        counts = self.counts[self.counts > 0].astype(np.float64)
        bits = -(counts * np.log2(counts / counts.sum())).sum()
        return float(bits) / self.num_bases + 0.0  # -0.0 for one kind of token reads badly

    def frequent(self, count: int = 10) -> list[tuple[str, int, float]]:
        """List the most frequent tokens of the text.

        Parameters
        ----------
        count : int
            How many at most.

        Returns
        -------
        list of (str, int, float)
            Token, occurrences, and share (0 to 1) of the text's tokens; most frequent first,
            lower id first among equals.
        """
        order = np.argsort(-self.counts, kind="stable")[:count]
        return [
            (self.tokens[id_], int(self.counts[id_]), int(self.counts[id_]) / self.num_tokens)
            for id_ in order.tolist()
            if self.counts[id_] > 0
        ]

    def as_text(self, frequent: int = 10) -> str:
        """Describe the counts in lines of plain text.

        Parameters
        ----------
        frequent : int
            How many of the most frequent tokens to list.
        """
        used = self.usable_tokens - self.unused_tokens
        unknown = f"{int(self.counts[self.unk]):,}"
        if self.overlap_bp:
            unknown = f"in {unknown} tokens ({self.unknown_share:.3%} of them)"
            cost = "not defined: overlapping k-mers spell each base several times"
        else:
            unknown += f" ({self.unknown_base_share:.3%} of the text)"
            cost = f"{self.unigram_bits_per_base:.4f} bits per base (2 for single bases at random)"
        lines = [
            f"tokenizer          {self.kind}, {self.vocab_size:,} tokens, "
            f"tokenizer.json sha256 {self.sha256[:12]}",
            f"text               {self.num_bases:,} bases in {self.num_sequences:,} sequences, "
            f"{self.num_tokens:,} tokens",
            f"bases per token    {self.bases_per_token:.3f}",
            f"unknown letters    {unknown}",
            f"vocabulary in use  {used:,} of {self.usable_tokens:,} entries "
            f"({used / max(1, self.usable_tokens):.1%})",
            f"unigram cost       {cost}",
            "",
            f"{'length':>8} {'vocabulary':>11} {'text':>14} {'of tokens':>10}",
        ]
        in_text = self.text_lengths
        for length, entries in self.vocabulary_lengths.items():
            share = in_text.get(length, 0) / self.num_tokens
            bar = "#" * round(share * BAR_WIDTH)
            lines.append(
                f"{length:>5} bp {entries:>11,} {in_text.get(length, 0):>14,} {share:>10.2%} {bar}"
            )
        lines += ["", f"{'frequent':<20} {'text':>14} {'of tokens':>10}"]
        lines += [f"{t:<20} {n:>14,} {share:>10.2%}" for t, n, share in self.frequent(frequent)]
        return "\n".join(line.rstrip() for line in lines)


def tokenizer_report(
    tokenizer: Tokenizer,
    sequences: Iterable[str],
    *,
    progress: Callable[[int, int | None], None] | None = None,
) -> TokenizerReport:
    """Count the tokens of a text.

    Parameters
    ----------
    tokenizer : Tokenizer
        What to describe.
    sequences : iterable of str
        The text; read once, streamed.
    progress : callable, optional
        Called as ``progress(sequences read, None)`` now and then.

    Returns
    -------
    TokenizerReport
        The counts and what follows from them.

    Raises
    ------
    TokenizerError
        If the sequences hold no letter.
    """
    token_bp = tokenizer.token_bp
    is_base = np.ones(tokenizer.vocab_size, dtype=np.bool_)
    is_base[tokenizer.special_ids] = False
    counts = np.zeros(tokenizer.vocab_size, dtype=np.int64)
    num_sequences = num_bases = 0
    text = iter(sequences)
    while batch := list(islice(text, SEQUENCES_AT_ONCE)):
        ids = np.concatenate(tokenizer.encode_batch(in_its_case(tokenizer, batch)))
        counts += np.bincount(ids, minlength=tokenizer.vocab_size)
        num_sequences += len(batch)
        num_bases += sum(map(len, batch))
        if progress is not None:
            progress(num_sequences, None)
    if counts.sum() == 0:
        raise TokenizerError(
            f"nothing to report on: {num_sequences} sequences hold no letter; give a text"
        )
    return TokenizerReport(
        kind=tokenizer.kind,
        sha256=tokenizer.sha256,
        tokens=tuple(tokenizer.tokens),
        token_bp=token_bp,
        is_base=is_base,
        counts=counts,
        unk=tokenizer.special.unk,
        num_sequences=num_sequences,
        num_bases=num_bases,
        overlap_bp=tokenizer.overlap_bp,
    )


def _histogram(lengths: NDArray[np.int32], counts: NDArray[np.int64] | None) -> dict[int, int]:
    """Sum counts (or ones) by length, shortest first, without lengths that sum to nothing."""
    sums: dict[int, int] = {}
    weights = np.ones(len(lengths), dtype=np.int64) if counts is None else counts
    for length, weight in zip(lengths.tolist(), weights.tolist(), strict=True):
        if weight:
            sums[length] = sums.get(length, 0) + weight
    return dict(sorted(sums.items()))
