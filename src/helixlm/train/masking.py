"""Which tokens of a batch are hidden, and what the model is shown in their place.

Comes in: rows of token ids and a key. Goes out: the corrupted rows, and the hidden positions
with their true tokens, laid into a fixed number of slots so that every step has the same
shapes. The draw is a pure function of the key: no state, no device, no worker.

Shape letters: B rows, L tokens in a row, K hidden in a row, M slots for the hidden of a batch.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from helixlm.rng import CounterRng

IGNORED = -100
"""Label of a slot that holds no masked token: PyTorch's default `ignore_index`."""


class MaskingConfig(BaseModel):
    """How tokens are hidden in masked-language pretraining."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: float = Field(0.15, gt=0, lt=1)
    """Share of the tokens, special tokens and padding left out, that the model must predict."""
    mask_share: float = Field(0.8, ge=0, le=1)
    """Share of these that are shown as the mask token."""
    random_share: float = Field(0.1, ge=0, le=1)
    """Share of these that are shown as a random token; the rest is shown unchanged."""

    @model_validator(mode="after")
    def _shares_fit(self) -> "MaskingConfig":
        if self.mask_share + self.random_share > 1:
            raise ValueError(
                f"mask_share {self.mask_share} + random_share {self.random_share} is over 1: "
                f"they are shares of the same masked tokens"
            )
        return self


class MaskedRow(NamedTuple):
    """A corrupted row and the positions that were hidden in it."""

    shown_L: NDArray[np.int64]
    """What the model is shown."""
    hidden_K: NDArray[np.int64]
    """Positions of the hidden tokens, ascending."""


class MaskedSlots(NamedTuple):
    """The hidden tokens of a batch in a fixed number of slots."""

    masked_index_M: NDArray[np.int64]
    """Flat positions ``b * L + l``, ascending; unused slots hold 0."""
    labels_M: NDArray[np.int64]
    """The true tokens; `IGNORED` in unused slots."""


def capacity(num_tokens: int, rate: float) -> int:
    """Return the number of slots for the masked tokens of a batch.

    The count of masked tokens is binomial; six standard deviations over its mean is passed in
    fewer than one batch in 10**8. Rounded up to a
    multiple of 8, which matrix kernels like.

    Examples
    --------
    >>> capacity(4096, 0.15)
    752
    """
    spread = 6 * math.sqrt(num_tokens * rate * (1 - rate))
    return min(num_tokens, 8 * math.ceil((num_tokens * rate + spread) / 8))


def mask_row(
    ids_L: NDArray[np.integer],
    maskable_L: NDArray[np.bool_],
    rng: CounterRng,
    *,
    config: MaskingConfig,
    mask_id: int,
    random_ids: NDArray[np.integer],
) -> MaskedRow:
    """Hide a random share of the tokens of a row.

    Each maskable token is chosen with probability `rate`; a chosen one is shown as the mask
    token (80 % by default), as a random token (10 %) or unchanged (10 %).

    Parameters
    ----------
    ids_L : ndarray, int, shape (L,)
        Token ids.
    maskable_L : ndarray, bool, shape (L,)
        True where a token may be chosen: neither special nor padding.
    rng : CounterRng
        The stream of this row.
    config : MaskingConfig
        Rates.
    mask_id : int
        Id of the mask token.
    random_ids : ndarray, int, shape (R,)
        Ids that a random token is drawn from: the vocabulary without its special tokens.

    Returns
    -------
    MaskedRow
        The corrupted row and the hidden positions.

    References
    ----------
    Devlin et al. (2019), BERT, section 3.1 (80/10/10). Unlike transformers'
    `DataCollatorForLanguageModeling` the random token is never a special token.
    """
    hidden = np.flatnonzero((rng.uniform(len(ids_L)) < config.rate) & maskable_L)
    shown = ids_L.astype(np.int64)
    action = rng.uniform(len(hidden))
    substitute = random_ids[rng.integers(0, len(random_ids), len(hidden))]
    shown[hidden] = np.where(
        action < config.mask_share,
        mask_id,
        np.where(action < config.mask_share + config.random_share, substitute, shown[hidden]),
    )
    return MaskedRow(shown, hidden)


def fill_slots(
    ids_BL: NDArray[np.integer], hidden: Sequence[NDArray[np.int64]], rate: float
) -> MaskedSlots:
    """Lay the hidden tokens of a batch into a fixed number of slots.

    Parameters
    ----------
    ids_BL : ndarray, int, shape (B, L)
        The true token ids.
    hidden : sequence of B ndarray, int64
        Hidden positions of each row.
    rate : float
        Masking rate, from which the number of slots follows.

    Returns
    -------
    MaskedSlots
        M is `capacity(B * L, rate)`. The surplus over it, if ever there is one, is dropped from
        the last row: those tokens are then shown corrupted but not asked for.
    """
    num_rows, row_tokens = ids_BL.shape
    slots = capacity(num_rows * row_tokens, rate)
    index = np.concatenate([row * row_tokens + at for row, at in enumerate(hidden)])[:slots]
    index_M = np.zeros(slots, dtype=np.int64)
    labels_M = np.full(slots, IGNORED, dtype=np.int64)
    index_M[: len(index)] = index
    labels_M[: len(index)] = ids_BL.ravel()[index]
    return MaskedSlots(index_M, labels_M)
