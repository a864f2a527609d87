"""Byte-pair encoding in time linear in the length, with the ids of the `tokenizers` library.

In: letters as bytes. Out: ids. Merging by rank, as the library does it, has to look at all pairs of
a line again and again. But whether a succession of tokens is what merging gives can be told from
its neighbours alone: it is, if and only if each two of them, taken as a text of their own, would
stay those two tokens. So the text is read once from left to right: take the longest token that
matches and may follow the one before, else a shorter one, and if none may follow, take back the one
before. A bit for each position from which no way led on keeps that linear.

This holds where each token is made by one merge, of two tokens that are made before it, and where
merging its own letters makes it. A vocabulary that training wrote is like that. `merge_table` finds
out; another is left to the library.

References
----------
A. Antonov & H. van Antwerpen (GitHub, 2024), So many tokens, so little time: the criterion for
pairs of tokens, and encoding by backtracking.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled

NONE = -1
WORD = 8
"""letters that are looked up at once: 4 ** 8 entries stay in the second-level cache"""
MOST_BITS = 1 << 28
"""pairs of tokens for which it is written down which may follow which, a bit for each"""

_CODES = np.full(256, 4, dtype=np.uint8)
for _code, _letter in enumerate("ACGT"):
    _CODES[ord(_letter)] = _code


class MergeTable(NamedTuple):
    """A vocabulary as the loops need it. Here A, C, G, T come first, then merges by rank."""

    ids: NDArray[np.int32]
    """id of each token, shape (V,)"""
    bp: NDArray[np.int32]
    """length of each token, shape (V,)"""
    left: NDArray[np.int32]
    """the tokens that each is merged from, shape (V,); a base is its own"""
    right: NDArray[np.int32]
    prefix: NDArray[np.int32]
    """longest token that is a proper beginning of each, shape (V,), NONE for a base"""
    children: NDArray[np.int32]
    """trie of the tokens, shape (nodes, 4): next node by base, NONE if no token goes on so"""
    longest: NDArray[np.int32]
    """longest token on the way from the root to each node, shape (nodes,)"""
    word_node: NDArray[np.int32]
    """node that WORD letters lead to, shape (4 ** WORD,): NONE if they leave the trie before"""
    word_token: NDArray[np.int32]
    """longest token that begins those letters, shape (4 ** WORD,)"""
    pair_keys: NDArray[np.int64]
    """open table of merges by left * V + right"""
    pair_tokens: NDArray[np.int32]
    follows: NDArray[np.uint64]
    """bit j % 64 of [i, j // 64] says whether token j may follow token i, shape (V, V / 64) or
    (0, 0) for a large vocabulary"""
    unk: int
    """id of an unknown letter"""
    codes: NDArray[np.uint8]
    """code of each byte, shape (256,): 0 to 3, 4 for an unknown letter, 5 for what is no letter"""


def merge_table(
    vocab: Mapping[str, int],
    merges: Sequence[tuple[str, str]],
    unk: int,
    *,
    lower_case: bool,
) -> MergeTable | None:
    """Prepare a vocabulary.

    Parameters
    ----------
    vocab : mapping of str to int
        Ids of the tokens; the four bases must be among them, what else no merge makes is left out.
    merges : sequence of (str, str)
        In order of their ranks.
    unk : int
        Id of an unknown letter.
    lower_case : bool
        Whether a lower-case base is read as upper case, or is unknown.

    Returns
    -------
    MergeTable or None
        None if merging by rank and reading from left to right may differ for this vocabulary.
    """
    rank = {base: code for code, base in enumerate("ACGT")}
    left, right = list(range(4)), list(range(4))
    for a, b in merges:
        token = a + b
        if a not in rank or b not in rank or token in rank or token not in vocab:
            return None
        rank[token] = len(rank)
        left.append(rank[a])
        right.append(rank[b])
    if any(base not in vocab for base in "ACGT"):
        return None
    children, longest, prefix = _trie(list(rank))
    word_node, word_token = _words(children, longest)
    keys, values = _pairs(np.array(left), np.array(right), len(rank))
    codes = _CODES.copy()
    codes[[byte for byte in range(256) if not chr(byte).isascii() or not chr(byte).isalpha()]] = 5
    if lower_case:
        for base in "ACGT":
            codes[ord(base.lower())] = codes[ord(base)]
    table = MergeTable(
        ids=np.array([vocab[token] for token in rank], dtype=np.int32),
        bp=np.array([len(token) for token in rank], dtype=np.int32),
        left=np.array(left, dtype=np.int32),
        right=np.array(right, dtype=np.int32),
        prefix=prefix,
        children=children,
        longest=longest,
        word_node=word_node,
        word_token=word_token,
        pair_keys=keys,
        pair_tokens=values,
        follows=_follow_bits(np.array(left), np.array(right)),
        unk=unk,
        codes=codes,
    )
    return table if _all_arise(table) else None


def _trie(
    tokens: Sequence[str],
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Make the trie of the tokens; node 0 is the root."""
    children = [[NONE] * 4]
    token_of = [NONE]
    for rank, token in enumerate(tokens):
        node = 0
        for letter in token:
            base = "ACGT".index(letter)
            if children[node][base] == NONE:
                children[node][base] = len(children)
                children.append([NONE] * 4)
                token_of.append(NONE)
            node = children[node][base]
        token_of[node] = rank
    longest = np.array(token_of, dtype=np.int32)
    prefix = np.full(len(tokens), NONE, dtype=np.int32)
    # A child is made after its parent, so parents come first.
    for node, nexts in enumerate(children):
        for child in nexts:
            if child == NONE:
                continue
            if token_of[child] == NONE:
                longest[child] = longest[node]
            else:
                prefix[token_of[child]] = longest[node]
    return np.array(children, dtype=np.int32), longest, prefix


def _words(
    children: NDArray[np.int32], longest: NDArray[np.int32]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Follow all words of WORD letters at once, letter by letter."""
    nodes = np.zeros(1, dtype=np.int32)
    tokens = np.full(1, NONE, dtype=np.int32)
    for _ in range(WORD):
        reached = np.where((nodes == NONE)[:, None], NONE, children[nodes])
        tokens = np.where(reached == NONE, tokens[:, None], longest[reached]).reshape(-1)
        nodes = reached.reshape(-1)
    return nodes.astype(np.int32), tokens.astype(np.int32)


def _pairs(
    left: NDArray[np.int64], right: NDArray[np.int64], num: int
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Make the open table from pairs to the tokens that they merge into."""
    size = 1 << (4 * num).bit_length()
    keys = np.full(size, NONE, dtype=np.int64)
    values = np.full(size, NONE, dtype=np.int32)
    for token in range(4, num):
        key = int(left[token]) * num + int(right[token])
        at = place(keys, key)
        keys[at], values[at] = key, token
    return keys, values


@compiled
def is_other(table: MergeTable, text: NDArray[np.uint8]) -> bool:
    """Whether a text holds bytes that are no letters."""
    return bool((table.codes[text] == 5).any())


@compiled
def place(keys: NDArray[np.int64], key: int) -> int | np.int64:
    """Place of a key in the table, or the free place where it belongs."""
    mask = len(keys) - 1
    at = np.int64((np.uint64(key) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask
    while keys[at] != NONE and keys[at] != key:
        at = (at + 1) & mask
    return at


@compiled
def may_follow(table: MergeTable, first: int, second: int, limit: int = NONE) -> bool:
    """Whether merging the letters of two tokens, side by side, gives those two tokens.

    With a limit, whether it gives them before the merges from that rank on.

    Their merges are undone from the last on, on both sides of the boundary. If at any time the
    tokens that face each other across it would be merged before those that were undone, merging
    would have crossed the boundary.
    """
    num = len(table.bp)
    if limit == NONE:
        limit = num
    while True:
        at = place(table.pair_keys, first * num + second)
        if table.pair_keys[at] != NONE and table.pair_tokens[at] < limit:
            return False
        # At equal ranks the left one was merged first: the right one is undone first.
        if first > second:
            if first < 4:
                return True
            limit = first
            first = int(table.right[first])
        else:
            if second < 4:
                return True
            limit = second + 1
            second = int(table.left[second])


def _follow_bits(left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Write down `may_follow` for all pairs of tokens, unless there are too many."""
    num = len(left)
    if num**2 > MOST_BITS:
        return np.zeros((0, 0), dtype=np.uint64)
    by_left = np.argsort(left[4:], kind="stable") + 4
    starts = np.searchsorted(left[by_left], np.arange(num + 1))
    bits: NDArray[np.uint64] = _all_follow_bits(left, right, by_left, starts)
    return bits


@compiled
def _all_follow_bits(
    left: NDArray[np.int64],
    right: NDArray[np.int64],
    by_left: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> NDArray[np.uint64]:
    """Find for each first token all tokens that may follow it, in one go through the vocabulary.

    A first token ends in its right part, that in its own right part, and so on; a second one begins
    in the same way. Merging crosses their boundary if any end merges with any beginning before
    either is merged into what it is a part of. At the same rank, as in a run, the left one comes
    first.
    """
    num = len(left)
    bits = np.zeros((num, (num + 63) // 64), dtype=np.uint64)
    # The first merge that crosses, by the beginning that it takes.
    crossing = np.full(num, num, dtype=np.int64)
    # Whether one crosses that takes a part of a token, not all of it.
    inside = np.zeros(num, dtype=np.bool_)
    for first in range(num):
        end, whole = first, num
        while True:
            for index in range(starts[end], starts[end + 1]):
                token = by_left[index]
                if token < whole:
                    crossing[right[token]] = min(crossing[right[token]], token)
            if end < 4:
                break
            end, whole = right[end], end
        for second in range(num):
            if second >= 4:
                inside[second] = inside[left[second]] or crossing[left[second]] <= second
            if not inside[second] and crossing[second] == num:
                bits[first, second >> 6] |= np.uint64(1) << np.uint64(second & 63)
        crossing[:] = num
    return bits


@compiled
def _all_arise(table: MergeTable) -> bool:
    """Whether merging the letters of each token gives that token.

    It does not where an earlier merge takes letters from both of its parts.
    """
    for token in range(4, len(table.bp)):
        if not may_follow(table, table.left[token], table.right[token], token):
            return False
    return True


@compiled
def follows(table: MergeTable, first: int, second: int) -> bool:
    """`may_follow`, looked up where it is written down."""
    if table.follows.shape[0] == 0:
        return may_follow(table, first, second)
    word = table.follows[first, second >> 6]
    return (word >> np.uint64(second & 63)) & np.uint64(1) != 0


@compiled
def _match(table: MergeTable, text: NDArray[np.uint8], at: int, end: int) -> int:
    """Longest token that the text between two positions begins with."""
    node = 0
    token = NONE
    if at + WORD <= end:
        word = 0
        for index in range(WORD):
            word = word << 2 | int(table.codes[text[at + index]])
        token = int(table.word_token[word])
        node = int(table.word_node[word])
        at += WORD
    while node != NONE and at < end:
        node = int(table.children[node, table.codes[text[at]]])
        at += 1
        if node != NONE:
            token = int(table.longest[node])
    return token


@compiled
def encode_lines(
    table: MergeTable, text: NDArray[np.uint8], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Encode lines that stand one behind the other.

    Parameters
    ----------
    table : MergeTable
        The vocabulary.
    text : ndarray, uint8, shape (n,)
        Letters, no other bytes.
    ends : ndarray, int64, shape (lines,)
        Where each line ends.

    Returns
    -------
    ndarray, int32, shape (m,)
        Ids of all lines.
    ndarray, int64, shape (lines,)
        Where the ids of each line end.
    """
    out = np.empty(len(text) // 2 + 16, dtype=np.int32)
    id_ends = np.empty(len(ends), dtype=np.int64)
    blocked = np.zeros(len(text) + 1, dtype=np.uint8)
    num = 0
    at = 0
    for line in range(len(ends)):
        line_end = ends[line]
        while at < line_end:
            if table.codes[text[at]] == 4:
                if num == len(out):
                    out = np.concatenate((out, np.empty_like(out)))
                out[num] = NONE
                num += 1
                at += 1
                continue
            end = at + 1
            while end < line_end and table.codes[text[end]] < 4:
                end += 1
            first = num
            token = _match(table, text, at, end)
            while at < end:
                before = int(out[num - 1]) if num > first else NONE
                after = at + table.bp[token]
                if not blocked[after] and (before == NONE or follows(table, before, token)):
                    if num == len(out):
                        out = np.concatenate((out, np.empty_like(out)))
                    out[num] = token
                    num += 1
                    at = after
                    if at < end:
                        token = _match(table, text, at, end)
                elif table.prefix[token] != NONE:
                    token = int(table.prefix[token])
                else:
                    blocked[at] = 1
                    num -= 1
                    token = int(out[num])
                    at -= table.bp[token]
        id_ends[line] = num
    for index in range(num):
        out[index] = table.ids[out[index]] if out[index] != NONE else table.unk
    return out[:num], id_ends
