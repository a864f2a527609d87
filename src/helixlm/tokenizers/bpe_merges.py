"""Byte-pair merges learned exactly, in memory that is fixed before the first.

In: a `TrainingText`. Out: pairs of token ids in the order in which they are merged. Each time, the
pair that stands most often side by side is merged; among equals, the one with lower ids. The
`tokenizers` library does the same with a list of places for every pair of the text, which takes it
some 57 bytes a base. Here:

1. Count all pairs. Where memory allows fewer counters than pairs, several pairs share one, which
   can then only be too high.
2. Choose a threshold such that the places of all pairs that reach it fit into the memory that is
   left. What is below the threshold cannot come before what is above.
3. If only few pairs reach it, as at the start, merge the most frequent pair by going through the
   whole text, and count again.
4. Otherwise list the places of these pairs. Merge the most frequent one at its places, list the
   places of the new pairs that reach the threshold, and so on. Counts of the others only fall,
   since a pair arises together with the younger of its tokens. When the most frequent pair is
   below the threshold, or the memory is full, move the tokens of the text together and start over.

A cell takes one byte as long as there are no more tokens than that numbers, 254, later two; by
then the text has about a third as many tokens as it had bases. What it gives back serves the lists.

Why merging a pair everywhere at once is what the library does, though it keeps several lists for
pairs that arise at several times: no token can be spelled by two pairs. Letters between two
boundaries are merged in the same way wherever they stand, so a string becomes one token in one way.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from numba.typed import List
from numpy.typing import NDArray

from helixlm.tokenizers import bpe_text
from helixlm.tokenizers.base import TokenizerError
from helixlm.tokenizers.bpe_candidates import PAIR_BITS, Candidates, first_pairs, heap_key
from helixlm.tokenizers.bpe_kernels import (
    Cells,
    Counts,
    Positions,
    compact,
    count_pairs,
    count_shared,
    join_slots,
    list_neighbours,
    list_pairs,
    list_shared,
    merge_everywhere,
    merge_pair,
    sort_slots,
    widen,
)
from helixlm.tokenizers.bpe_text import TrainingText

NUM_BASES = 4
NO_LIMIT = 2**31 - 1

FEW_PAIRS = 20
"""pairs with places below which a pass through the text for each merge is faster"""
PARALLEL_FROM = 1 << 13
"""positions below which one thread merges faster than several"""
COUNTERS_SHARE = 2
"""half of the memory beside the text may go into counters if each pair then has its own"""
SHARED_COUNTERS_SHARE = 4
"""a quarter, if pairs share them"""
FEWEST_COUNTERS = 1 << 12
MOST_TO_LEAST = 64
"""how much rarer than the most frequent pair those are whose places are listed with it"""
LEAST_BYTES = 1 << 16
"""what counters may always take"""
SPARE_PLACES = 1 << 10
CANDIDATES_SHARE = 4
MERGE_BYTES = 250
CANDIDATE_BYTES = 200
"""what a pair with places takes beside them, in arrays and as a Python object"""


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
    memory_bytes: int,
    progress: Callable[[int, int | None], None] | None = None,
) -> list[Merge]:
    """Merge pairs until there are enough, or none is frequent enough.

    Parameters
    ----------
    text : TrainingText
        Is used up. Its regions are worked on side by side; their number changes no result.
    num_merges : int
        Merges at most.
    min_frequency : int
        A pair must stand this often side by side to be merged, 1 or more.
    max_token_bp : int, optional
        Longest token in bases.
    memory_bytes : int
        Memory for the text, counters and lists of places.
    progress : callable, optional
        Called as ``progress(merges, num_merges)`` after each merge.

    Returns
    -------
    list of Merge
        In order. Ids 0 to 3 are A, C, G, T, and merge i makes token 4 + i.

    Raises
    ------
    TokenizerError
        If the memory is too small; it says how much is needed.
    """
    with ThreadPoolExecutor(len(text.regions)) as pool:
        learner = _Learner(text, num_merges, max_token_bp or NO_LIMIT, memory_bytes, pool)
        for merges in learner.learn(min_frequency):
            if progress is not None:
                progress(merges, num_merges)
    return learner.merges


class _Choice(NamedTuple):
    """Pairs whose places are to be listed, by their counter, and the count that each reaches."""

    slots: Counts
    threshold: int
    top: int
    """the most frequent one, the first among equals"""


class _Learner:
    """The text, the tokens so far, and what may be held in memory beside them."""

    def __init__(
        self,
        text: TrainingText,
        num_merges: int,
        max_bp: int,
        memory_bytes: int,
        pool: Executor,
    ) -> None:
        self.merges: list[Merge] = []
        self._num_merges = num_merges
        self._cells: list[Cells] = list(text.regions)
        text.regions.clear()  # so that each can be given back when it is widened
        self._max_bp = max_bp
        # What is known of each token, as Python objects and in arrays for each region.
        self._tokens_bytes = (MERGE_BYTES + 48 * len(self._cells)) * num_merges
        self._memory_bytes = memory_bytes
        self._pool = pool
        self._bp = np.ones(NUM_BASES + num_merges, dtype=np.int32)
        self._widths = np.ones(NUM_BASES + num_merges, dtype=np.int32)
        self._surely: int | None = None  # if counters say more: some pair is so frequent at least

    def learn(self, min_frequency: int) -> Iterator[int]:
        """Merge, and yield the number of merges after each."""
        while len(self.merges) < self._num_merges:
            counts, stride = self._count()
            choice = self._choose(counts, stride, min_frequency)
            if choice is None:
                return
            few = stride > 0 and len(choice.slots) < FEW_PAIRS
            if self._num_tokens == self._most_tokens():
                self._widen()
            if few:
                self._merge_everywhere(choice.top, counts, stride)
                yield len(self.merges)
            else:
                candidates, positions = self._list(choice, counts, stride)
                del counts
                # If each counter got so high by the sum of several pairs, there is no candidate,
                # but it is known now how often one of these pairs stands side by side.
                if len(candidates) == 0 and choice.threshold <= min_frequency:
                    return
                least = max(min_frequency, candidates.highest)
                self._surely = None if len(candidates) else least
                yield from self._merge_listed(candidates, positions)
                del candidates, positions
                if len(self.merges) < self._num_merges:
                    self._compact()

    @property
    def _num_tokens(self) -> int:
        return NUM_BASES + len(self.merges)

    @property
    def _is_narrow(self) -> bool:
        return self._cells[0].dtype == np.uint8

    def _most_tokens(self) -> int:
        """Tokens that the cells can number; two more values have a meaning of their own."""
        return int(np.iinfo(self._cells[0].dtype).max) - 1

    def _rest(self) -> int:
        """Memory beside the text."""
        return self._memory_bytes - self._tokens_bytes - sum(own.nbytes for own in self._cells)

    def _counter_bytes(self) -> int:
        """Count what a counter takes in each region, and in their sum."""
        return 4 * len(self._cells) + (4 if self._is_short() else 8)

    def _is_short(self) -> bool:
        """Whether 32 bits hold every count."""
        return sum(map(len, self._cells)) < 2**32

    def _num_counters(self) -> int:
        """Counters to use where there are not enough for all pairs, a power of two."""
        fit = self._rest() // SHARED_COUNTERS_SHARE // self._counter_bytes()
        return max(FEWEST_COUNTERS, 1 << max(0, fit.bit_length() - 1))

    def _count(self) -> tuple[list[NDArray[np.uint32]], int]:
        """Count all pairs of each region; the stride of the counters is 0 if pairs share them."""
        stride = self._num_tokens + 1
        if stride**2 * self._counter_bytes() <= max(self._rest() // COUNTERS_SHARE, LEAST_BYTES):
            counts = [np.zeros(stride**2, dtype=np.uint32) for _ in self._cells]
            self._each(count_pairs, self._regions([stride] * len(counts), counts))
            return counts, stride
        counts = [np.zeros(self._num_counters(), dtype=np.uint32) for _ in self._cells]
        if self._is_narrow:
            self._widen()
        calls = [(cells, self._bp, self._max_bp, own) for cells, own in self._regions(counts)]
        self._each(count_shared, calls)
        return counts, 0

    def _choose(
        self, counts: list[NDArray[np.uint32]], stride: int, min_frequency: int
    ) -> _Choice | None:
        """Choose pairs whose places fit into the memory; None if no pair is frequent enough."""
        total = self._sum(counts, stride)
        top = int(total.argmax())
        most = int(total[top])
        if most < min_frequency:
            return None
        if self._surely is not None:
            most = min(most, self._surely)
        rooms = self._rooms(len(total))
        fewer = self._most_candidates()
        lowest = max(min_frequency, most // MOST_TO_LEAST)
        threshold = most
        slots = np.flatnonzero(total >= threshold)
        while threshold > lowest and len(slots) <= fewer:
            if sum(int(own[slots].sum(dtype=np.int64)) for own in counts) > sum(rooms):
                break
            threshold = max(lowest, threshold // 2)
            slots = np.flatnonzero(total >= threshold)
        slots = slots[np.argsort(total[slots], kind="stable")[::-1]]
        descending = -total[slots].astype(np.int64)
        if len(slots) > fewer:
            threshold = min(most, 1 - int(descending[fewer]))
        fits = int(np.searchsorted(descending, -threshold, side="right"))
        for own, room in zip(counts, rooms, strict=True):
            needed = np.cumsum(own[slots[:fits]], dtype=np.int64)
            fits_here = int(np.searchsorted(needed, room, side="right"))
            if fits_here < fits:
                threshold = 1 - int(descending[fits_here])
                fits = int(np.searchsorted(descending, -threshold, side="right"))
        if threshold > most and not stride:
            needed_bytes = self._needed([int(own[total >= most].sum()) for own in counts])
            raise TokenizerError(
                f"{self._memory_bytes:,} bytes of memory are too small after {len(self.merges)} "
                f"merges: at least {needed_bytes:,} are needed"
            )
        return _Choice(np.sort(slots[:fits]), threshold, top)

    def _sum(self, counts: list[NDArray[np.uint32]], stride: int) -> NDArray[Any]:
        """Sum the counts of all regions, without stops and pairs that are too long."""
        total: NDArray[Any] = counts[0].astype(np.uint32 if self._is_short() else np.int64)
        for own in counts[1:]:
            total += own
        if stride:  # shared counters were spared them
            pairs = total.reshape(stride, stride)
            pairs[-1, :] = 0
            pairs[:, -1] = 0
            bp = self._bp[: self._num_tokens]
            if 2 * int(bp.max()) > self._max_bp:
                for left, left_bp in enumerate(bp.tolist()):
                    pairs[left, :-1][bp + left_bp > self._max_bp] = 0
        return total

    def _most_candidates(self) -> int:
        """Pairs that may have places, each with what it takes in every region."""
        each = CANDIDATE_BYTES + 16 * len(self._cells)
        return max(1, self._rest() // CANDIDATES_SHARE // each)

    def _rooms(self, num_counters: int) -> list[int]:
        """Places to list at first in each region; a quarter of the room is left for new pairs."""
        room = max(0, self._rest() - num_counters * self._counter_bytes()) // 4
        lengths = list(map(len, self._cells))
        return [3 * room * length // sum(lengths) // 4 for length in lengths]

    def _needed(self, places: list[int]) -> int:
        """Memory in which so many places of each region have room."""
        lengths = list(map(len, self._cells))
        share = max(own * sum(lengths) / n for own, n in zip(places, lengths, strict=True))
        room = 4 * (4 * share / 3 + 8) * SHARED_COUNTERS_SHARE / (SHARED_COUNTERS_SHARE - 1)
        counters = FEWEST_COUNTERS * self._counter_bytes()
        return int(room) + 2 * sum(lengths) + counters + self._tokens_bytes

    def _widen(self) -> None:
        """Give each token two bytes."""
        wide: list[Cells] = [np.empty(len(cells), dtype=np.uint16) for cells in self._cells]
        self._each(widen, self._regions([bpe_text.STOP] * len(wide), wide))
        self._cells = wide

    def _merge_everywhere(self, pair: int, counts: list[NDArray[np.uint32]], stride: int) -> None:
        """Merge a pair by going through the text."""
        frequency = sum(int(own[pair]) for own in counts)
        left, right = divmod(pair, stride)
        new = self._add(left, right, frequency)
        ids = [[id_] * len(counts) for id_ in (left, right, new)]
        self._shrink(self._each(merge_everywhere, self._regions(*ids)))
        self._widths[new] = 1

    def _compact(self) -> None:
        """Move the tokens of each region together."""
        calls = [(cells, self._widths) for cells in self._cells]
        self._shrink(self._each(compact, calls))
        self._widths[:] = 1

    def _shrink(self, lengths: Sequence[int]) -> None:
        """Give back what is not in use at the end of each region."""
        for cells, length in zip(self._cells, lengths, strict=True):
            cells.resize(length, refcheck=False)

    def _add(self, left: int, right: int, frequency: int) -> int:
        """Take down a merge; return the id of its token."""
        new = self._num_tokens
        self._bp[new] = self._bp[left] + self._bp[right]
        self._widths[new] = self._widths[left] + self._widths[right]
        self.merges.append(Merge(left, right, frequency))
        return new

    def _list(
        self, choice: _Choice, counts: list[NDArray[np.uint32]], stride: int
    ) -> tuple[Candidates, list[Positions]]:
        """List the places of pairs; the counters serve as cursors and hold nothing after that."""
        slots = choice.slots
        starts, ends = [], []
        for own in counts:
            lengths = own[slots].astype(np.int64)
            ends.append(np.cumsum(lengths) + 1)  # place 0 is for what was not chosen
            starts.append(ends[-1] - lengths)
            own[:] = 0
            own[slots] = starts[-1]
        used = [int(region_ends[-1]) for region_ends in ends]
        # A third more than was chosen, for new pairs.
        positions = [np.empty(4 * own // 3 + SPARE_PLACES, dtype=np.uint32) for own in used]
        spans = np.stack(starts), np.stack(ends)
        limit = heap_key(choice.threshold, PAIR_BITS)
        if stride:
            strides = [stride] * len(counts)
            self._each(list_pairs, self._regions(strides, counts, positions))
            pairs = (slots // stride << 16 | slots % stride).astype(np.uint32)
            kept = first_pairs(pairs, *spans, limit, self._most_candidates())
            return Candidates(*kept, 0, used), positions
        how = (self._bp, self._max_bp)
        calls = [(cells, *how, *own) for cells, *own in self._regions(counts, positions)]
        self._each(list_shared, calls)
        self._each(sort_slots, self._regions(positions, *spans))
        where = List(self._cells), List(positions)
        pairs, begins, finishes, limit, highest = join_slots(
            *where, *spans, limit, self._most_candidates()
        )
        return Candidates(pairs, begins, finishes, limit, highest, used), positions

    def _merge_listed(self, candidates: Candidates, positions: list[Positions]) -> Iterator[int]:
        """Merge candidates, new ones too, until none is left that surely comes next."""
        changes = np.zeros((len(self._cells), 4, len(self._bp)), dtype=np.int64)
        room = np.array([len(own) for own in positions])
        most = min(NUM_BASES + self._num_merges, self._most_tokens())
        while self._num_tokens < most:
            top = candidates.pop()
            if top is None:
                return
            left, right = divmod(int(candidates.pairs[top]), 1 << 16)
            new = self._add(left, right, candidates.count(top))
            places = candidates.places(top, positions)
            parallel = sum(map(len, places)) >= PARALLEL_FROM
            found = self._each(
                merge_pair,
                [
                    (cells, self._widths, left, right, new, own, changed)
                    for cells, own, changed in self._regions(places, changes)
                ],
                parallel=parallel,
            )
            bp = self._bp[: new + 1]
            cursors = candidates.update(left, right, changes, bp, self._max_bp, room)
            if cursors is not None and len(cursors):
                self._each(
                    list_neighbours,
                    [
                        (cells, self._widths, new, own[:count], own_positions, cursor)
                        for cells, own, count, own_positions, cursor in self._regions(
                            places, found, positions, cursors
                        )
                    ],
                    parallel=parallel,
                )
            yield len(self.merges)
            if cursors is None:
                return

    def _regions(self, *values: Iterable[Any]) -> Iterator[tuple[Any, ...]]:
        """Go through the cells of the regions together with other values of each."""
        return zip(self._cells, *values, strict=True)

    def _each(
        self,
        work: Callable[..., Any],
        calls: Iterable[tuple[Any, ...]],
        *,
        parallel: bool = True,
    ) -> list[Any]:
        """Call something for each region, in threads if that pays."""
        if parallel and len(self._cells) > 1:
            return list(self._pool.map(work, *zip(*calls, strict=True)))
        return [work(*call) for call in calls]
