"""The inner loops of byte-pair training, compiled: each works on one region of the text.

In: cells and positions in them. Out: counts, positions, merged cells. No loop holds Python's global
lock, so regions run side by side in threads. What the loops are for is said in bpe_merges.py.

Cells hold token ids, and the type's highest value, a stop, where no pair may reach across. The
next lower value is no id either: it marks where a token began that is now the right part of
another. A token fills as many cells as its width says: its id stands in the first and in the last,
and what stands between is of no use. Positions are counted from the first cell of the region, in
32 bits.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled

Cells = NDArray[np.uint8] | NDArray[np.uint16]
Widths = NDArray[np.int32]
Counts = NDArray[np.int64]
Positions = NDArray[np.uint32]

STOP = 65535
"""of cells of two bytes"""
NONE = -1
NO_PAIR = 2**32
BLOCK = 256
"""places that are merged at once: their cells stay in the first-level cache"""
MOST_IN_TRIPLES = 32
"""tokens, a stop among them, up to which a counter for each triple stays in that cache"""


@compiled
def order_of(count: int, pair: int) -> int | np.int64:
    """Put a more frequent pair first, and the lower one among equals, in one number."""
    return (-np.int64(count) << 32) + np.int64(pair)


@compiled
def compact(cells: Cells, widths: Widths) -> int:
    """Move tokens together so that each fills one cell; return how many cells are in use."""
    stop = cells[len(cells) - 1]
    # Each step waits for the one before, so two halves go side by side.
    middle = len(cells) // 2
    while middle < len(cells) and cells[middle] != stop:
        middle += 1
    at = out = 0
    second_at = second_out = middle
    while at < middle or second_at < len(cells):
        if at < middle:
            token = np.int64(cells[at])
            cells[out] = token
            out += 1
            at += 1 if token == stop else widths[token]
        if second_at < len(cells):
            token = np.int64(cells[second_at])
            cells[second_out] = token
            second_out += 1
            second_at += 1 if token == stop else widths[token]
    for index in range(middle, second_out):
        cells[out] = cells[index]
        out += 1
    return out


@compiled
def widen(narrow: NDArray[np.uint8], stop: int, wide: NDArray[np.uint16]) -> None:
    """Copy cells of one byte into cells of two."""
    for at in range(len(narrow)):
        wide[at] = STOP if narrow[at] == stop else narrow[at]


@compiled
def merge_everywhere(cells: Cells, left: int, right: int, new: int) -> int:
    """Merge a pair wherever it is, from left to right; return how many cells are in use.

    Each token fills one cell, before and after. There is no branch, since a processor would
    guess wrongly whether a pair is there: what is merged away is written over by what follows.
    """
    merged = out = np.int64(0)
    for at in range(len(cells) - 1):
        token = np.int64(cells[at])
        # The right one of two that were merged begins no pair, as in AAA.
        found = np.int64((token == left) & (cells[at + 1] == right)) & (1 - merged)
        cells[out] = token + found * (new - token)
        out += 1 - merged
        merged = found
    cells[out] = cells[len(cells) - 1]
    return int(out) + 1


@compiled
def count_pairs(cells: Cells, stride: int, counts: NDArray[np.uint32]) -> None:
    """Count the pairs of a region, each at ``left * stride + right``; each token fills one cell.

    Cells of `stride` - 1 and more, stops that is, count as one token.
    """
    last = stride - 1
    left = np.int64(last)  # what a region begins with
    at = 1
    if stride <= MOST_IN_TRIPLES:
        # Every second token with both neighbours: half as many counters to wait for.
        triples = np.zeros(stride**3, dtype=np.uint32)
        while at < len(cells) - 1:
            middle = np.int64(min(cells[at], last))
            right = np.int64(min(cells[at + 1], last))
            triples[(left * stride + middle) * stride + right] += 1
            left = right
            at += 2
        for triple in range(len(triples)):
            counts[triple // stride] += triples[triple]
            counts[triple % stride**2] += triples[triple]
    while at < len(cells):
        right = np.int64(min(cells[at], last))
        counts[left * stride + right] += 1
        left = right
        at += 1


@compiled
def list_pairs(
    cells: Cells, stride: int, cursors: NDArray[np.uint32], positions: Positions
) -> None:
    """Write down where chosen pairs begin, in order; each token fills one cell.

    `cursors` holds for each pair the place of its next position, 0 where it was not chosen: what
    is written at place 0 is of no use. Each chosen one ends behind its last position.
    """
    last = stride - 1
    left = np.int64(last)  # what a region begins with
    for at in range(1, len(cells)):
        right = np.int64(min(cells[at], last))
        pair = left * stride + right
        cursor = cursors[pair]
        positions[cursor] = at - 1
        cursors[pair] = cursor + (cursor > 0)
        left = right


@compiled
def shared_slot(left: int, right: int, mask: int) -> int | np.int64:
    """Counter of a pair where there are fewer counters than pairs."""
    key = np.uint64(left) << np.uint64(16) | np.uint64(right)
    key *= np.uint64(0x9E3779B97F4A7C15)
    return np.int64(key >> np.uint64(32)) & mask


@compiled
def count_shared(
    cells: Cells, token_bp: NDArray[np.int32], max_bp: int, counts: NDArray[np.uint32]
) -> None:
    """Count pairs of up to `max_bp` bases as `count_pairs` does, several in one counter."""
    mask = len(counts) - 1
    for at in range(1, len(cells)):
        left = np.int64(cells[at - 1])
        right = np.int64(cells[at])
        if left != STOP and right != STOP and token_bp[left] + token_bp[right] <= max_bp:
            counts[shared_slot(left, right, mask)] += 1


@compiled
def list_shared(
    cells: Cells,
    token_bp: NDArray[np.int32],
    max_bp: int,
    cursors: NDArray[np.uint32],
    positions: Positions,
) -> None:
    """Write positions down as `list_pairs` does, of all pairs of a counter in one list."""
    mask = len(cursors) - 1
    for at in range(1, len(cells)):
        left = np.int64(cells[at - 1])
        right = np.int64(cells[at])
        if left != STOP and right != STOP and token_bp[left] + token_bp[right] <= max_bp:
            slot = shared_slot(left, right, mask)
            cursor = cursors[slot]
            positions[cursor] = at - 1
            cursors[slot] = cursor + (cursor > 0)


@compiled
def sort_slots(cells: Cells, positions: Positions, starts: Counts, ends: Counts) -> None:
    """Sort the positions of each slot by pair, each pair's in order; one cell a token."""
    for slot in range(len(starts)):
        part = positions[starts[slot] : ends[slot]]
        keys = np.empty(len(part), dtype=np.uint32)
        same = True
        for index in range(len(part)):
            keys[index] = _pair_at(cells, part[index])
            same = same and keys[index] == keys[0]
        if not same:
            part[:] = part[np.argsort(keys, kind="mergesort")]


