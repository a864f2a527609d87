"""What a tokenizer does to a text: token lengths, use of the vocabulary, cost in bits per base.

In: tokenizers and sequences, streamed. Out: counts, and their description as text; nothing here
draws or writes files. All counts come from one pass, in memory that depends on the vocabulary and
the longest sequence only. What several tokenizers do to one text is compared in compare.py.
"""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, islice

import numpy as np
from numpy.typing import NDArray

from helixlm.tokenizers.base import Tokenizer, TokenizerError, in_batches, in_its_case

SEQUENCES_AT_ONCE = 1024
BASES_AT_ONCE = 1 << 22
BAR_WIDTH = 30

_KNOWN = re.compile("[ACGT]+")


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
    odd_counts: NDArray[np.int64]
    """those of `counts` in every second sequence, from the second on, shape (V,)"""
    unk: int
    """id of the unknown token"""
    num_sequences: int
    """sequences in the text, empty ones too"""
    num_bases: int
    """letters in the text"""
    num_left_out: int = 0
    """letters that are not counted, because they are none of A, C, G and T"""
    overlap_bp: int = 0
    """bases that a token shares with the one before it"""
    sample_every: int = 1
    """the text is every n-th sequence of what was given"""

    @property
    def vocab_size(self) -> int:
        """Number of ids, special tokens counted."""
        return len(self.tokens)

    @property
    def size_words(self) -> str:
        """How much text it is, and whether it is a sample, in words."""
        words = f"{self.num_bases:,} bases in {self.num_sequences:,} sequences"
        if self.sample_every > 1:
            words += f", every {_ordinal(self.sample_every)} sequence of the input"
        return words

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
    def unigram_bits_per_base(self) -> float | None:
        """Bits per base of a model that knows the token frequencies of this text and no more.

        ``-sum(n_v * log2(n_v / n)) / bases`` over the tokens v. It is fitted to the text that it is
        measured on, so it is the least that a unigram model can cost there. Single bases of equal
        frequency cost 2 bits. Longer tokens may cost more than single bases: such a model also
        gives probability to successions of tokens that the tokenizer never makes. None for
        overlapping k-mers, which spell each base several times.
        """
        if self.overlap_bp:
            return None
        counts = self.counts[self.counts > 0].astype(np.float64)
        bits = -(counts * np.log2(counts / counts.sum())).sum()
        return float(bits) / self.num_bases + 0.0  # -0.0 for one kind of token reads badly

    @property
    def held_out_bits_per_base(self) -> float | None:
        """Bits per base in one half of the text of a model that was fitted to the other half.

        Token frequencies are taken from the first, third, fifth, ... sequence, and the cost is that
        of the others: ``-sum(odd_v * log2(p_v)) / bases`` with ``p_v = (even_v + 1/2) / (even +
        V / 2)``, where V counts the tokens for bases and the unknown one. Unlike
        `unigram_bits_per_base` this charges a vocabulary for entries too rare to be known well.
        Sequences that lie side by side in a genome are in different halves, so repeats are in both.
        None if there are no two sequences with letters, and for overlapping k-mers.

        References
        ----------
        The half is the estimate of Krichevsky & Trofimov (1981), The performance of universal
        encoding, IEEE Transactions on Information Theory 27, 199-207.
        """
        if self.overlap_bp:
            return None
        can_occur = self.is_base.copy()
        can_occur[self.unk] = True
        even = (self.counts - self.odd_counts)[can_occur]
        odd, bases = self.odd_counts[can_occur], int((self.odd_counts * self.token_bp).sum())
        if not even.sum() or not bases:
            return None
        probability = (even + 0.5) / (even.sum() + 0.5 * len(even))
        return float(-(odd * np.log2(probability)).sum()) / bases

    @property
    def base_shares(self) -> NDArray[np.float64]:
        """Share (0 to 1) of the text's letters that each token covers, shape (V,)."""
        covered = self.counts * self.token_bp
        return covered / max(1, int(covered.sum()))

    @property
    def by_use(self) -> NDArray[np.int64]:
        """Ids of the tokens for bases that the text uses, those that cover most letters first."""
        shares = np.where(self.is_base, self.base_shares, 0)
        order = np.argsort(-shares, kind="stable")
        return order[: int((shares > 0).sum())]

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share (0 to 1) of the letters that the first 1, 2, 3, ... tokens `by_use` cover."""
        return np.cumsum(self.base_shares[self.by_use])

    def tokens_for(self, share: float) -> int | None:
        """Return how many tokens `by_use` cover a share of the letters; None if all do not."""
        enough = np.flatnonzero(self.coverage >= share - 1e-12)
        return int(enough[0]) + 1 if len(enough) else None

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
            f"text               {self.size_words}, {self.num_tokens:,} tokens",
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
    (found,), _ = count_tokens([tokenizer], sequences, progress=progress)
    return found


def count_tokens(
    tokenizers: Sequence[Tokenizer],
    sequences: Iterable[str],
    *,
    known_only: bool = False,
    sample_every: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> tuple[list[TokenizerReport], NDArray[np.int64]]:
    """Count what several tokenizers make of one text, which is read once.

    Parameters
    ----------
    tokenizers : sequence of Tokenizer
        What to describe.
    sequences : iterable of str
        The text; read once, streamed.
    known_only : bool
        Cut the sequences at every letter other than A, C, G and T, in either case, and count
        without those, whatever a tokenizer makes of them.
    sample_every : int
        Take every n-th sequence, beginning with the first.
    progress : callable, optional
        Called as ``progress(sequences read, None)`` now and then.

    Returns
    -------
    list of TokenizerReport
        One for each tokenizer.
    NDArray, int64, shape (T, T)
        Bases that tokens cover which two tokenizers put at the same place, with the same ends.

    Raises
    ------
    TokenizerError
        If the sequences hold nothing to count, or if the tokens of one of several tokenizers
        overlap. If all sequences are shorter than overlapping k-mers.
    """
    if len(tokenizers) > 1:
        for tokenizer in tokenizers:
            if tokenizer.overlap_bp:
                raise TokenizerError(
                    f"tokenizer {tokenizer.kind} (sha256 {tokenizer.sha256[:12]}): its tokens "
                    f"overlap by {tokenizer.overlap_bp} bases, expected tokens side by side: "
                    "overlapping tokens have no length and no cost a base to compare; leave it out"
                )
    counts = [np.zeros((2, tokenizer.vocab_size), dtype=np.int64) for tokenizer in tokenizers]
    lengths = [tokenizer.token_bp for tokenizer in tokenizers]
    alike = np.zeros((len(tokenizers), len(tokenizers)), dtype=np.int64)
    num_sequences = num_bases = num_read = 0
    taken = islice(sequences, 0, None, sample_every)
    for batch in in_batches(taken, letters=BASES_AT_ONCE, number=SEQUENCES_AT_ONCE):
        pieces = [[s] for s in batch]
        if known_only:
            pieces = [_KNOWN.findall(s.upper()) for s in batch]
        halves = [[s for own in pieces[start::2] for s in own] for start in (0, 1)]
        if num_sequences % 2:
            halves.reverse()
        marks = []
        for tokenizer, count, length in zip(tokenizers, counts, lengths, strict=True):
            ids = [np.zeros(0, dtype=np.int32)]
            for half, own in enumerate(halves):
                found = tokenizer.encode_batch(in_its_case(tokenizer, own))
                joined = np.concatenate([ids[0], *found])
                count[half] += np.bincount(joined, minlength=tokenizer.vocab_size)
                ids.append(joined)
            marks.append(length[np.concatenate(ids)])
        num_sequences += len(batch)
        num_bases += sum(len(s) for own in halves for s in own)
        num_read += sum(map(len, batch))
        if len(tokenizers) > 1:
            _add_alike(alike, marks)
        if progress is not None:
            progress(num_sequences, None)
    if num_bases == 0:
        letters = "letter A, C, G or T" if known_only else "letter"
        raise TokenizerError(
            f"nothing to report on: {num_sequences} sequences hold no {letters}; give a text"
        )
    for tokenizer, count in zip(tokenizers, counts, strict=True):
        if not count.sum():
            raise TokenizerError(
                f"nothing to report on: no sequence is as long as the words of "
                f"{tokenizer.overlap_bp + 1} letters; give longer sequences"
            )
    np.fill_diagonal(alike, num_bases)
    reports = []
    for tokenizer, count in zip(tokenizers, counts, strict=True):
        is_base = np.ones(tokenizer.vocab_size, dtype=np.bool_)
        is_base[tokenizer.special_ids] = False
        reports.append(
            TokenizerReport(
                kind=tokenizer.kind,
                sha256=tokenizer.sha256,
                tokens=tuple(tokenizer.tokens),
                token_bp=tokenizer.token_bp,
                is_base=is_base,
                counts=count.sum(axis=0),
                odd_counts=count[1],
                unk=tokenizer.special.unk,
                num_sequences=num_sequences,
                num_bases=num_bases,
                num_left_out=num_read - num_bases,
                overlap_bp=tokenizer.overlap_bp,
                sample_every=sample_every,
            )
        )
    return reports, alike


def _add_alike(alike: NDArray[np.int64], token_lengths: Sequence[NDArray[np.int32]]) -> None:
    """Add the bases of one batch that pairs of tokenizers cover by the same stretches."""
    starts = [np.cumsum(lengths) - lengths for lengths in token_lengths]
    length_at = []
    for start, lengths in zip(starts, token_lengths, strict=True):
        at = np.zeros(int(lengths.sum()) + 1, dtype=np.int32)
        at[start] = lengths
        length_at.append(at)
    for a, b in combinations(range(len(starts)), 2):
        same = length_at[b][starts[a]] == token_lengths[a]
        alike[a, b] += token_lengths[a][same].sum()
        alike[b, a] = alike[a, b]


def _ordinal(number: int) -> str:
    """Write 1st, 2nd, 3rd, 4th, ..., 11th, ..., 21st, ..."""
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{'th' if number % 100 in (11, 12, 13) else ending}"


def _histogram(lengths: NDArray[np.int32], counts: NDArray[np.int64] | None) -> dict[int, int]:
    """Sum counts (or ones) by length, shortest first, without lengths that sum to nothing."""
    sums: dict[int, int] = {}
    weights = np.ones(len(lengths), dtype=np.int64) if counts is None else counts
    for length, weight in zip(lengths.tolist(), weights.tolist(), strict=True):
        if weight:
            sums[length] = sums.get(length, 0) + weight
    return dict(sorted(sums.items()))
