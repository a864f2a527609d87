"""Which parts of a genome are for training and which for validation, and whether they touch.

In: the contigs and their lengths. Out: an `Assignment` that says of any interval to which split it
belongs. Whole contigs or whole blocks are held out, drawn from a seeded generator: the order
of a file decides nothing. `check_leaks` looks at finished windows and reports where the splits
share bases or sequences.
"""

import hashlib
import logging
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from helixlm.data.windows import Window
from helixlm.errors import InputError
from helixlm.rng import CounterRng
from helixlm.seq.ops import reverse_complement

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation")
_EXAMPLES = 5
_NAMES_SHOWN = 12
_BATCH = 16_384


class SplitError(InputError):
    """A genome that cannot be split as asked."""


class SplitConfig(BaseModel):
    """How validation is held out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["contig", "block"] = "contig"
    """Whole contigs (chromosomes) are held out, or blocks spread over all contigs."""
    validation_contigs: tuple[str, ...] = ()
    """Names of the contigs to hold out; empty: they are drawn at random."""
    validation_fraction: float = Field(default=0.1, gt=0, le=0.5)
    """Share of the bases to hold out, where no contigs are named."""
    block_bp: int = Field(default=1_000_000, gt=0)
    """Length of a block, bp."""

    @model_validator(mode="after")
    def _check(self) -> "SplitConfig":
        if self.by == "block" and self.validation_contigs:
            raise ValueError("validation_contigs: expected none when the split is by block")
        return self


@dataclass(frozen=True)
class Assignment:
    """The split of every base.

    Attributes
    ----------
    block_bp : int or None
        Length of a block, or None if whole contigs are assigned.
    validation : dict of str to bytes
        For each contig one byte a block (one in all if `block_bp` is None): 1 means validation.
    """

    block_bp: int | None
    validation: dict[str, bytes]

    def split_of(self, contig: str, start: int, end: int) -> str | None:
        """Return "train" or "validation", or None if the interval lies in both."""
        flags = self.validation[contig]
        if self.block_bp is not None:
            flags = flags[start // self.block_bp : (end - 1) // self.block_bp + 1]
        if 1 not in flags:
            return "train"
        return None if 0 in flags else "validation"

    @property
    def validation_contigs(self) -> tuple[str, ...]:
        """Contigs that are held out as a whole."""
        return tuple(name for name, flags in self.validation.items() if 0 not in flags)


def assign(
    contigs: Mapping[str, int],
    config: SplitConfig,
    seed: int,
    block_bases: Mapping[str, Sequence[int]] | None = None,
) -> Assignment:
    """Decide what is held out. The order of `contigs` plays no part.

    By contig and without names, contigs are taken in random order until they hold
    `validation_fraction` of the bases. One that would bring the share above twice that, or above
    half, is passed over; if the share is then not reached, the smallest of those is added as long
    as half of the bases remain in training.

    By block, blocks are numbered through the contigs in the order of their names, and of every
    run of ``round(1 / validation_fraction)`` blocks one is held out. Blocks with less than half as
    many bases as the average (gaps, ends of contigs) are not numbered: they are for training.

    Parameters
    ----------
    contigs : mapping of str to int
        Contig lengths in bp.
    config : SplitConfig
        The settings.
    seed : int
        Drawn from ``CounterRng("split", seed, ...)``.
    block_bases : mapping of str to sequence of int, optional
        For each contig the bases other than N in each of its blocks; if not given, no base is N.

    Returns
    -------
    Assignment
        The split of every base. Both splits have some.

    Raises
    ------
    SplitError
        If a named contig does not exist, if nothing would be left for training, or if there is
        too little to split.
    """
    if config.by == "contig":
        held_out = _choose_contigs(contigs, config, seed)
        return Assignment(None, {name: bytes([name in held_out]) for name in contigs})
    if block_bases is None:
        block_bases = {
            name: [min(config.block_bp, length - i) for i in range(0, length, config.block_bp)]
            for name, length in contigs.items()
        }
    return _choose_blocks(block_bases, config, seed)


def _choose_contigs(contigs: Mapping[str, int], config: SplitConfig, seed: int) -> set[str]:
    named = config.validation_contigs
    unknown = [name for name in named if name not in contigs]
    if unknown:
        raise SplitError(
            f"validation_contigs: no contig is named {', '.join(map(repr, unknown))}; "
            f"found {_shown(list(contigs))}"
        )
    if named:
        if len(set(named)) == len(contigs):
            raise SplitError(
                f"validation_contigs: all {len(contigs)} contigs are held out, so none is left for "
                "training: name fewer, or split by block (--set split.by=block)"
            )
        return set(named)
    if len(contigs) < 2:
        raise SplitError(
            f"split by contig: expected at least 2 contigs, found {_shown(list(contigs))}: "
            "split by block instead (--set split.by=block)"
        )
    names = sorted(contigs)  # so that the order of the file plays no part
    lengths = [contigs[name] for name in names]
    total = sum(lengths)
    wanted = config.validation_fraction * total
    most = min(2 * wanted, total / 2)
    chosen: set[str] = set()
    passed_over: list[int] = []
    share = 0
    for i in CounterRng("split", seed, "contig").permutation(len(names)).tolist():
        if share >= wanted:
            break
        if share + lengths[i] > most:
            passed_over.append(i)
            continue
        chosen.add(names[i])
        share += lengths[i]
    if share < wanted and passed_over:
        smallest = min(passed_over, key=lambda i: lengths[i])
        if 2 * (share + lengths[smallest]) <= total:
            chosen.add(names[smallest])
            share += lengths[smallest]
    if share < wanted:
        logger.warning(
            "split by contig: validation gets %.2g %% of the bases (%s), not the %.2g %% asked "
            "for, because the other contigs are too large: split by block instead "
            "(--set split.by=block)",
            100 * share / total,
            _shown(sorted(chosen)),
            100 * config.validation_fraction,
        )
    if share > 2 * wanted:
        logger.warning(
            "split by contig: validation gets %.2g %% of the bases (%s), not the %.2g %% asked "
            "for, because all contigs are large: split by block instead (--set split.by=block)",
            100 * share / total,
            _shown(sorted(chosen)),
            100 * config.validation_fraction,
        )
    return chosen


def _choose_blocks(
    block_bases: Mapping[str, Sequence[int]], config: SplitConfig, seed: int
) -> Assignment:
    bases = np.array([n for name in sorted(block_bases) for n in block_bases[name]], np.int64)
    numbered = np.flatnonzero((bases > 0) & (2 * bases * np.sum(bases > 0) >= bases.sum()))
    if len(numbered) < 2:
        raise SplitError(
            f"split by block: expected at least 2 blocks of {config.block_bp:,} bp with sequence, "
            f"found {len(numbered)} in {_shown(list(block_bases))}: choose a smaller block_bp"
        )
    run = round(1 / config.validation_fraction)
    flags = np.zeros(len(bases), np.uint8)
    for first in range(0, len(numbered), run):
        # A last run that is cut short gets its share of the chance, unless it is the only one.
        length = min(run, len(numbered)) if first == 0 else run
        pick = first + CounterRng("split", seed, "block", first).integer(0, length)
        if pick < len(numbered):
            flags[numbered[pick]] = 1
    validation: dict[str, bytes] = {}
    position = 0
    for name in sorted(block_bases):
        end = position + len(block_bases[name])
        validation[name] = flags[position:end].tobytes()
        position = end
    return Assignment(config.block_bp, validation)


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) or "none") + more


class WindowSource(Protocol):
    """What `check_leaks` reads: an open corpus, for one."""

    def iter_windows(self, split: str) -> Iterator[Window]:
        """Yield the windows of one split."""


@dataclass(frozen=True)
class LeakReport:
    """What two splits share.

    Attributes
    ----------
    num_train, num_validation : int
        Windows that were looked at.
    overlapping : int
        Training windows that share bases of the genome with validation windows.
    identical : int
        Training windows whose whole sequence, on either strand and whatever the case, is that
        of a validation window.
    examples : tuple of str
        The first few of both kinds, in words.
    """

    num_train: int
    num_validation: int
    overlapping: int
    identical: int
    examples: tuple[str, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is shared."""
        return not (self.overlapping or self.identical)

    def __str__(self) -> str:
        text = (
            f"{self.num_train:,} training and {self.num_validation:,} validation windows: "
            f"{self.overlapping:,} training windows overlap validation windows, "
            f"{self.identical:,} have the sequence of one"
        )
        return "\n".join([text, *("  " + example for example in self.examples)])


