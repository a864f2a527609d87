"""Which parts of a genome are for training and which for validation, and whether they touch.

In: the contigs and their lengths. Out: an `Assignment` that says of any interval to which split it
belongs. Whole contigs, whole blocks or whole groups of blocks that share sequence are held out,
drawn from a seeded generator: the order of a file decides nothing. What a group is is said in
`similarity/homology.py`; whether finished windows share bases or sequences, in
`similarity/leaks.py`.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from helixlm.errors import InputError
from helixlm.rng import CounterRng

logger = logging.getLogger(__name__)

SPLITS = ("train", "validation")
SHARE_FACTOR = 1.5
"""by block: how many times more or less than was asked for may be held out without a warning"""
_NAMES_SHOWN = 12
_LEAST_RUNS = 2  # of blocks, of each of which one is held out, where a length is suggested


class SplitError(InputError):
    """A genome that cannot be split as asked."""


class SplitConfig(BaseModel):
    """How validation is held out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["contig", "block", "group"] = "contig"
    """Whole contigs (chromosomes) are held out, blocks spread over all contigs, or groups of blocks
    that share sequence."""
    validation_contigs: tuple[str, ...] = ()
    """Names of the contigs to hold out; empty: they are drawn at random."""
    left_out: tuple[str, ...] = ()
    """Names or shell patterns of contigs that are in no split, such as "*_alt"."""
    validation_fraction: float = Field(default=0.1, gt=0, le=0.5)
    """Share of the bases to hold out, where no contigs are named."""
    block_bp: int = Field(default=1_000_000, gt=0)
    """Length of a block, bp."""
    group_share: float = Field(default=0.05, gt=0, le=1)
    """By group: share of the distinct k-mers of a block that must be in another for the two to be
    in one group; copies shorter than this share of block_bp may lie on both sides."""

    @model_validator(mode="after")
    def _check(self) -> "SplitConfig":
        if self.by != "contig" and self.validation_contigs:
            raise ValueError(f"validation_contigs: expected none when the split is by {self.by}")
        return self

    def leaves_out(self, contig: str) -> bool:
        """Whether a contig is in no split; of several genomes it is ``species:contig``."""
        return any(fnmatchcase(contig, pattern) for pattern in self.left_out)


@dataclass(frozen=True)
class Assignment:
    """The split of every base.

    Attributes
    ----------
    block_bp : int or None
        Length of a block, or None if whole contigs are assigned.
    validation : dict of str to bytes
        For each contig one byte a block (one in all if `block_bp` is None): 1 means validation.
        Contigs that are left out are absent.
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
    block_groups: Mapping[str, Sequence[int]] | None = None,
) -> Assignment:
    """Decide what is held out. The order of `contigs` plays no part.

    By contig and without names, contigs are taken in random order until they hold
    `validation_fraction` of the bases. One that would bring the share above twice that, or above
    half, is passed over; if the share is then not reached, the smallest of those is added as long
    as half of the bases remain in training.

    By block, blocks are numbered through the contigs in the order of their names, and of every
    run of ``round(1 / validation_fraction)`` blocks one is held out. Blocks with less than half as
    many bases as the average (gaps, ends of contigs) are not numbered: they are for training.

    By group, groups of blocks are taken as contigs are. Blocks without bases are for training.

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
    block_groups : mapping of str to sequence of int, optional
        For each contig the group of each of its blocks; needed by group. Which number a group has
        plays no part.

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
    if config.by == "block":
        return _choose_blocks(block_bases, config, seed)
    assert block_groups is not None, "a split by group needs the groups"
    return _choose_groups(block_bases, block_groups, config, seed)


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
            f"split by block instead ({_by_block(sum(contigs.values()), config)})"
        )
    names = sorted(contigs)  # so that the order of the file plays no part
    lengths = [contigs[name] for name in names]
    chosen = {names[i] for i in _draw(lengths, config, seed)}
    share = sum(contigs[name] for name in chosen) / sum(lengths)
    if share < config.validation_fraction:
        logger.warning(
            "split by contig: validation gets %.2g %% of the bases (%s), not the %.2g %% asked "
            "for, because the other contigs are too large: split by block instead (%s)",
            100 * share,
            _shown(sorted(chosen)),
            100 * config.validation_fraction,
            _by_block(sum(lengths), config),
        )
    if share > 2 * config.validation_fraction:
        logger.warning(
            "split by contig: validation gets %.2g %% of the bases (%s), not the %.2g %% asked "
            "for, because all contigs are large: split by block instead (%s)",
            100 * share,
            _shown(sorted(chosen)),
            100 * config.validation_fraction,
            _by_block(sum(lengths), config),
        )
    return chosen


