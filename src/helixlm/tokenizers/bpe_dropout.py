"""BPE dropout: byte-pair encoding that leaves each merge out with a given probability.

In: letters, or a row of ids that were made without dropout. Out: other ids of the same letters. A
possible merge is a pair of neighbouring tokens that the vocabulary merges. Of those that are there,
the first learned is applied, at equal rank the leftmost, as ever; but when a pair comes to stand
side by side, it is left out with probability p, and stays out while both its tokens stay.

This is what SentencePiece does. Algorithm 1 of Provilkov et al. draws for every possible merge anew
at each step, and so does the `tokenizers` library: what was left out comes back as soon as
anything else in the word has been merged, until all that is possible is left out in one and the
same step. In a word of a few letters that differs little. But a line of DNA is one word: with
p = 0.5, the library gives 1.7 times the ordinary number of tokens for 6 bases and 1.06 times for
1,000, where nearly all merges take place. One draw for each merge means the same p at any length.

References
----------
I. Provilkov, D. Emelianenko & E. Voita (2020), BPE-Dropout: simple and effective subword
regularization, ACL 2020, doi:10.18653/v1/2020.acl-main.170.
T. Kudo & J. Richardson (2018), SentencePiece, EMNLP 2018, doi:10.18653/v1/D18-2012; dropout is in
`src/bpe_model.cc`, `Model::SampleEncode`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled
from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe_encode import NONE, MergeTable, place

DRAWS = 3
"""random numbers that a letter needs at most: a pair per letter, and two for each merge"""


class DropoutTable(NamedTuple):
    """A vocabulary as the loops of this module need it; "rank" as in `MergeTable`."""

    ids: NDArray[np.int32]
    """id of each token by rank, shape (R,)"""
    pair_keys: NDArray[np.int64]
    """open table of merges by left * R + right"""
    pair_tokens: NDArray[np.int32]
    """what they make, by rank"""
    unk: int
    """id of an unknown letter"""
    codes: NDArray[np.uint8]
    """code of each byte, shape (256,): 0 to 3, 4 for an unknown letter, 5 for what is no letter"""
    letters: NDArray[np.uint8]
    """codes of the letters of all ids, one behind the other: 0 to 3, 4 for an unknown letter"""
    letter_ends: NDArray[np.int64]
    """where the letters of each id end, shape (V,); special tokens have none, unk has one"""


class RowDropout(NamedTuple):
    """What training needs to draw other ids for a row."""

    table: DropoutTable
    p: float
    """probability that a merge is left out"""


def dropout_table(table: MergeTable, pieces: Sequence[str]) -> DropoutTable:
    """Prepare a vocabulary.

    Parameters
    ----------
    table : MergeTable
        Its merges.
    pieces : sequence of str, length V
        The letters of each id; N for unk, none for other special tokens.

    Returns
    -------
    DropoutTable
        Small enough to be sent to each loader worker.
    """
    text = np.frombuffer("".join(pieces).encode("ascii", "replace"), dtype=np.uint8)
    return DropoutTable(
        ids=table.ids,
        pair_keys=table.pair_keys,
        pair_tokens=table.pair_tokens,
        unk=table.unk,
        codes=table.codes,
        letters=np.minimum(table.codes[text], 4).astype(np.uint8),
        letter_ends=np.cumsum([len(piece) for piece in pieces], dtype=np.int64),
    )


def no_merges(kind: str) -> TokenizerError:
    """Return the error for a tokenizer that has no merges to leave out."""
    return TokenizerError(
        f"dropout leaves out merges of byte pairs, and a tokenizer of kind {kind!r} has none: "
        "expected one of kind 'bpe'"
    )


def check_probability(p: float) -> None:
    """See that a probability is one.

    Raises
    ------
    TokenizerError
        If it is not from 0 to 1.
    """
    if not 0 <= p <= 1:  # also if it is not a number
        raise TokenizerError(f"dropout p {p}: expected a probability from 0 to 1")


@compiled
def _sift_up(heap: NDArray[np.int64], at: int) -> None:
    """Move an entry of a heap up to its place."""
    entry = heap[at]
    while at > 0 and heap[(at - 1) >> 1] > entry:
        heap[at] = heap[(at - 1) >> 1]
        at = (at - 1) >> 1
    heap[at] = entry


@compiled
def _sift_down(heap: NDArray[np.int64], size: int) -> None:
    """Move the first entry of a heap down to its place."""
    entry = heap[0]
    at = 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= entry:
            break
        heap[at] = heap[child]
        at = child
    heap[at] = entry


@compiled
def merge_some(
    table: DropoutTable, codes: NDArray[np.uint8], p: float, uniform: NDArray[np.float64]
) -> NDArray[np.int32]:
    """Encode one line with dropout.

    Parameters
    ----------
    table : DropoutTable
        The vocabulary.
    codes : ndarray, uint8, shape (n,)
        Letters: 0 to 3, more for an unknown letter.
    p : float
        Probability that a merge is left out.
    uniform : ndarray, float64, shape (DRAWS * n,) or more
        Random numbers in [0, 1), one for each possible merge in the order of their coming up.

    Returns
    -------
    ndarray, int32, shape (m,)
        Ids.
    """
    num, ranks = len(codes), len(table.ids)
    token = np.empty(num, dtype=np.int32)
    before = np.arange(-1, num - 1)
    after = np.arange(1, num + 1)
    # What the pair that begins at a position would make; NONE if nothing, or if it is left out.
    makes = np.full(num, NONE, dtype=np.int32)
    heap = np.empty(DRAWS * num, dtype=np.int64)
    size = drawn = 0
    for at in range(num):
        token[at] = codes[at] if codes[at] < 4 else NONE
    for at in range(num - 1):
        if token[at] == NONE or token[at + 1] == NONE:
            continue
        key = token[at] * ranks + token[at + 1]
        found = place(table.pair_keys, key)
        if table.pair_keys[found] == key:
            drawn += 1
            if uniform[drawn - 1] >= p:
                makes[at] = table.pair_tokens[found]
                heap[size] = np.int64(makes[at]) << 32 | at
                size += 1
    heap[:size].sort()  # a sorted array is a heap
    while size > 0:
        at = heap[0] & 0xFFFFFFFF
        made = heap[0] >> 32
        size -= 1
        heap[0] = heap[size]
        _sift_down(heap, size)
        if makes[at] != made:  # One of its tokens is part of another by now.
            continue
        right = after[at]
        token[at] = made
        after[at] = after[right]
        makes[right] = NONE
        if after[at] < num:
            before[after[at]] = at
        for left in (before[at], at):
            if left < 0:
                continue
            makes[left] = NONE
            if after[left] == num or token[left] == NONE or token[after[left]] == NONE:
                continue
            key = np.int64(token[left]) * ranks + token[after[left]]
            found = place(table.pair_keys, key)
            if table.pair_keys[found] == key:
                drawn += 1
                if uniform[drawn - 1] >= p:
                    makes[left] = table.pair_tokens[found]
                    heap[size] = np.int64(makes[left]) << 32 | left
                    _sift_up(heap, size)
                    size += 1
    out = np.empty(num, dtype=np.int32)
    kept = 0
    at = 0
    while at < num:
        out[kept] = table.ids[token[at]] if token[at] != NONE else table.unk
        kept += 1
        at = after[at]
    return out[:kept]


@compiled
def num_draws(table: DropoutTable, ids_L: NDArray[np.int64]) -> int:
    """Random numbers that `redraw_row` needs at most."""
    letters = 0
    for id_ in ids_L:
        letters += table.letter_ends[id_] - (table.letter_ends[id_ - 1] if id_ else 0)
    return DRAWS * letters + len(ids_L)


@compiled
def redraw_row(
    table: DropoutTable,
    ids_L: NDArray[np.int64],
    document_L: NDArray[np.int32],
    p: float,
    uniform: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Encode each piece of a row anew with dropout; every piece keeps its number of tokens.

    A piece is what stands between special tokens and belongs to one document. Its letters, as its
    ids spell them, are encoded with dropout, which gives more tokens as a rule: of these, as
    many as there were before are taken from one place. Where the piece begins or ends inside a
    document, so it did before, where documents are longer than a row. In the rare case that
    dropout gives fewer tokens, the piece stays as it is.

    Parameters
    ----------
    table : DropoutTable
        The vocabulary.
    ids_L : ndarray, int64, shape (L,)
        A row, special tokens included.
    document_L : ndarray, int32, shape (L,)
        Which document each token belongs to.
    p : float
        Probability that a merge is left out.
    uniform : ndarray, float64, shape (num_draws(table, ids_L),) or more
        Random numbers in [0, 1).

    Returns
    -------
    ndarray, int64, shape (L,)
        The row with other ids; special tokens, save unk, stand where they stood.
    """
    out_L = ids_L.copy()
    codes = np.empty(num_draws(table, ids_L) // DRAWS + 1, dtype=np.uint8)
    drawn = 0
    start = 0
    while start < len(ids_L):
        stop = start
        letters = 0
        while stop < len(ids_L) and document_L[stop] == document_L[start]:
            id_ = ids_L[stop]
            first = table.letter_ends[id_ - 1] if id_ else 0
            if table.letter_ends[id_] == first:
                break
            for letter in range(first, table.letter_ends[id_]):
                codes[letters] = table.letters[letter]
                letters += 1
            stop += 1
        if stop == start:
            start += 1
            continue
        found = merge_some(table, codes[:letters], p, uniform[drawn + 1 :])
        excess = len(found) - (stop - start)
        if excess >= 0:
            # An even choice of the place would hardly ever show the ends of a piece, and one of
            # the two ends alone never the middle of a long one: an even choice that may go over
            # both ends by half the excess, and is then brought back, shows all.
            skip = int(np.floor((2.0 * uniform[drawn] - 0.5) * (excess + 1)))
            skip = min(max(skip, 0), excess)
            out_L[start:stop] = found[skip : skip + stop - start]
        drawn += 1 + DRAWS * letters
        start = stop
    return out_L
