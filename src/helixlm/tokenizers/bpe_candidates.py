"""The pairs whose places are listed, in the order in which they are to be merged.

In: pairs, where their places stand in the lists of the regions, and what each merge changed. Out:
the pair that comes next. What a pair is and why the rest can wait is said in bpe_merges.py.
"""

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled
from helixlm.tokenizers.bpe_kernels import NONE, Counts, Positions

PAIR_BITS = 2**32 - 1
EMPTY = np.uint32(PAIR_BITS)


class Candidates:
    """Pairs that come first, how often they stand side by side, and where they once did.

    No pair that is not among them comes before `limit`, see `heap_key`. `pairs` holds
    ``left << 16 | right``, uint32, shape (c,); `starts` and `ends`, int64, shape (regions, c), say
    which part of a region's index holds the pair's places.
    """

    def __init__(
        self,
        pairs: NDArray[np.uint32],
        starts: Counts,
        ends: Counts,
        limit: int,
        highest: int,
        used: Sequence[int],
    ) -> None:
        self._limit = limit
        self._threshold = -(limit >> 32)
        self.highest = highest
        self._used = np.array(used, dtype=np.int64)
        self._num = len(pairs)
        self.pairs = pairs
        self.starts = starts
        self.ends = ends
        self._counts = (ends - starts).sum(axis=0)
        self._make_table()
        self._heap = list(map(heap_key, self._counts.tolist(), self.pairs.tolist()))
        heapq.heapify(self._heap)

    def _make_table(self) -> None:
        """Make the table from pairs to their index, with room for as many again."""
        size = 1 << max(8, (4 * len(self.pairs)).bit_length())
        self._keys = np.full(size, EMPTY, dtype=np.uint32)
        self._values = np.zeros(size, dtype=np.int32)
        _insert(self._keys, self._values, self.pairs[: self._num], 0)

    def __len__(self) -> int:
        return self._num

    def places(self, index: int, positions: Sequence[Positions]) -> list[Positions]:
        """Parts of the regions' indexes that hold the places of a pair."""
        starts, ends = self.starts[:, index].tolist(), self.ends[:, index].tolist()
        return [own[a:b] for own, a, b in zip(positions, starts, ends, strict=True)]

    def count(self, index: int) -> int:
        """How often a pair stands side by side."""
        return int(self._counts[index])

    def pop(self) -> int | None:
        """Take out the most frequent pair, lowest ids first; None if another may come before."""
        while self._heap:
            key = self._heap[0]
            pair = key & PAIR_BITS
            index = int(self._values[_place(self._keys, pair)])
            now = heap_key(int(self._counts[index]), pair)
            if now > self._limit:
                heapq.heappop(self._heap)
            elif now != key:
                heapq.heapreplace(self._heap, now)
            else:
                heapq.heappop(self._heap)
                return index
        return None

    def update(
        self,
        left: int,
        right: int,
        changes: Counts,
        token_bp: NDArray[np.int32],
        max_bp: int,
        room: Counts,
    ) -> Counts | None:
        """Take in what a merge changed.

        Parameters
        ----------
        left, right : int
            The pair that was merged into the newest token.
        changes : ndarray, int64, shape (regions, 4, V)
            As `merge_pair` has them; set to 0 for the next merge.
        token_bp : ndarray, int32, shape (tokens,)
            Length of each token up to the newest.
        max_bp : int
            Longest token that may be made.
        room : ndarray, int64, shape (regions,)
            Places that the indexes hold.

        Returns
        -------
        ndarray, int64, shape (regions, 2, tokens), or None
            For `list_neighbours`: where the places of the new pairs are to be listed. Of length 0
            if none reaches the threshold, None if the index is full.
        """
        tokens = len(token_bp)
        new = tokens - 1
        table = (self._keys, self._values, self._counts)
        before, after = _settle(*table, left, right, changes, token_bp, max_bp, self._threshold)
        if len(before) + len(after) == 0:
            return np.empty(0, dtype=np.int64)
        lengths = np.concatenate((changes[:, 2, before], changes[:, 3, after]), axis=1)
        changes[:, 2, before] = 0
        changes[:, 3, after] = 0
        ends = np.cumsum(lengths, axis=1) + self._used[:, None]
        if (ends[:, -1] > room).any():
            return None
        self._used = ends[:, -1]
        starts = ends - lengths
        cursors = np.full((len(changes), 2, tokens), NONE, dtype=np.int64)
        cursors[:, 0, before] = starts[:, : len(before)]
        cursors[:, 1, after] = starts[:, len(before) :]
        pairs = np.concatenate((before << 16 | new, new << 16 | after)).astype(np.uint32)
        self._add(pairs, lengths.sum(axis=0), starts, ends)
        return cursors

    def _add(self, pairs: NDArray[np.uint32], counts: Counts, starts: Counts, ends: Counts) -> None:
        """Append candidates; the arrays double when they are full."""
        num = self._num + len(pairs)
        if num > len(self.pairs):
            more = 2 * num - len(self.pairs)
            self.pairs = np.concatenate((self.pairs, np.zeros(more, dtype=np.uint32)))
            self._counts = np.concatenate((self._counts, np.zeros(more, dtype=np.int64)))
            empty = np.zeros((len(starts), more), dtype=np.int64)
            self.starts = np.concatenate((self.starts, empty), axis=1)
            self.ends = np.concatenate((self.ends, empty), axis=1)
        first, self._num = self._num, num
        added = slice(first, num)
        self.pairs[added], self._counts[added] = pairs, counts
        self.starts[:, added], self.ends[:, added] = starts, ends
        if 2 * num > len(self._keys):
            self._make_table()
        else:
            _insert(self._keys, self._values, pairs, first)
        for key in map(heap_key, counts.tolist(), pairs.tolist()):
            heapq.heappush(self._heap, key)


