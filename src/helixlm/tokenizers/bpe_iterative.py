"""dnaGrinder's byte-pair training: part by part, the rarer tokens replaced.

In: lines of letters, and how many bases make a part. Out: merges. The paper says what happens to
the vocabulary, not how a tokenizer is made from tokens that come from several trainings; what was
decided here is marked so.

- The first part gives a vocabulary with frequencies. Decided here: a token's frequency is how often
  its two parts stood side by side when they were merged.
- Each further part gives one of the same size. A token that is known adds its frequency; a token
  that is new stands with its frequency in this part alone, also if it was once known and lost. The
  most frequent ones stay.
- At the end the tokens are put in the order of their frequencies, and each is spelled by two of
  those before it, as merging by rank would have it. A token that cannot be spelled by two is left
  out and counted (decided here: an encoder by rank could never make it).

References
----------
The dnaGrinder paper (arXiv:2409.15697), section 2.1.1.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

BASES = "ACGT"


def parts_of(lines: Iterable[str], part_bp: int) -> Iterator[list[str]]:
    """Group lines into parts of at least so many letters; the last may be shorter."""
    part: list[str] = []
    letters = 0
    for line in lines:
        part.append(line)
        letters += len(line)
        if letters >= part_bp:
            yield part
            part, letters = [], 0
    if part:
        yield part


def replace_rarer(known: Mapping[str, int], found: Mapping[str, int], size: int) -> dict[str, int]:
    """Put the tokens of a new part into a vocabulary.

    Parameters
    ----------
    known, found : mapping of str to int
        Frequencies of the tokens so far and in the new part.
    size : int
        Tokens to keep.

    Returns
    -------
    dict of str to int
        The most frequent ones first; among equals those known before, in their order.
    """
    total = dict(known)
    for token, frequency in found.items():
        total[token] = known.get(token, 0) + frequency
    kept = sorted(total, key=lambda token: -total[token])[:size]
    return {token: total[token] for token in kept}


def spell(tokens: Iterable[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Find the merges that make tokens, in their order.

    Parameters
    ----------
    tokens : iterable of str
        Of two letters and more, most frequent first.

    Returns
    -------
    list of (str, str)
        Merges. A token that needs a later one comes right after it.
    list of str
        Tokens that no two others spell.
    """
    merges: list[tuple[str, str]] = []
    ranks: dict[tuple[str, str], int] = {}
    waiting = list(tokens)
    while True:
        left_over = []
        for token in waiting:
            pieces = _merged(token, ranks)
            if len(pieces) == 2:
                ranks[pieces[0], pieces[1]] = len(merges)
                merges.append((pieces[0], pieces[1]))
            else:
                left_over.append(token)
        if len(left_over) == len(waiting):
            return merges, left_over
        waiting = left_over


def _merged(token: str, ranks: Mapping[tuple[str, str], int]) -> list[str]:
    """Merge the letters of a token by rank, leftmost first."""
    pieces = list(token)
    while len(pieces) > 1:
        pairs = list(pairwise(pieces))
        best = min(range(len(pairs)), key=lambda i: ranks.get(pairs[i], len(ranks)))
        if pairs[best] not in ranks:
            break
        pieces[best : best + 2] = ["".join(pairs[best])]
    return pieces


def iterative_merges(
    lines: Iterable[str],
    *,
    part_bp: int,
    size: int,
    learn: Callable[[list[str]], Mapping[str, int]],
) -> tuple[list[tuple[str, str]], list[str]]:
    """Train on one part after the other.

    Parameters
    ----------
    lines : iterable of str
        The text, read once.
    part_bp : int
        Letters of a part.
    size : int
        Tokens of two letters and more to keep.
    learn : callable
        Trains on the lines of one part and returns the tokens with their frequencies.

    Returns
    -------
    list of (str, str)
        Merges.
    list of str
        Tokens that were frequent enough, but that no two others spell.
    """
    known: dict[str, int] = {}
    for part in parts_of(lines, part_bp):
        known = replace_rarer(known, learn(part), size)
    return spell(known)