@compiled
def join_slots(
    regions: Sequence[Cells],
    positions: Sequence[Positions],
    starts: Counts,
    ends: Counts,
    limit: int,
    most: int,
) -> tuple[NDArray[np.uint32], Counts, Counts, int, int]:
    """Find the pairs of sorted slots that are frequent enough in all regions together.

    Parameters
    ----------
    regions, positions : list of ndarray
        Cells and positions of each region.
    starts, ends : ndarray, int64, shape (regions, slots)
        Which positions belong to each slot.
    limit : int
        The last that is wanted, as `order_of` has it.
    most : int
        If there are more than twice as many pairs, the limit is lowered.

    Returns
    -------
    pairs : ndarray, uint32, shape (n,)
        ``left << 16 | right``.
    starts, ends : ndarray, int64, shape (regions, n)
        Which positions belong to each pair.
    limit : int
        No other pair comes before it.
    highest : int
        Count of the most frequent pair, whether it is wanted or not.
    """
    num_regions = len(regions)
    room = 2 * most
    pairs = np.empty(room, dtype=np.uint32)
    orders = np.empty(room, dtype=np.int64)
    begins = np.empty((num_regions, room), dtype=np.int64)
    finishes = np.empty((num_regions, room), dtype=np.int64)
    num = highest = 0
    at = np.empty(num_regions, dtype=np.int64)
    begin = np.empty(num_regions, dtype=np.int64)
    for slot in range(starts.shape[1]):
        at[:] = starts[:, slot]
        while True:
            pair = NO_PAIR
            for region in range(num_regions):
                if at[region] < ends[region, slot]:
                    own = _pair_at(regions[region], positions[region][at[region]])
                    pair = min(pair, own)
            if pair == NO_PAIR:
                break
            count = 0
            for region in range(num_regions):
                begin[region] = at[region]
                while (
                    at[region] < ends[region, slot]
                    and _pair_at(regions[region], positions[region][at[region]]) == pair
                ):
                    at[region] += 1
                count += at[region] - begin[region]
            highest = max(highest, count)
            order = order_of(count, pair)
            if order > limit:
                continue
            if num == room:
                keep = np.argsort(orders)[:most]
                limit = orders[keep[-1]]
                num = most
                orders[:num] = orders[keep]
                pairs[:num] = pairs[keep]
                begins[:, :num] = begins[:, keep]
                finishes[:, :num] = finishes[:, keep]
                if order > limit:
                    continue
            pairs[num] = pair
            orders[num] = order
            begins[:, num] = begin
            finishes[:, num] = at
            num += 1
    return pairs[:num], begins[:, :num], finishes[:, :num], limit, highest


