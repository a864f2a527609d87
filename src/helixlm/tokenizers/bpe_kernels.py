"""The inner loops of byte-pair training, compiled: each works on one region of a `TrainingText`.

In: cells and positions in them. Out: counts, positions, merged cells. No loop holds Python's global
lock, so regions run side by side in threads. What the loops are for is said in bpe_merges.py.

Positions are counted from the first cell of the region, in 32 bits.
"""

import numpy as np
from numpy.typing import NDArray

from helixlm.jit import compiled
from helixlm.tokenizers.bpe_text import BREAK, DEAD, Cells

Counts = NDArray[np.int64]
Positions = NDArray[np.uint32]

NONE = -1


@compiled
def slot_of(left: int, right: int, stride: int, mask: int) -> int | np.int64:
    """Counter of a pair: its own if there are enough (stride > 0), else one that several share."""
    if stride > 0:
        return left * stride + right
    key = np.uint64(left) << np.uint64(16) | np.uint64(right)
    key *= np.uint64(0x9E3779B97F4A7C15)
    return np.int64(key >> np.uint64(32)) & mask


@compiled
def count_slots(
    cells: Cells,
    token_bp: NDArray[np.int32],
    max_bp: int,
    stride: int,
    counts: NDArray[np.uint32],
) -> None:
    """Count the pairs of a region by slot; pairs longer than `max_bp` do not count."""
    mask = len(counts) - 1
    left = np.int64(BREAK)
    at = 0
    while at < len(cells):
        token = np.int64(cells[at])
        if token == BREAK:
            at += 1
        else:
            if left != BREAK and token_bp[left] + token_bp[token] <= max_bp:
                counts[slot_of(left, token, stride, mask)] += 1
            at += token_bp[token]
        left = token


@compiled
def list_slots(
    cells: Cells,
    token_bp: NDArray[np.int32],
    max_bp: int,
    stride: int,
    cursors: NDArray[np.uint32],
    positions: Positions,
) -> None:
    """Write down where the pairs of chosen slots begin, in order.

    `cursors` holds for each slot one more than the place of its next position, 0 where the slot
    was not chosen; each chosen one ends behind its last position.
    """
    mask = len(cursors) - 1
    left = np.int64(BREAK)
    left_at = at = 0
    while at < len(cells):
        token = np.int64(cells[at])
        begin = at
        if token == BREAK:
            at += 1
        else:
            if left != BREAK and token_bp[left] + token_bp[token] <= max_bp:
                slot = slot_of(left, token, stride, mask)
                cursor = cursors[slot]
                if cursor > 0:
                    positions[cursor - 1] = left_at
                    cursors[slot] = cursor + 1
            at += token_bp[token]
        left, left_at = token, begin


@compiled
def split_slots(
    cells: Cells,
    token_bp: NDArray[np.int32],
    positions: Positions,
    starts: Counts,
    ends: Counts,
) -> tuple[NDArray[np.uint32], Counts, Counts]:
    """Part the positions of each slot by pair, in place, each part in order.

    Returns the pairs as ``left << 16 | right``, and where the positions of each start and end.
    """
    pairs = np.empty(max(16, len(starts)), dtype=np.uint32)
    pair_starts = np.empty(len(pairs), dtype=np.int64)
    pair_ends = np.empty(len(pairs), dtype=np.int64)
    num_pairs = 0
    for slot in range(len(starts)):
        part = positions[starts[slot] : ends[slot]]
        keys = np.empty(len(part), dtype=np.uint32)
        same = True
        for index in range(len(part)):
            at = np.int64(part[index])
            left = np.int64(cells[at])
            keys[index] = left << 16 | np.int64(cells[at + token_bp[left]])
            same = same and keys[index] == keys[0]
        if not same:
            order = np.argsort(keys, kind="mergesort")
            part[:] = part[order]
            keys = keys[order]
        begin = 0
        for index in range(1, len(part) + 1):
            if index == len(part) or keys[index] != keys[begin]:
                if num_pairs == len(pairs):
                    pairs = np.concatenate((pairs, np.empty_like(pairs)))
                    pair_starts = np.concatenate((pair_starts, np.empty_like(pair_starts)))
                    pair_ends = np.concatenate((pair_ends, np.empty_like(pair_ends)))
                pairs[num_pairs] = keys[begin]
                pair_starts[num_pairs] = starts[slot] + begin
                pair_ends[num_pairs] = starts[slot] + index
                num_pairs += 1
                begin = index
    return pairs[:num_pairs], pair_starts[:num_pairs], pair_ends[:num_pairs]


@compiled
def merge_pair(
    cells: Cells,
    token_bp: NDArray[np.int32],
    left: int,
    right: int,
    new: int,
    positions: Positions,
    changes: Counts,
) -> int:
    """Merge a pair into a new token wherever it still is, from left to right.

    Parameters
    ----------
    cells : ndarray, uint16, shape (n,)
        The region; changed.
    token_bp : ndarray, int32, shape (V,)
        Length of each token.
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
    left_bp = np.int64(token_bp[left])
    right_bp = np.int64(token_bp[right])
    new_bp = left_bp + right_bp
    found = 0
    for index in range(len(positions)):
        at = np.int64(positions[index])
        if cells[at] != left or cells[at + left_bp] != right:
            continue
        before = cells[at - 1]
        after = cells[at + new_bp]
        if before != BREAK and before != new:
            changes[0, before] += 1
        if after != BREAK:
            changes[1, after] += 1
        cells[at] = new
        cells[at + left_bp] = DEAD
        cells[at + new_bp - 1] = new
        positions[found] = at
        found += 1
    for index in range(found):
        at = np.int64(positions[index])
        before = cells[at - 1]
        after = cells[at + new_bp]
        if before != BREAK:
            changes[2, before] += 1
        if after != BREAK and after != new:
            changes[3, after] += 1
    return found


@compiled
def list_neighbours(
    cells: Cells,
    token_bp: NDArray[np.int32],
    new: int,
    new_positions: Positions,
    positions: Positions,
    cursors: Counts,
) -> None:
    """Write down where the chosen pairs with a new token begin, in order.

    `cursors`, shape (2, V), holds for each neighbour before (0) and after (1) the place of its
    pair's next position, or `NONE`; each chosen one ends behind its last position.
    """
    new_bp = np.int64(token_bp[new])
    for index in range(len(new_positions)):
        at = np.int64(new_positions[index])
        before = np.int64(cells[at - 1])
        if before != BREAK and cursors[0, before] != NONE:
            positions[cursors[0, before]] = at - token_bp[before]
            cursors[0, before] += 1
        after = np.int64(cells[at + new_bp])
        if after != BREAK and after != new and cursors[1, after] != NONE:
            positions[cursors[1, after]] = at
            cursors[1, after] += 1