def check_leaks(
    corpus: WindowSource, progress: Callable[[int, int | None], None] | None = None
) -> LeakReport:
    """Report where training and validation share bases or whole sequences.

    Repeats give a genome identical windows of their own accord, so `identical` need not be zero;
    `overlapping` must be.

    Parameters
    ----------
    corpus : WindowSource
        An open corpus, or anything with its `iter_windows`.
    progress : callable, optional
        Called as ``progress(windows_done, None)``.

    Returns
    -------
    LeakReport
        The counts, and the first examples.

    Notes
    -----
    Validation is held in memory with 24 bytes a window, training streams. Sequences are compared by
    64-bit hashes: with 5 million windows the chance of one false hit is below 1e-5.
    """
    digests = array("Q")
    spans: dict[str, tuple[array[int], array[int]]] = {}
    for window in corpus.iter_windows("validation"):
        digests.append(_digest(window.sequence))
        starts, ends = spans.setdefault(window.contig, (array("q"), array("q")))
        starts.append(window.start)
        ends.append(window.end)
        if progress and len(digests) % _BATCH == 0:
            progress(len(digests), None)
    known = np.sort(np.frombuffer(digests, dtype=np.uint64))
    merged = {contig: _merge(*pair) for contig, pair in spans.items()}

    num_train = overlapping = identical = 0
    examples: list[str] = []
    windows = corpus.iter_windows("train")
    while batch := list(islice(windows, _BATCH)):
        digest_B = np.fromiter((_digest(w.sequence) for w in batch), np.uint64, len(batch))
        same_B = _contains(known, digest_B)
        over_B = np.fromiter((_touches(merged.get(w.contig), w) for w in batch), bool, len(batch))
        num_train += len(batch)
        identical += int(same_B.sum())
        overlapping += int(over_B.sum())
        for found_B, words in ((over_B, "overlaps a"), (same_B, "has the sequence of a")):
            for i in np.flatnonzero(found_B)[: _EXAMPLES - len(examples)]:
                contig, start, end = batch[i][:3]
                examples.append(f"training window {contig}:{start}-{end} {words} validation window")
        if progress:
            progress(len(digests) + num_train, None)
    return LeakReport(num_train, len(digests), overlapping, identical, tuple(examples))