@compiled
def _pair_at(cells: Cells, at: int) -> int | np.int64:
    """Pair of the token at a position and the next; one cell a token."""
    return np.int64(cells[at]) << 16 | np.int64(cells[at + 1])


@compiled
def merge_pair(
    cells: Cells,
    widths: Widths,
    left: int,
    right: int,
    new: int,
    positions: Positions,
    changes: Counts,
) -> int:
    """Merge a pair into a new token wherever it still is, from left to right.

    Parameters
    ----------
    cells : ndarray, uint8 or uint16, shape (n,)
        The region; changed. It ends with a stop.
    widths : ndarray, int32, shape (V,)
        Cells that each token fills.
    left, right, new : int
        Ids of the pair and of the token that it becomes.
    positions : ndarray, uint32, shape (m,)
        Where the pair was once; overwritten from its start with where the new token is.
    changes : ndarray, int64, shape (4, V)
        Added to, by neighbour: neighbours before that the left token lost, neighbours after that
        the right token lost, neighbours before and after the new token. Two new tokens side by
        side count once, as a neighbour before.

    Returns
    -------
    int
        How many new tokens there are.
    """
    stop = cells[len(cells) - 1]
    left_width = np.int64(widths[left])
    new_width = left_width + np.int64(widths[right])
    found = counted = 0
    for start in range(0, len(positions), BLOCK):
        # Without a branch, so that the cells of a block come from memory side by side.
        last = found
        for index in range(start, min(start + BLOCK, len(positions))):
            at = np.int64(positions[index])
            positions[last] = at
            last += (cells[at] == left) & (cells[at + left_width] == right)
        for index in range(found, last):
            at = np.int64(positions[index])
            if cells[at] != left:  # the one before, in a run such as AAA, took this one
                continue
            before = cells[at - 1]
            after = cells[at + new_width]
            if before != stop and before != new:
                changes[0, before] += 1
            if after != stop:
                changes[1, after] += 1
            cells[at] = new
            cells[at + left_width] = stop - 1
            cells[at + new_width - 1] = new
            positions[found] = at
            found += 1
        # The newest one waits: it may yet get a new neighbour.
        while counted < found - 1:
            _count_neighbours(cells, np.int64(positions[counted]), new, new_width, changes)
            counted += 1
    if counted < found:
        _count_neighbours(cells, np.int64(positions[counted]), new, new_width, changes)
    return found


@compiled
def _count_neighbours(cells: Cells, at: int, new: int, new_width: int, changes: Counts) -> None:
    """Count the neighbours of a new token, see `merge_pair`."""
    stop = cells[len(cells) - 1]
    before = cells[at - 1]
    after = cells[at + new_width]
    if before != stop:
        changes[2, before] += 1
    if after != stop and after != new:
        changes[3, after] += 1


@compiled
def list_neighbours(
    cells: Cells,
    widths: Widths,
    new: int,
    new_positions: Positions,
    positions: Positions,
    cursors: Counts,
) -> None:
    """Write down where the chosen pairs with a new token begin, in order.

    `cursors`, shape (2, V), holds for each neighbour before (0) and after (1) the place of its
    pair's next position, or `NONE`; each chosen one ends behind its last position.
    """
    stop = cells[len(cells) - 1]
    new_width = np.int64(widths[new])
    for index in range(len(new_positions)):
        at = np.int64(new_positions[index])
        before = np.int64(cells[at - 1])
        if before != stop and cursors[0, before] != NONE:
            positions[cursors[0, before]] = at - widths[before]
            cursors[0, before] += 1
        after = np.int64(cells[at + new_width])
        if after != stop and after != new and cursors[1, after] != NONE:
            positions[cursors[1, after]] = at
            cursors[1, after] += 1
