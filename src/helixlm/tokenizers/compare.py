"""Vocabularies side by side: what they share, and what each makes of the same text.

In: tokenizers and sequences, streamed. Out: one `TokenizerReport` each, what every two have in
common, as text and as tables; pictures are drawn by `helixlm.report.vocabularies`. So that they
see the same text, several tokenizers are given the stretches of A, C, G and T alone, in upper case:
what one makes of N says nothing about its vocabulary.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from helixlm.tokenizers.base import Tokenizer, TokenizerError
from helixlm.tokenizers.report import TokenizerReport, count_tokens

LONGEST = 13
"""tokens of this many bases and more share one line of the text"""

Row = list[str | int | float | None]


@dataclass(frozen=True, kw_only=True)
class VocabularyComparison:
    """What vocabularies share, and what each makes of one text."""

    names: tuple[str, ...]
    """what to call each"""
    reports: tuple[TokenizerReport, ...]
    """counts of each in the same text"""
    alike_bases: NDArray[np.int64]
    """bases that two of them cover by the same stretches, shape (T, T)"""

    def shared_tokens(self, a: int, b: int) -> int:
        """Return how many tokens for bases two vocabularies have in common."""
        return len(self._entries[a] & self._entries[b])

    def jaccard(self, a: int, b: int) -> float:
        """Return the shared tokens as a share (0 to 1) of those that either vocabulary has.

        References
        ----------
        Jaccard (1912), The distribution of the flora in the alpine zone. New Phytologist 11, 37-50.
        """
        both = self._entries[a] | self._entries[b]
        return self.shared_tokens(a, b) / len(both) if both else 1.0

    def written_alike(self, a: int, b: int) -> float:
        """Return the share (0 to 1) of the bases that `a` covers with tokens that `b` has too."""
        report, other = self.reports[a], self._entries[b]
        shares = report.base_shares
        return float(sum(shares[i] for i in report.by_use if report.tokens[i] in other))

    def placed_alike(self, a: int, b: int) -> float:
        """Return the share (0 to 1) of the bases whose token is the same, with the same ends."""
        return int(self.alike_bases[a, b]) / self.reports[a].num_bases

    def missing(self, a: int, count: int = 8) -> list[tuple[str, float, tuple[str, ...]]]:
        """List the most used tokens of one vocabulary that another lacks.

        Parameters
        ----------
        a : int
            Which one.
        count : int
            How many at most.

        Returns
        -------
        list of (str, float, tuple of str)
            Token, share (0 to 1) of the bases that it covers, and the names of those without it.
        """
        found = []
        report = self.reports[a]
        for id_ in report.by_use.tolist():
            token = report.tokens[id_]
            others = range(len(self.names))
            without = tuple(self.names[b] for b in others if token not in self._entries[b])
            if without:
                found.append((token, float(report.base_shares[id_]), without))
            if len(found) == count:
                break
        return found

    @cached_property
    def _entries(self) -> list[set[str]]:
        """The tokens for bases of each."""
        return [{r.tokens[i] for i in np.flatnonzero(r.is_base)} for r in self.reports]

    def figures(self) -> list[tuple[str, str, Row]]:
        """List the figures of each vocabulary: key of the table, words, values; None: undefined."""
        reports = self.reports
        return [
            ("entries", "entries for bases", [r.usable_tokens for r in reports]),
            ("unused", "never used", [r.unused_tokens for r in reports]),
            ("longest_bp", "longest entry, bases", [max(r.vocabulary_lengths) for r in reports]),
            ("tokens", "tokens of the text", [r.num_tokens for r in reports]),
            ("bases_per_token", "bases per token", [r.bases_per_token for r in reports]),
            (
                "unigram_bits_per_base",
                "bits per base, fitted here",
                [r.unigram_bits_per_base for r in reports],
            ),
            (
                "held_out_bits_per_base",
                "bits per base, other half",
                [r.held_out_bits_per_base for r in reports],
            ),
            ("tokens_for_50", "tokens for 50% of the bases", [r.tokens_for(0.5) for r in reports]),
            ("tokens_for_90", "tokens for 90% of the bases", [r.tokens_for(0.9) for r in reports]),
        ]

    def defined_figures(self) -> list[tuple[str, str, Row]]:
        """List those `figures` that at least one has: overlapping k-mers have no cost a base."""
        return [row for row in self.figures() if any(value is not None for value in row[2])]

    def overlaps(self) -> list[tuple[str, str, list[list[float]]]]:
        """List the overlaps of every two: key of the table, words, shares (0 to 1) by row."""
        every = range(len(self.names))
        kinds = [
            ("jaccard", "shared tokens, of those that either has", self.jaccard),
            ("written_alike", "bases that the row writes with shared tokens", self.written_alike),
            ("placed_alike", "bases that both cut alike", self.placed_alike),
        ]
        return [
            (key, words, [[of(a, b) for b in every] for a in every]) for key, words, of in kinds
        ]

    def text_words(self) -> str:
        """Say in a line what text was encoded."""
        first = self.reports[0]
        left = f" ({first.num_left_out:,} other letters left out)" if first.num_left_out else ""
        return f"{first.size_words}{left}"

    def as_text(self, missing: int = 5) -> str:
        """Describe the comparison in lines of plain text.

        Parameters
        ----------
        missing : int
            How many of the tokens that others lack to list for each vocabulary.
        """
        width = max(11, *(len(name) for name in self.names)) + 2
        head = "".join(f"{name:>{width}}" for name in self.names)
        lines = [f"text: {self.text_words()}", "", f"{'':<30}{head}"]
        for _, words, values in self.defined_figures():
            lines.append(f"{words:<30}" + "".join(f"{_written(v):>{width}}" for v in values))
        for _, words, shares in self.overlaps() if len(self.names) > 1 else ():
            lines += ["", words]
            for name, row in zip(self.names, shares, strict=True):
                lines.append(f"{name:<30}" + "".join(f"{share:>{width}.1%}" for share in row))
        for words, histograms in (
            ("length, share of the vocabulary", [r.vocabulary_lengths for r in self.reports]),
            ("length, share of the tokens of the text", [r.text_lengths for r in self.reports]),
        ):
            lines += ["", words]
            columns = [_length_shares(histogram) for histogram in histograms]
            for length in range(1, LONGEST + 1):
                row = [column.get(length, 0.0) for column in columns]
                if max(row) > 0:
                    unit = "bp and more" if length == LONGEST else "bp"
                    cells = "".join(f"{share:>{width}.1%}" for share in row)
                    lines.append(f"{f'{length:>5} {unit}':<30}{cells}")
        if len(self.names) > 1:
            lines += ["", "most used tokens that another lacks, and the bases that they cover"]
            for a, name in enumerate(self.names):
                found = [f"{token} {share:.2%}" for token, share, _ in self.missing(a, missing)]
                lines.append(f"{name:<30}  {', '.join(found) or 'none'}")
        return "\n".join(line.rstrip() for line in lines)

    def tables(self) -> Iterator[tuple[str, list[str], Iterable[Row]]]:
        """Yield tables to be written: name, columns, rows. Shares are from 0 to 1."""
        figures = self.figures()
        yield (
            "vocabularies",
            ["name", "kind", "sha256", "bases", *(key for key, _, _ in figures)],
            (
                [name, r.kind, r.sha256, r.num_bases, *(values[a] for _, _, values in figures)]
                for a, (name, r) in enumerate(zip(self.names, self.reports, strict=True))
            ),
        )
        overlaps = self.overlaps()
        yield (
            "pairs",
            ["row", "column", "shared_tokens", *(key for key, _, _ in overlaps)],
            (
                [one, other, self.shared_tokens(a, b), *(shares[a][b] for _, _, shares in overlaps)]
                for a, one in enumerate(self.names)
                for b, other in enumerate(self.names)
                if a != b
            ),
        )
        yield "lengths", ["name", "length_bp", "entries", "text_tokens"], self._length_rows()
        yield (
            "tokens",
            [
                "name",
                "rank",
                "token",
                "id",
                "length_bp",
                "count",
                "of_tokens",
                "of_bases",
                "covered",
            ],
            self._token_rows(),
        )

    def _length_rows(self) -> Iterator[Row]:
        for name, r in zip(self.names, self.reports, strict=True):
            in_text = r.text_lengths
            for length, entries in r.vocabulary_lengths.items():
                yield [name, length, entries, in_text.get(length, 0)]

    def _token_rows(self) -> Iterator[Row]:
        """Rows of all tokens for bases: those that cover most first, then the unused ones."""
        for name, r in zip(self.names, self.reports, strict=True):
            unused = np.flatnonzero(r.is_base & (r.counts == 0))
            order = np.concatenate([r.by_use, unused])
            shares, coverage = r.base_shares, r.coverage
            for rank, id_ in enumerate(order.tolist(), 1):
                count = int(r.counts[id_])
                covered = float(coverage[min(rank, len(coverage)) - 1]) if len(coverage) else 0.0
                yield [
                    name, rank, r.tokens[id_], id_, int(r.token_bp[id_]), count,
                    count / r.num_tokens, float(shares[id_]), covered,
                ]  # fmt: skip


def compare_tokenizers(
    tokenizers: Sequence[Tokenizer],
    sequences: Iterable[str],
    *,
    names: Sequence[str],
    sample_every: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> VocabularyComparison:
    """Encode one text with several tokenizers, reading it once.

    Parameters
    ----------
    tokenizers : sequence of Tokenizer
        What to compare. A single one is described: it is given the text as it is.
    sequences : iterable of str
        The text, streamed.
    names : sequence of str
        What to call each; all different.
    sample_every : int
        Take every n-th sequence, beginning with the first.
    progress : callable, optional
        Called as ``progress(sequences read, None)`` now and then.

    Returns
    -------
    VocabularyComparison
        The counts and what follows from them.

    Raises
    ------
    TokenizerError
        If the names do not fit the tokenizers, the text holds nothing to count, or tokens overlap.
    """
    if len(names) != len(tokenizers):
        raise TokenizerError(
            f"{len(names)} names for {len(tokenizers)} tokenizers ({', '.join(names)}): expected "
            "one for each, in their order"
        )
    twice = sorted({name for name in names if list(names).count(name) > 1 or not name})
    if twice:
        raise TokenizerError(
            f"the names of tokenizers must differ and not be empty, found {', '.join(names)!r}"
        )
    reports, alike = count_tokens(
        tokenizers,
        sequences,
        known_only=len(tokenizers) > 1,
        sample_every=sample_every,
        progress=progress,
    )
    return VocabularyComparison(names=tuple(names), reports=tuple(reports), alike_bases=alike)


def _length_shares(histogram: Mapping[int, int]) -> dict[int, float]:
    """Length, at most `LONGEST` -> share of the whole; longer ones are counted there."""
    shares: dict[int, float] = {}
    for length, number in histogram.items():
        place = min(length, LONGEST)
        shares[place] = shares.get(place, 0.0) + number / sum(histogram.values())
    return shares


def _written(value: str | int | float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.4f}" if isinstance(value, float) else f"{value:,}"
