"""Labelled sequences: read from a table, checked, split, compared.

Comes in: a CSV with a header `sequence,label`. Goes out: sequences as they stand in the file,
labels as integers with their names, and for each sequence the line it came from, so that a later
complaint can name it. What a table is belongs to `data/formats/delimited.py`; tokens to
`predict.py`.
"""

import hashlib
import logging
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.formats.delimited import check_sequence, iter_rows
from helixlm.errors import InputError
from helixlm.rng import CounterRng
from helixlm.seq.ops import reverse_complement

logger = logging.getLogger(__name__)

COLUMNS = ("sequence", "label")
_WHOLE = re.compile(r"[+-]?\d+")


class LabelError(InputError):
    """Labelled sequences that cannot be used as they are."""


class LabelledSequences(NamedTuple):
    """The examples of one file (or of one part of it)."""

    sequences: list[str]
    """Letters as they stand in the file."""
    labels: NDArray[np.int64]
    """Index into `label_names`, shape (N,)."""
    label_names: tuple[str, ...]
    """What the labels are called; the classes of a task, in ascending order."""
    lines: NDArray[np.int64]
    """Line of the file on which each example begins, 1-based, shape (N,)."""
    path: Path
    """The file."""

    def take(self, index: NDArray[np.int64]) -> "LabelledSequences":
        """Return the examples with the given numbers, in that order."""
        return self._replace(
            sequences=[self.sequences[i] for i in index.tolist()],
            labels=self.labels[index],
            lines=self.lines[index],
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 over sequences, labels and label names, 64 hexadecimal digits."""
        digest = hashlib.sha256()
        for name in self.label_names:
            digest.update(f"{name}\n".encode())
        for sequence, label in zip(self.sequences, self.labels.tolist(), strict=True):
            digest.update(f"{label}\t{sequence}\n".encode())
        return digest.hexdigest()


class Task(NamedTuple):
    """A classification task."""

    train: LabelledSequences
    dev: LabelledSequences
    test: LabelledSequences | None


def read_labelled(
    path: str | Path, *, label_names: Sequence[str] | None = None
) -> LabelledSequences:
    """Read a table of labelled sequences.

    Parameters
    ----------
    path : str or Path
        CSV (or TSV, by its name), plain or gzipped, with the columns `sequence` and `label`;
        others are ignored. Labels are whole numbers or names.
    label_names : sequence of str, optional
        The labels that may occur. Give those of the training file to read dev and test; without
        it the file is taken as a training file, which decides the labels: whole numbers in
        numeric order, names in alphabetical order.

    Returns
    -------
    LabelledSequences
        All rows, in the order of the file.

    Raises
    ------
    TableError
        If the file is not a table with these columns, or a row holds no DNA sequence.
    LabelError
        If it has no rows, a row without a label, a label that is not in `label_names`, or (as a
        training file) fewer than two classes or measured values in place of classes.
    """
    path = Path(path)
    sequences, raw_labels, lines = [], [], []
    for row in iter_rows(path, COLUMNS):
        sequence, label = row.fields["sequence"], row.fields["label"]
        check_sequence(sequence, f"{path}:{row.line}")
        if not label:
            raise LabelError(f"{path}:{row.line}: no label, expected one in column 'label'")
        sequences.append(sequence)
        raw_labels.append(label)
        lines.append(row.line)
    if not sequences:
        raise LabelError(f"{path}: a header without rows, expected labelled sequences")
    labels = [str(int(x)) if _WHOLE.fullmatch(x) else x for x in raw_labels]
    names = _training_names(path, labels) if label_names is None else tuple(label_names)
    index = {name: i for i, name in enumerate(names)}
    for line, raw, label in zip(lines, raw_labels, labels, strict=True):
        if label not in index:
            raise LabelError(
                f"{path}:{line}: label {raw!r} does not occur in the training file, "
                f"expected one of {_listed(names)}"
            )
    return LabelledSequences(
        sequences,
        np.array([index[label] for label in labels], dtype=np.int64),
        names,
        np.array(lines, dtype=np.int64),
        path,
    )


def read_task(
    train: str | Path | LabelledSequences,
    dev: str | Path | LabelledSequences | None = None,
    test: str | Path | LabelledSequences | None = None,
    *,
    dev_fraction: float = 0.1,
    dev_seed: int = 0,
) -> Task:
    """Read the files of a classification task.

    Parameters
    ----------
    train, dev, test : str, Path or LabelledSequences
        Files for `read_labelled`, or what it returned. Labels are those of train.
    dev_fraction : float
        Without dev: share of train that becomes dev.
    dev_seed : int
        Without dev: which share.

    Returns
    -------
    Task
        All parts, with the labels of train.

    Raises
    ------
    TableError, LabelError
        As `read_labelled` and `split_off`.
    """
    parts = train if isinstance(train, LabelledSequences) else read_labelled(train)

    def read(data: str | Path | LabelledSequences) -> LabelledSequences:
        if not isinstance(data, LabelledSequences):
            return read_labelled(data, label_names=parts.label_names)
        assert data.label_names == parts.label_names, "read dev and test with train's labels"
        return data

    tested = None if test is None else read(test)
    if dev is not None:
        task = Task(parts, read(dev), tested)
    else:
        task = Task(*split_off(parts, dev_fraction, dev_seed), tested)
        logger.info(
            "no dev file: %d of %d examples of %s are set aside as dev",
            len(task.dev.sequences),
            len(parts.sequences),
            parts.path,
        )
    if parts is not train:  # said once, when the files are read
        _warn_one_class(task.dev)
        if tested is not None:
            _warn_one_class(tested)
            _warn_shared(tested, parts)
    return task


def _warn_shared(test: LabelledSequences, train: LabelledSequences) -> None:
    shared = count_shared(test, train)
    if shared:
        logger.warning(
            "%s: %d of %d test sequences also stand in %s (either strand): the scores on test "
            "flatter every method that remembers",
            test.path,
            shared,
            len(test.sequences),
            train.path,
        )


def _warn_one_class(part: LabelledSequences) -> None:
    if len(np.unique(part.labels)) == 1:
        logger.warning(
            "%s: all %d labels are %r: MCC is 0 and AUROC undefined whatever the model does",
            part.path,
            len(part.labels),
            part.label_names[part.labels[0]],
        )


def split_off(
    data: LabelledSequences, fraction: float, seed: int
) -> tuple[LabelledSequences, LabelledSequences]:
    """Divide examples at random into a larger and a smaller part with the same mix of labels.

    The examples are shuffled, sorted by label, and the smaller part is taken from them at even
    spacing, so that each label gives its share to within one example.

    Parameters
    ----------
    data : LabelledSequences
        All examples.
    fraction : float
        Share of the smaller part, over 0 and under 1.
    seed : int
        Which of the possible divisions.

    Returns
    -------
    larger, smaller : LabelledSequences
        Both in the order of `data`.

    Raises
    ------
    LabelError
        If either part would be empty.
    """
    count = len(data.sequences)
    taken = round(count * fraction)
    if not 0 < taken < count:
        raise LabelError(
            f"{data.path}: {count} examples are too few to set aside {fraction:.0%} of them for "
            f"validation: add examples, or give a dev file"
        )
    rng = CounterRng("split-off", seed)
    shuffled = rng.permutation(count)
    by_label = shuffled[np.argsort(data.labels[shuffled], kind="stable")]
    start = rng.uniform(1)[0]
    smaller = np.sort(by_label[((np.arange(taken) + start) * count / taken).astype(np.int64)])
    larger = np.setdiff1d(np.arange(count), smaller)
    return data.take(larger), data.take(smaller)


def count_shared(data: LabelledSequences, train: LabelledSequences) -> int:
    """Count the examples whose sequence also stands in `train`, on either strand, in any case."""
    seen = {sequence.upper() for sequence in train.sequences}
    return sum(
        upper in seen or reverse_complement(upper) in seen
        for upper in (sequence.upper() for sequence in data.sequences)
    )


def _training_names(path: Path, labels: list[str]) -> tuple[str, ...]:
    """Return the classes of a training file in order."""
    distinct = set(labels)
    if all(map(_WHOLE.fullmatch, distinct)):
        names = sorted(distinct, key=int)
    else:
        names = sorted(distinct)
        if all(map(_is_number, distinct)) and any(not float(x).is_integer() for x in distinct):
            raise LabelError(
                f"{path}: labels with fractions such as {names[0]!r}: these look like measured "
                f"values, expected classes (whole numbers or names)"
            )
    if len(names) < 2:
        raise LabelError(
            f"{path}: all {len(labels)} labels are {names[0]!r}, expected at least two classes"
        )
    return tuple(names)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(map(repr, names[:20])) + more