def first_pairs(
    pairs: NDArray[np.uint32], starts: Counts, ends: Counts, limit: int, most: int
) -> tuple[NDArray[np.uint32], Counts, Counts, int]:
    """Keep the first pairs if there are too many, as where all are equally rare."""
    if len(pairs) <= most:
        return pairs, starts, ends, limit
    orders = ((starts - ends).sum(axis=0) << 32) + pairs
    keep = np.argsort(orders)[:most]
    return pairs[keep], starts[:, keep], ends[:, keep], int(orders[keep[-1]])


def heap_key(count: int, pair: int) -> int:
    """Put the most frequent pair first, and the lowest among equals, in one number."""
    return (-count << 32) + pair


@compiled
def _place(keys: NDArray[np.uint32], pair: int) -> int | np.int64:
    """Place of a pair in the table, or the free place where it belongs."""
    mask = len(keys) - 1
    at = np.int64((np.uint64(pair) * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)) & mask
    while keys[at] != EMPTY and keys[at] != pair:
        at = (at + 1) & mask
    return at


@compiled
def _insert(
    keys: NDArray[np.uint32], values: NDArray[np.int32], pairs: NDArray[np.uint32], first: int
) -> None:
    """Put pairs into the table, numbered from `first` on."""
    for index in range(len(pairs)):
        at = _place(keys, pairs[index])
        keys[at] = pairs[index]
        values[at] = first + index


@compiled
def _settle(
    keys: NDArray[np.uint32],
    values: NDArray[np.int32],
    counts: Counts,
    left: int,
    right: int,
    changes: Counts,
    token_bp: NDArray[np.int32],
    max_bp: int,
    threshold: int,
) -> tuple[Counts, Counts]:
    """Lower the counts of the candidates that a merge broke up.

    Returns the neighbours before and after the newest token with which it makes new candidates.
    Their changes stay, all others are set to 0.
    """
    tokens = len(token_bp)
    found = np.empty((2, tokens), dtype=np.int64)
    num = np.zeros(2, dtype=np.int64)
    for token in range(tokens):
        lost_before = lost_after = new_before = new_after = np.int64(0)
        for region in range(len(changes)):
            lost_before += changes[region, 0, token]
            lost_after += changes[region, 1, token]
            new_before += changes[region, 2, token]
            new_after += changes[region, 3, token]
            changes[region, 0, token] = changes[region, 1, token] = 0
        if lost_before:
            at = _place(keys, token << 16 | left)
            if keys[at] != EMPTY:
                counts[values[at]] -= lost_before
        if lost_after:
            at = _place(keys, right << 16 | token)
            if keys[at] != EMPTY:
                counts[values[at]] -= lost_after
        fits = token_bp[token] + token_bp[tokens - 1] <= max_bp
        for side, gained in enumerate((new_before, new_after)):
            if gained >= threshold and fits:
                found[side, num[side]] = token
                num[side] += 1
            elif gained:
                changes[:, 2 + side, token] = 0
    return found[0, : num[0]], found[1, : num[1]]
