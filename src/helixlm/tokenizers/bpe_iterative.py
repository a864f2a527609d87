"""dnaGrinder's byte-pair training: part by part, the rarer tokens replaced.

In: the parts of a text, and who learns from one. Out: merges. The paper says what happens to the
vocabulary, but not how a tokenizer is made from tokens that come from several trainings, and its
code is not public. So some of this is its text, and some is our reading of it.

Published (section 2.1.1):

- The first file gives a vocabulary of the full size; each further file is trained on by itself.
- A token of the new file that is in the vocabulary adds its new occurrences to its frequency.
- A token that is not there has its frequency in the new file alone, also if it was there once.
- Tokens of the new file replace those of the vocabulary that are less frequent; its size stays.

Decided here, where the text is silent:

- A file's tokens are the vocabulary that exact training on that file alone gives, of the same size.
- A token's frequency is how often its two parts stood side by side when they were merged.
- "More frequently" is meant strictly: among equals the token that was there first stays.
- The four bases and the special tokens always stay.
- At the end the tokens are put in the order of their frequencies, and each is spelled by two of
  those before it, as merging by rank would have it. One that cannot be spelled by two is left out
  and counted: an encoder that merges by rank could never make it.

With a single part the merges are those of exact training.

References
----------
The dnaGrinder paper (arXiv:2409.15697), section 2.1.1.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise

log = logging.getLogger(__name__)


def parts_of(lines: Iterable[str], part_bp: int) -> Iterator[Iterator[str]]:
    """Cut a text into parts of at least so many letters; the last may be shorter.

    Parameters
    ----------
    lines : iterable of str
        The text, read once.
    part_bp : int
        Letters of a part, 1 or more: lines are taken until they have so many.

    Yields
    ------
    iterator of str
        The lines of a part, streamed: it must be used up before the next part is asked for.

    Examples
    --------
    >>> [list(part) for part in parts_of(["AC", "G", "TTT", "A"], 3)]
    [['AC', 'G'], ['TTT'], ['A']]
    """
    lines = iter(lines)
    for first in lines:
        yield _part(first, lines, part_bp)


def _part(first: str, rest: Iterator[str], part_bp: int) -> Iterator[str]:
    """Yield a line and those after it until they have so many letters."""
    yield first
    letters = len(first)
    while letters < part_bp:
        line = next(rest, None)
        if line is None:
            return
        yield line
        letters += len(line)


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
        Merges. A token that needs one of a later place comes after all that do not.
    list of str
        Tokens that no two others spell.

    Examples
    --------
    >>> spell(["ACG", "AC", "TTT", "GG"])
    ([('A', 'C'), ('G', 'G'), ('AC', 'G')], ['TTT'])
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
    parts: Iterable[Iterable[str]],
    *,
    size: int,
    learn: Callable[[Iterable[str]], Mapping[str, int]],
) -> tuple[list[tuple[str, str]], list[str]]:
    """Train on one part after the other.

    Parameters
    ----------
    parts : iterable of iterable of str
        The lines of each part, read once.
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
    for number, part in enumerate(parts, 1):
        kept = replace_rarer(known, learn(part), size)
        log.info("part %d: %d tokens are new in the vocabulary", number, len(kept.keys() - known))
        known = kept
    return spell(known)
