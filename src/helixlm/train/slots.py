"""What is asked of a batch, laid into a fixed number of slots.

Comes in: the rows of a micro-batch and what is asked in each. Goes out: flat positions and their
true tokens, always as many, so that every step has the same shapes. The positions are those of
hidden tokens, or, where the next token is asked (a causal model), those of all that have one.

Shape letters: B rows, L tokens in a row, K hidden in a row, M slots.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

IGNORED = -100
"""Label of a slot that holds no token: PyTorch's default `ignore_index`."""


class Slots(NamedTuple):
    """What is asked of a batch."""

    index_M: NDArray[np.int64]
    """Flat positions ``b * L + l``, ascending, of the vectors that predict; unused slots hold 0."""
    labels_M: NDArray[np.int64]
    """The true tokens; `IGNORED` in unused slots."""


def capacity(num_tokens: int, rate: float, variance: float) -> int:
    """Return the number of slots for the masked tokens of a batch.

    Six standard deviations over the mean; if each token is drawn alone, that is passed in fewer
    than one batch in 10**8. Rounded up to a multiple of 8, which matrix kernels like.

    Parameters
    ----------
    num_tokens : int
        Tokens of the batch.
    rate : float
        Share of them that is masked.
    variance : float
        Of the number of masked tokens, per token of the batch: ``rate * (1 - rate)`` if each is
        drawn alone.

    Examples
    --------
    >>> capacity(4096, 0.15, 0.15 * 0.85)
    752
    """
    spread = 6 * math.sqrt(num_tokens * variance)
    return min(num_tokens, 8 * math.ceil((num_tokens * rate + spread) / 8))


def fill_slots(
    ids_BL: NDArray[np.integer], hidden: Sequence[NDArray[np.int64]], num_slots: int
) -> Slots:
    """Lay the hidden tokens of a batch into slots.

    Parameters
    ----------
    ids_BL : ndarray, int, shape (B, L)
        The true token ids.
    hidden : sequence of B ndarray, int64
        Hidden positions of each row.
    num_slots : int
        M.

    Returns
    -------
    Slots
        The surplus over M, if ever there is one, is dropped from the last row: those tokens are
        then shown corrupted but not asked for.
    """
    row_tokens = ids_BL.shape[1]
    index = np.concatenate([row * row_tokens + at for row, at in enumerate(hidden)])
    return _lay(index, ids_BL.ravel()[index], num_slots)


def ask_next(
    ids_BL: NDArray[np.integer],
    document_BL: NDArray[np.integer] | None,
    asked_V: NDArray[np.bool_],
) -> Slots:
    """Ask at each token for the one behind it in its document.

    Parameters
    ----------
    ids_BL : ndarray, int, shape (B, L)
        Token ids.
    document_BL : ndarray, int, shape (B, L), optional
        Which document each token belongs to, 0 for padding; None: each row is one.
    asked_V : ndarray, bool, shape (V,)
        Which tokens are asked for: special and unknown ones are not.

    Returns
    -------
    Slots
        M is B * (L - 1); the last token of a row has none behind it.
    """
    asked_BL = asked_V[ids_BL[:, 1:]]
    if document_BL is not None:
        asked_BL &= document_BL[:, 1:] == document_BL[:, :-1]
    row, at = np.nonzero(asked_BL)
    return _lay(row * ids_BL.shape[1] + at, ids_BL[row, at + 1], asked_BL.size)


def _lay(index: NDArray[np.int64], labels: NDArray[np.integer], num_slots: int) -> Slots:
    index_M = np.zeros(num_slots, dtype=np.int64)
    labels_M = np.full(num_slots, IGNORED, dtype=np.int64)
    index_M[: len(index)] = index[:num_slots]
    labels_M[: len(index)] = labels[:num_slots]
    return Slots(index_M, labels_M)
