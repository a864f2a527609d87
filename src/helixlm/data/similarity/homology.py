"""Homology groups: sequences that share much of their sequence, directly or through others.

In: blocks of a genome, contigs, or any sequences. Out: a number for each, equal for those of one
group. Two are linked when a stated share of the distinct k-mers of the smaller one is in the
other, on either strand; groups are what links connect (single linkage). A split that holds out
whole groups leaves no pair of linked sequences on two sides.

The shares are estimated from samples (`sketch.py`) in which two sequences at the threshold share
100 k-mers on average: the standard error is then a tenth of the share. Sequences of
equal samples, such as copies and reverse complements, are in one group and count as one below. One
that is so short that none of its k-mers is in the sample is linked to its copies alone: of those of
300 bp 0.4 % are at a share of 0.05 and blocks of 100 kbp, of those of 100 bp a fifth.

k-mers in more than 256 sequences are interspersed repeats, satellites, or those of a family with
many members (a virus, rDNA). In the counts above they are left out: repeats would link everything.
Instead, two that share a quarter of all their k-mers are linked, or the stated share if that is
more: copies that differ in 6 % of their bases share 0.94**21 = 0.27, and repeats are a smaller part
of a block. Such copies are looked for among the 256 sequences with each of these k-mers whose
sketches have the lowest digests: the same for all k-mers of a family, so its members find each
other there, whatever their number, and the cost does not grow with its square.

What is linked is whole sequences: a copy that is smaller than the share, or one that lies across
the border of two blocks and is smaller than the share in both, does not link. So choose
``share * block_bp`` no longer than the copies that matter.

Interspersed repeats set a floor to the share. Measured on 14 Mbp of human sequence: between blocks
of 1 Mbp the median is 0.021, and 0.028 is exceeded by one pair of ten; between blocks of 100 kbp it
is 0.010, and 0.042 is exceeded by one pair of a hundred. At a share of 0.02 nearly all blocks are
one group, at 0.05 the known segmental duplications are.

Memory: 8 bytes for each sampled k-mer, of equal samples once, and 36 while groups are made. At a
share of 0.05 and blocks of 1 Mbp one k-mer of 500 is sampled: 0.1 bytes a base.
"""

import hashlib
from array import array
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from helixlm.data.similarity.sketch import K, count_shared, sketch
from helixlm.jit import compiled

MOST_SEQUENCES = 256
"""k-mers in more sequences than this count for near copies alone."""

_EXPECTED = 100
_NEAR_COPY = 0.25
_LEAST_OF_EXPECTED = 1 / 4


def homology_groups(
    sequences: Iterable[str], share: float, *, length_bp: int, k: int = K
) -> NDArray[np.int64]:
    """Put sequences that share k-mers into groups.

    Parameters
    ----------
    sequences : iterable of str
        DNA in IUPAC letters, either case; soft-masked letters count.
    share : float
        Share of the k-mers of the smaller of two sequences that links them, above 0 and at most 1.
    length_bp : int
        Length of a usual sequence, bp, from which the density of the sample follows.
    k : int
        Length of a k-mer, bp.

    Returns
    -------
    NDArray, int64, shape (number of sequences,)
        Number of the first sequence of the group that each belongs to. Which sequences are together
        does not depend on their order.

    Raises
    ------
    AlphabetError
        If a letter is not one of IUPAC's for DNA.
    ValueError
        If `share` is out of range.
    """
    grouper = HomologyGrouper(share, length_bp=length_bp, k=k)
    for sequence in sequences:
        grouper.add(sequence)
    return grouper.groups()


class HomologyGrouper:
    """Takes sequences one by one, and then puts them into groups; see `homology_groups`."""

    def __init__(self, share: float, *, length_bp: int, k: int = K) -> None:
        if not 0 < share <= 1:
            raise ValueError(f"share {share}: expected a share above 0 and at most 1")
        self.share = share
        self.k = k
        self.scale = max(1, min(1024, int(share * length_bp / _EXPECTED)))
        self._hashes = array("Q")
        self._ends = array("Q")
        self._numbers: dict[bytes, int] = {}  # of different sketches, by digest
        self._sketch_of = array("Q")
        self._links: list[tuple[int, int]] = []

    @property
    def num_sequences(self) -> int:
        """Sequences that were added."""
        return len(self._sketch_of)

    def link(self, one: int, other: int) -> None:
        """Put two sequences into one group whatever they share; they may be added later."""
        self._links.append((one, other))

    def add(self, sequence: str) -> None:
        """Take a sequence; it is not held."""
        hashes = sketch([sequence], self.k, self.scale).hashes.tobytes()
        # With none in the sample it has no more than copies; without k-mers it is like no other.
        content = (
            hashes
            or sketch([sequence], self.k).hashes.tobytes()
            or str(self.num_sequences).encode()
        )
        digest = hashlib.blake2b(content, digest_size=16).digest()
        number = self._numbers.setdefault(digest, len(self._ends))
        self._sketch_of.append(number)
        if number == len(self._ends):
            self._hashes.frombytes(hashes)
            self._ends.append(len(self._hashes))

    def groups(self) -> NDArray[np.int64]:
        """Return the number of the first sequence of each one's group, int64."""
        own = np.frombuffer(self._hashes, np.uint64)
        ends = np.frombuffer(self._ends, np.uint64).astype(np.int64)
        owners = np.repeat(np.arange(len(ends), dtype=np.uint32), np.diff(ends, prepend=0))
        order = np.argsort(own, kind="stable")
        place = np.empty(len(order), np.uint32 if len(order) < 1 << 32 else np.int64)
        place[order] = np.arange(len(order), dtype=place.dtype)
        hashes, owners = own[order], owners[order]
        del order
        ranks = np.empty(len(ends), np.int64)
        ranks[sorted(range(len(ends)), key=list(self._numbers).__getitem__)] = np.arange(len(ends))
        groups = np.arange(len(ends))
        for one, other in self._links:
            _join(groups, self._sketch_of[one], self._sketch_of[other])
        starts, stops, sizes = _spans(hashes, owners, place, ranks)
        del hashes
        _link(own, ends, owners, place, starts, stops, sizes, ranks, self.share, groups)
        sketch_of = np.frombuffer(self._sketch_of, np.uint64).astype(np.int64)
        # Sketches are numbered as they came, so the lowest of a group has its first sequence.
        _, first = np.unique(sketch_of, return_index=True)
        found: NDArray[np.int64] = first[groups[sketch_of]]
        return found