def _digest(sequence: str) -> int:
    """64 bits of a hash that is the same for a sequence and its reverse complement."""
    text = sequence.upper()
    strand = min(text, reverse_complement(text)).encode()
    return int.from_bytes(hashlib.blake2b(strand, digest_size=8).digest(), "little")


def _contains(known: NDArray[np.uint64], digest_B: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether each digest is in the sorted array `known`."""
    place_B = np.searchsorted(known, digest_B)
    inside_B = place_B < len(known)
    inside_B[inside_B] = known[place_B[inside_B]] == digest_B[inside_B]
    return inside_B


def _merge(starts: "array[int]", ends: "array[int]") -> tuple[list[int], list[int]]:
    """Sort intervals and join those that touch."""
    order = np.argsort(np.frombuffer(starts, dtype=np.int64), kind="stable").tolist()
    merged_starts: list[int] = []
    merged_ends: list[int] = []
    for i in order:
        if merged_ends and starts[i] <= merged_ends[-1]:
            merged_ends[-1] = max(merged_ends[-1], ends[i])
        else:
            merged_starts.append(starts[i])
            merged_ends.append(ends[i])
    return merged_starts, merged_ends


def _touches(merged: tuple[list[int], list[int]] | None, window: Window) -> bool:
    if merged is None:
        return False
    starts, ends = merged
    last = bisect_left(starts, window.end) - 1  # the last that begins before the window ends
    return last >= 0 and ends[last] > window.start
