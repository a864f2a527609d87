"""What a leak check found: counts, examples, what could not be checked, and a verdict.

In: the numbers. Out: words. What the kinds mean is said in `leaks.py`.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple, get_args

from helixlm.data.similarity.sketch import MOST_COPIES

Kind = Literal["overlapping", "identical", "reverse complement", "contained", "near"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Leak(NamedTuple):
    """A training window and a validation window that share something."""

    kind: Kind
    train: str
    """Contig, start and end, 0-based and half-open; the name alone where places mean nothing."""
    validation: str
    share: float
    """Shared bases of the shorter one (overlapping), or shared k-mers of the smaller set."""

    def __str__(self) -> str:
        words = {
            "overlapping": f"overlaps {100 * self.share:.0f} % of",
            "identical": "has the sequence of",
            "reverse complement": "is the reverse complement of",
            "contained": "holds, or is held by,",
            "near": f"shares {100 * self.share:.0f} % of its k-mers with",
        }
        return f"training {self.train} {words[self.kind]} validation {self.validation}"


class Unchecked(NamedTuple):
    """How many windows of a split may be contained or near, though no leak of theirs was found."""

    without_kmers: int
    """They are shorter than a k-mer, or hold too much N, and are compared as wholes alone."""
    hidden: int
    """More than 256 others share their k-mers, of which that many are known."""


@dataclass(frozen=True)
class LeakReport:
    """What two splits share.

    Attributes
    ----------
    num_train, num_validation : int
        Windows that were looked at.
    train, validation : dict of str to int
        Windows of each split that have a leak, by kind; only the kinds that were looked for.
    num_leaking_train, num_leaking_validation : int
        Windows that have one of any kind.
    near : float or None
        Share of k-mers from which two windows are near; None: that was not looked for.
    examples : tuple of Leak
        Up to five pairs of each kind: those that share most, and the first among equals. Where a
        window is near more than 32 others, the likeliest 32 and those new to the report are looked
        at.
    unchecked_train, unchecked_validation : Unchecked
        Windows of each split in which leaks may have been overlooked, by reason: all counts are
        lower bounds if there are any. There are none where `near` is None.
    """

    num_train: int
    num_validation: int
    train: dict[Kind, int]
    validation: dict[Kind, int]
    num_leaking_train: int
    num_leaking_validation: int
    near: float | None
    examples: tuple[Leak, ...]
    unchecked_train: Unchecked
    unchecked_validation: Unchecked

    @property
    def leaking(self) -> bool:
        """Whether something is shared, of what was looked for."""
        return self.num_leaking_train > 0

    @property
    def all_checked(self) -> bool:
        """Whether no window had to be left unchecked."""
        return not any(self.unchecked_train + self.unchecked_validation)

    @property
    def clean(self) -> bool:
        """Whether nothing is shared, of what was looked for, and all windows were checked."""
        return self.all_checked and not self.leaking

    @property
    def overlapping(self) -> int:
        """Training windows that share bases of the genome with validation windows."""
        return self.train.get("overlapping", 0)

    @property
    def verdict(self) -> str:
        """One line: whether there are leaks, and how many windows they touch."""
        if not self.leaking:
            found = "clean: no leaks" if self.all_checked else "unclear: no leaks found"
            return f"{found} among {self._sizes}{self._unchecked}"
        return (
            f"leaks: {'' if self.all_checked else 'at least '}"
            f"{_part(self.num_leaking_train, self.num_train)} training and "
            f"{_part(self.num_leaking_validation, self.num_validation)} validation windows"
            f"{self._unchecked}"
        )

    @property
    def _sizes(self) -> str:
        return f"{self.num_train:,} training and {self.num_validation:,} validation windows"

    @property
    def _unchecked(self) -> str:
        train, validation = self.unchecked_train, self.unchecked_validation
        reasons = {
            "hold no k-mer (too short, or too much N)": (
                train.without_kmers,
                validation.without_kmers,
            ),
            f"share their k-mers with more than {MOST_COPIES} others": (
                train.hidden,
                validation.hidden,
            ),
        }
        said = [f"{_windows(*nums)} {reason}" for reason, nums in reasons.items() if any(nums)]
        return f" ({'; '.join(said)}: they may be contained or near)" if said else ""

    def __str__(self) -> str:
        words = {
            "overlapping": "overlap validation windows",
            "identical": "have the sequence of one",
            "reverse complement": "its reverse complement",
            "contained": "hold one or are held by one",
            "near": f"share {100 * (self.near or 0):.0f} % of the k-mers of one or more",
        }
        (first, *others) = [f"{count:,} {words[kind]}" for kind, count in self.train.items()]
        counts = ", ".join([first.replace(" ", " training windows ", 1), *others])
        examples = [f"  {leak}" for leak in self.examples]
        return "\n".join([f"{self._sizes}: {counts}{self._unchecked}", *examples])


def _part(count: int, total: int) -> str:
    return f"{count:,} of {total:,} ({_percent(count, total)} %)"


def _percent(count: int, total: int) -> str:
    """Write a part in percent, with two digits; 100 for the whole alone."""
    if count == total:
        return "100"
    return format(Decimal(f"{min(100 * count / total, 99):.2g}"), "f")


def _windows(num_train: int, num_validation: int) -> str:
    counts = {"training": num_train, "validation": num_validation}
    return " and ".join(f"{n:,} {split}" for split, n in counts.items() if n) + " windows"