@compiled
def _spans(
    hashes: NDArray[np.uint64],
    owners: NDArray[np.uint32],
    place: NDArray[np.uint32 | np.int64],
    ranks: NDArray[np.int64],
) -> tuple[NDArray[np.uint32 | np.int64], NDArray[np.uint32 | np.int64], NDArray[np.int64]]:
    """Return where the hashes equal to each begin and end, and how many rare ones a sequence has.

    `hashes` is sorted, with the sequence that each is of in `owners`; the results are of the
    integers of `place`. Of a hash that is not rare the owners are put in the order of their ranks.
    """
    starts = np.empty_like(place)
    stops = np.empty_like(place)
    sizes = np.zeros(len(ranks), np.int64)
    first = 0
    for at in range(1, len(hashes) + 1):
        if at == len(hashes) or hashes[at] != hashes[first]:
            starts[first:at], stops[first:at] = first, at
            if at - first <= MOST_SEQUENCES:
                for i in range(first, at):
                    sizes[owners[i]] += 1
            else:
                several = owners[first:at].copy()
                owners[first:at] = several[np.argsort(ranks[several])]
            first = at
    return starts, stops, sizes


@compiled
def _link(
    own: NDArray[np.uint64],
    ends: NDArray[np.int64],
    owners: NDArray[np.uint32],
    place: NDArray[np.uint32 | np.int64],
    starts: NDArray[np.uint32 | np.int64],
    stops: NDArray[np.uint32 | np.int64],
    sizes: NDArray[np.int64],
    ranks: NDArray[np.int64],
    share: float,
    groups: NDArray[np.int64],
) -> None:
    """Join the groups of linked sequences.

    `own` has the hashes of one sequence after the other, and `place` says where each is in
    `owners`. `groups` holds each sequence's own number, and gets the lowest of its group.
    """
    rare = np.zeros(len(ends), np.int64)  # hashes shared with each of the others
    common = np.zeros(len(ends), np.int64)
    touched = np.empty(len(ends), np.int64)
    near_copy = max(share, _NEAR_COPY)
    begins = np.append(0, ends)
    for one in range(len(ends)):
        num_touched = 0
        for i in place[begins[one] : ends[one]]:
            begin, end = np.int64(starts[i]), np.int64(stops[i])
            shared = rare if end - begin <= MOST_SEQUENCES else common
            for j in range(begin, min(end, begin + MOST_SEQUENCES)):
                other = np.int64(owners[j])
                if ranks[other] < ranks[one]:
                    if rare[other] + common[other] == 0:
                        touched[num_touched] = other
                        num_touched += 1
                    shared[other] += 1
        for i in range(num_touched):
            other = touched[i]
            linked = rare[other] > 0 and rare[other] >= share * min(sizes[one], sizes[other])
            if not linked and common[other] > 0:
                first, second = own[begins[one] : ends[one]], own[begins[other] : ends[other]]
                least = near_copy * min(len(first), len(second))
                linked = (
                    rare[other] + common[other] >= _LEAST_OF_EXPECTED * least
                    and _root(groups, one) != _root(groups, other)
                    and count_shared(first, second) >= least
                )
            if linked:
                _join(groups, one, other)
            rare[other] = common[other] = 0
    for one in range(len(ends)):
        groups[one] = _root(groups, one)


@compiled
def _root(groups: NDArray[np.int64], one: int) -> int:
    while groups[one] != one:
        groups[one] = groups[groups[one]]
        one = groups[one]
    return one


@compiled
def _join(groups: NDArray[np.int64], one: int, other: int) -> None:
    """Give two groups one root, the lower of the two."""
    one, other = _root(groups, one), _root(groups, other)
    groups[max(one, other)] = min(one, other)
