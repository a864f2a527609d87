"""Byte-pair merges learned exactly, in memory that is fixed before the first.

In: a `TrainingText`. Out: pairs of token ids in the order in which they are merged. Each time, the
pair that stands most often side by side is merged; among equals, the one with lower ids. The
`tokenizers` library does the same with a list of places for every pair of the text, which takes it
some 57 bytes a base. Here only the pairs that come next have their places listed:

1. Count all pairs. Where there are more pairs than counters, several pairs share a counter, which
   can then only be too high.
2. Choose a threshold such that the places of all pairs that reach it fit into the index, and list
   them: what is below the threshold cannot come before what is above.
3. Merge the most frequent pair at its places, and list the places of the new pairs that reach the
   threshold. Counts of the others only fall, since a pair arises together with the younger of
   its tokens. When the most frequent pair is below the threshold, or the index is full, start over.

Why merging a pair everywhere at once is what the library does, though it keeps several lists for
pairs that arise at several times: no token can be spelled by two pairs. Letters between two
boundaries are merged in the same way wherever they stand, so a string becomes one token in one way.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled
from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe_kernels import (
    NONE,
    Counts,
    Positions,
    count_slots,
    list_neighbours,
    list_slots,
    merge_pair,
    split_slots,
)
from helixlm.tokenizers.bpe_text import Cells, TrainingText

NUM_BASES = 4
NO_LIMIT = 2**31 - 1

PARALLEL_FROM = 1 << 15
"""positions below which one thread merges faster than several"""
COUNTERS_SHARE = 4
"""a quarter of the working memory may go into counters, the rest is the index"""
FEWEST_COUNTERS = 1 << 12

EMPTY = np.uint32(2**32 - 1)


class Merge(NamedTuple):
    """Two tokens that became one, by their ids, and how often they stood side by side."""

    left: int
    right: int
    frequency: int


def learn_merges(
    text: TrainingText,
    *,
    num_merges: int,
    min_frequency: int,
    max_token_bp: int | None,
    index_bytes: int,
    threads: int = 1,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Merge]:
    """Merge pairs until there are enough, or none is frequent enough.

    Parameters
    ----------
    text : TrainingText
        Is used up: afterwards it holds the merged tokens.
    num_merges : int
        Merges at most.
    min_frequency : int
        A pair must stand this often side by side to be merged, 1 or more.
    max_token_bp : int, optional
        Longest token in bases.
    index_bytes : int
        Memory for counters and lists of places.
    threads : int
        Parts of the text to work on at once. Their number changes no result.
    progress : callable, optional
        Called as ``progress(merges, num_merges)`` after each merge.

    Returns
    -------
    list of Merge
        In order. Ids 0 to 3 are A, C, G, T, and merge i makes token 4 + i.

    Raises
    ------
    TokenizerError
        If the places of the most frequent pair alone need more memory.
    """
    with ThreadPoolExecutor(threads) as pool:
        regions = text.regions(threads)
        learner = _Learner(regions, num_merges, max_token_bp or NO_LIMIT, index_bytes, pool)
        while len(learner.merges) < num_merges:
            candidates = learner.index(min_frequency)
            if candidates is None:
                break
            for _ in learner.merge_all(candidates, num_merges):
                if progress is not None:
                    progress(len(learner.merges), num_merges)
    return learner.merges


class _Learner:
    """The state between two rounds: the text, the tokens so far, the memory of the index."""

    def __init__(
        self, cells: list[Cells], num_merges: int, max_bp: int, index_bytes: int, pool: Executor
    ) -> None:
        self.merges: list[Merge] = []
        self._cells = cells
        self._max_bp = max_bp
        self._pool = pool
        self._bp = np.ones(NUM_BASES + num_merges, dtype=np.int32)
        self._index_bytes = index_bytes
        self._lengths = [len(own) for own in cells]
        # One counter for each region, and a sum that is made and sorted once.
        self._counter_bytes = 4 * len(self._cells) + 16
        share = index_bytes // COUNTERS_SHARE // self._counter_bytes
        self._counters = max(FEWEST_COUNTERS, 1 << (share.bit_length() - 1) if share else 0)
        room = max(0, index_bytes - self._counters * self._counter_bytes) // 4
        self._room = [room * length // sum(self._lengths) for length in self._lengths]
        self._positions = [np.empty(room, dtype=np.uint32) for room in self._room]

    @property
    def _num_tokens(self) -> int:
        return NUM_BASES + len(self.merges)

    def index(self, min_frequency: int) -> "_Candidates | None":
        """List the places of the most frequent pairs; None if no pair is frequent enough."""
        while True:
            candidates = self._index(min_frequency)
            if candidates is None or len(candidates) > 0:
                return candidates
            if candidates.threshold <= min_frequency:
                return None
            # Every counter that reached the threshold did so by the sum of several pairs.
            self._counters *= 2

    def _index(self, min_frequency: int) -> "_Candidates | None":
        """One attempt at `index`, which holds no pair if too many share each counter."""
        stride = self._num_tokens if self._num_tokens**2 <= self._counters else 0
        size = stride**2 if stride else self._counters
        counts = [np.zeros(size, dtype=np.uint32) for _ in self._cells]
        how = (self._bp, self._max_bp, stride)
        self._each(count_slots, [(cells, *how, own) for cells, own in self._regions(counts)])
        slots, threshold = self._choose(counts, min_frequency)
        if len(slots) == 0:
            return None
        starts, ends = [], []
        for own in counts:
            lengths = own[slots].astype(np.int64)
            ends.append(np.cumsum(lengths))
            starts.append(ends[-1] - lengths)
            own[:] = 0
            own[slots] = starts[-1] + 1
        self._each(
            list_slots,
            [
                (cells, *how, own, positions)
                for cells, own, positions in self._regions(counts, self._positions)
            ],
        )
        used = [int(region_ends[-1]) for region_ends in ends]
        if stride:
            pairs = (slots // stride << 16 | slots % stride).astype(np.uint32)
            return _Candidates(threshold, used, pairs, np.stack(starts), np.stack(ends))
        parts = self._each(
            split_slots,
            [
                (cells, self._bp, positions, own_starts, own_ends)
                for cells, positions, own_starts, own_ends in self._regions(
                    self._positions, starts, ends
                )
            ],
        )
        return _Candidates(threshold, used, *_joined(parts))

    def _choose(self, counts: list[NDArray[np.uint32]], min_frequency: int) -> tuple[Counts, int]:
        """Choose the slots whose places fit into half of the index, and their threshold."""
        total = counts[0].astype(np.int64)
        for region_counts in counts[1:]:
            total += region_counts
        top = int(total.max())
        if top < min_frequency:
            return np.empty(0, dtype=np.int64), top
        least = top
        room = sum(self._room) // 2
        while least > min_frequency and int(total[total >= least].sum()) <= room:
            least = max(min_frequency, least // 2)
        slots = np.flatnonzero(total >= least)
        slots = slots[np.argsort(-total[slots], kind="stable")]
        fits = len(slots)
        for region_counts, region_room in zip(counts, self._room, strict=True):
            needed = np.cumsum(region_counts[slots], dtype=np.int64)
            fits = min(fits, int(np.searchsorted(needed, region_room // 2, side="right")))
        threshold = least
        if fits < len(slots):
            threshold = int(total[slots[fits]]) + 1
            fits = int(np.searchsorted(-total[slots], -threshold, side="right"))
        if fits == 0:
            raise TokenizerError(
                f"{self._index_bytes:,} bytes for lists of places, beside the text, are too small "
                f"for the most frequent pair after {len(self.merges)} merges: at least "
                f"{self._needed(total, counts):,} are needed"
            )
        return np.sort(slots[:fits]), threshold

    def _needed(self, total: Counts, counts: list[NDArray[np.uint32]]) -> int:
        """Memory of the index in which the places of the most frequent pair have room."""
        top = total == total.max()
        share = max(
            int(own[top].sum()) * sum(self._lengths) / length
            for own, length in zip(counts, self._lengths, strict=True)
        )
        # The places fill half of what the counters leave.
        places = int(2 * 4 * (share + 2) * COUNTERS_SHARE / (COUNTERS_SHARE - 1))
        return places + FEWEST_COUNTERS * self._counter_bytes

    def merge_all(self, candidates: "_Candidates", num_merges: int) -> Iterator[None]:
        """Merge candidates, new ones too, until none is left that surely comes next."""
        changes = np.zeros((len(self._cells), 4, len(self._bp)), dtype=np.int64)
        room = np.array(self._room, dtype=np.int64)
        while len(self.merges) < num_merges:
            top = candidates.pop()
            if top is None:
                return
            left, right = divmod(int(candidates.pairs[top]), 1 << 16)
            new = self._num_tokens
            self._bp[new] = self._bp[left] + self._bp[right]
            self.merges.append(Merge(left, right, candidates.count(top)))
            changes[:, :, : new + 1] = 0
            places = candidates.places(top, self._positions)
            parallel = sum(map(len, places)) >= PARALLEL_FROM
            found = self._each(
                merge_pair,
                [
                    (cells, self._bp, left, right, new, own, changed)
                    for cells, own, changed in self._regions(places, changes)
                ],
                parallel=parallel,
            )
            lengths = self._bp[: new + 1] + self._bp[new]
            cursors = candidates.update(left, right, changes, lengths <= self._max_bp, room)
            if cursors is not None and len(cursors):
                self._each(
                    list_neighbours,
                    [
                        (cells, self._bp, new, own[:count], positions, cursor)
                        for cells, own, count, positions, cursor in self._regions(
                            places, found, self._positions, cursors
                        )
                    ],
                    parallel=parallel,
                )
            yield
            if cursors is None:
                return

    def _regions(self, *values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
        """Go through the cells of the regions together with other values of each."""
        return zip(self._cells, *values, strict=True)

    def _each(
        self,
        work: Callable[..., Any],
        calls: Sequence[tuple[Any, ...]],
        *,
        parallel: bool = True,
    ) -> list[Any]:
        """Call something for each region, in threads if that pays."""
        if parallel and len(calls) > 1:
            return list(self._pool.map(work, *zip(*calls, strict=True)))
        return [work(*call) for call in calls]


class _Candidates:
    """Pairs that reach the threshold, how often they stand side by side, and where they once did.

    `pairs` holds ``left << 16 | right``, uint32, shape (c,); `starts` and `ends`, int64, shape
    (regions, c), say which part of a region's index holds the pair's places.
    """

    def __init__(
        self,
        threshold: int,
        used: Sequence[int],
        pairs: NDArray[np.uint32],
        starts: Counts,
        ends: Counts,
    ) -> None:
        counts = (ends - starts).sum(axis=0)
        keep = counts >= threshold
        self.threshold = threshold
        self._used = np.array(used, dtype=np.int64)
        self._num = int(keep.sum())
        self.pairs = pairs[keep]
        self.starts = starts[:, keep]
        self.ends = ends[:, keep]
        self._counts = counts[keep]
        self._make_table()
        self._heap = [
            (-count, pair, index)
            for index, (count, pair) in enumerate(
                zip(self._counts.tolist(), self.pairs.tolist(), strict=True)
            )
        ]
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
            count, pair, index = self._heap[0]
            now = int(self._counts[index])
            if now < self.threshold:
                heapq.heappop(self._heap)
            elif now != -count:
                heapq.heapreplace(self._heap, (-now, pair, index))
            else:
                heapq.heappop(self._heap)
                return index
        return None

    def update(
        self,
        left: int,
        right: int,
        changes: Counts,
        fits: NDArray[np.bool_],
        room: Counts,
    ) -> Counts | None:
        """Take in what a merge changed.

        Parameters
        ----------
        left, right : int
            The pair that was merged into the newest token.
        changes : ndarray, int64, shape (regions, 4, V)
            As `merge_pair` has them.
        fits : ndarray, bool, shape (tokens,)
            With which neighbours the newest token, the last of them, may be merged.
        room : ndarray, int64, shape (regions,)
            Places that the indexes hold.

        Returns
        -------
        ndarray, int64, shape (regions, 2, tokens), or None
            For `list_neighbours`: where the places of the new pairs are to be listed. Of length 0
            if none reaches the threshold, None if the index is full.
        """
        tokens = len(fits)
        new = tokens - 1
        summed = changes[:, :, :tokens].sum(axis=0)
        _lose(self._keys, self._values, self._counts, left, right, summed[:2])
        before = np.flatnonzero((summed[2] >= self.threshold) & fits)
        after = np.flatnonzero((summed[3] >= self.threshold) & fits)
        if len(before) + len(after) == 0:
            return np.empty(0, dtype=np.int64)
        lengths = np.concatenate((changes[:, 2, before], changes[:, 3, after]), axis=1)
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
        for index, (count, pair) in enumerate(zip(counts.tolist(), pairs.tolist(), strict=True)):
            heapq.heappush(self._heap, (-count, pair, first + index))


def _joined(
    parts: list[tuple[NDArray[np.uint32], Counts, Counts]],
) -> tuple[NDArray[np.uint32], Counts, Counts]:
    """Put the pairs of all regions into one list, with starts and ends by region."""
    pairs = np.unique(np.concatenate([part[0] for part in parts]))
    starts = np.zeros((len(parts), len(pairs)), dtype=np.int64)
    ends = np.zeros_like(starts)
    for region, (own, own_starts, own_ends) in enumerate(parts):
        at = np.searchsorted(pairs, own)
        starts[region, at], ends[region, at] = own_starts, own_ends
    return pairs, starts, ends


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
def _lose(
    keys: NDArray[np.uint32],
    values: NDArray[np.int32],
    counts: Counts,
    left: int,
    right: int,
    lost: Counts,
) -> None:
    """Lower the counts of the pairs that a merge broke up, where they are candidates."""
    for token in range(lost.shape[1]):
        if lost[0, token]:
            at = _place(keys, token << 16 | left)
            if keys[at] != EMPTY:
                counts[values[at]] -= lost[0, token]
        if lost[1, token]:
            at = _place(keys, right << 16 | token)
            if keys[at] != EMPTY:
                counts[values[at]] -= lost[1, token]