def _draw(lengths: list[int], config: SplitConfig, seed: int) -> list[int]:
    """Draw which parts of a genome are held out, as `assign` says of contigs."""
    total = sum(lengths)
    wanted = config.validation_fraction * total
    most = min(2 * wanted, total / 2)
    chosen: list[int] = []
    passed_over: list[int] = []
    share = 0
    for i in CounterRng("split", seed, config.by).permutation(len(lengths)).tolist():
        if share >= wanted:
            break
        if share + lengths[i] > most:
            passed_over.append(i)
            continue
        chosen.append(i)
        share += lengths[i]
    if share < wanted and passed_over:
        smallest = min(passed_over, key=lambda i: lengths[i])
        if 2 * (share + lengths[smallest]) <= total:
            chosen.append(smallest)
    return chosen


def _choose_groups(
    block_bases: Mapping[str, Sequence[int]],
    block_groups: Mapping[str, Sequence[int]],
    config: SplitConfig,
    seed: int,
) -> Assignment:
    bases: dict[int, int] = {}  # of each group, in the order of the names of contigs
    for name in sorted(block_bases):
        for count, group in zip(block_bases[name], block_groups[name], strict=True):
            if count:
                bases[group] = bases.get(group, 0) + count
    total = sum(bases.values())
    largest = max(bases.values(), default=0)
    advice = "choose a smaller split.block_bp or a higher split.group_share"
    if len(bases) < 2:
        raise SplitError(
            f"split by group: expected at least 2 groups of blocks of {config.block_bp:,} bp with "
            f"sequence, found {len(bases)} in {_shown(list(block_bases))}: {advice}"
        )
    groups, lengths = list(bases), list(bases.values())
    chosen = {groups[i] for i in _draw(lengths, config, seed)}
    share = sum(bases[group] for group in chosen) / total
    if not config.validation_fraction <= share <= 2 * config.validation_fraction:
        logger.warning(
            "split by group: validation gets %.2g %% of the bases, not the %.2g %% asked for: of "
            "%d groups the largest has %.2g %%: %s",
            100 * share,
            100 * config.validation_fraction,
            len(bases),
            100 * largest / total,
            advice,
        )
    return Assignment(
        config.block_bp,
        {
            name: bytes(
                bool(count) and group in chosen
                for count, group in zip(block_bases[name], block_groups[name], strict=True)
            )
            for name in sorted(block_bases)
        },
    )


def _choose_blocks(
    block_bases: Mapping[str, Sequence[int]], config: SplitConfig, seed: int
) -> Assignment:
    bases = np.array([n for name in sorted(block_bases) for n in block_bases[name]], np.int64)
    numbered = np.flatnonzero((bases > 0) & (2 * bases * np.sum(bases > 0) >= bases.sum()))
    smaller = _suggested_block_bp(int(bases.sum()), config)
    if len(numbered) < 2:
        advice = f"choose a smaller one, such as --set split.block_bp={smaller}"
        raise SplitError(
            f"split by block: expected at least 2 blocks of {config.block_bp:,} bp with sequence, "
            f"found {len(numbered)} in {_shown(list(block_bases))}: "
            f"{advice if bases.any() else 'give sequence that is not all N'}"
        )
    run = round(1 / config.validation_fraction)
    flags = np.zeros(len(bases), np.uint8)
    for first in range(0, len(numbered), run):
        # A last run that is cut short gets its share of the chance, unless it is the only one.
        length = min(run, len(numbered)) if first == 0 else run
        pick = first + CounterRng("split", seed, "block", first).integer(0, length)
        if pick < len(numbered):
            flags[numbered[pick]] = 1
    share = int(bases[flags == 1].sum()) / int(bases.sum())
    if not 1 / SHARE_FACTOR <= share / config.validation_fraction <= SHARE_FACTOR:
        logger.warning(
            "split by block: validation gets %.2g %% of the bases, not the %.2g %% asked for, "
            "because there are %d blocks of %s bp only: choose smaller ones, such as "
            "--set split.block_bp=%d",
            100 * share,
            100 * config.validation_fraction,
            len(numbered),
            f"{config.block_bp:,}",
            smaller,
        )
    validation: dict[str, bytes] = {}
    position = 0
    for name in sorted(block_bases):
        end = position + len(block_bases[name])
        validation[name] = flags[position:end].tobytes()
        position = end
    return Assignment(config.block_bp, validation)


def _by_block(num_bases: int, config: SplitConfig) -> str:
    """Return the options that split a genome by block, with a length where the present is long."""
    block_bp = _suggested_block_bp(num_bases, config)
    shorter = f" split.block_bp={block_bp}" if block_bp < config.block_bp else ""
    return f"--set split.by=block{shorter}"


def _suggested_block_bp(num_bases: int, config: SplitConfig) -> int:
    """Return a length of blocks, 1, 2 or 5 times a power of ten, at which shares come out.

    Examples
    --------
    >>> _suggested_block_bp(4_641_652, SplitConfig())  # Escherichia coli
    200000
    """
    most = max(1, int(num_bases * config.validation_fraction / _LEAST_RUNS))
    power = 10 ** (len(str(most)) - 1)
    return max(digit * power for digit in (1, 2, 5) if digit * power <= most)


def _shown(names: list[str]) -> str:
    more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
    return (", ".join(names[:_NAMES_SHOWN]) or "none") + more
