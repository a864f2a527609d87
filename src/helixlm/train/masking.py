"""Which tokens of a batch are hidden, and what the model is shown in their place.

Comes in: rows of token ids and a key. Goes out: the corrupted rows, and the hidden positions
with their true tokens, padded to a fixed count so that every step has the same shapes. The
draw is a pure function of the key: no state, no device, no worker.

Shape letters: B rows, L tokens in a row, M hidden positions (capacity).
"""

import math
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


class MaskedBatch(NamedTuple):
    """A corrupted batch with what was hidden in it."""

    input_ids_BL: NDArray[np.int64]
    """What the model is shown."""
    masked_index_M: NDArray[np.int64]
    """Flat positions ``b * L + l`` of the hidden tokens, ascending; unused slots hold 0."""
    labels_M: NDArray[np.int64]
    """The true tokens; `IGNORED` in unused slots."""


def capacity(num_tokens: int, rate: float) -> int:
    """Return the number of slots for the masked tokens of a batch.

    The count of masked tokens is binomial; six standard deviations over its mean is passed in
    fewer than one batch in 10**8, and the surplus is then left unmasked. Rounded up to a
    multiple of 8, which matrix kernels like.

    Examples
    --------
    >>> capacity(4096, 0.15)
    752
    """
    spread = 6 * math.sqrt(num_tokens * rate * (1 - rate))
    return min(num_tokens, 8 * math.ceil((num_tokens * rate + spread) / 8))


def mask_tokens(
    ids_BL: NDArray[np.integer],
    maskable_BL: NDArray[np.bool_],
    rng: CounterRng,
    *,
    config: MaskingConfig,
    mask_id: int,
    random_ids: NDArray[np.integer],
) -> MaskedBatch:
    """Hide a random share of the tokens of a batch.

    Each maskable token is chosen with probability `rate`; a chosen one is shown as the mask
    token (80 % by default), as a random token (10 %) or unchanged (10 %).

    Parameters
    ----------
    ids_BL : ndarray, int, shape (B, L)
        Token ids.
    maskable_BL : ndarray, bool, shape (B, L)
        True where a token may be chosen: neither special nor padding.
    rng : CounterRng
        The stream to draw from.
    config : MaskingConfig
        Rates.
    mask_id : int
        Id of the mask token.
    random_ids : ndarray, int, shape (R,)
        Ids that a random token is drawn from: the vocabulary without its special tokens.

    Returns
    -------
    MaskedBatch
        Arrays of fixed shapes: M is `capacity(B * L, rate)`.

    References
    ----------
    Devlin et al. (2019), BERT, section 3.1 (80/10/10). Unlike transformers'
    `DataCollatorForLanguageModeling` the random token is never a special token.
    """
    num_rows, row_tokens = ids_BL.shape
    slots = capacity(num_rows * row_tokens, config.rate)
    draw = rng.uniform(num_rows * row_tokens)
    chosen = np.flatnonzero((draw < config.rate) & maskable_BL.ravel())
    if len(chosen) > slots:  # Keep the smallest draws: the surplus is left out at random.
        chosen = np.sort(chosen[np.argsort(draw[chosen], kind="stable")[:slots]])
    shown = ids_BL.astype(np.int64).ravel()
    labels = shown[chosen]
    action = rng.uniform(len(chosen))
    substitute = random_ids[rng.integers(0, len(random_ids), len(chosen))]
    shown[chosen] = np.where(
        action < config.mask_share,
        mask_id,
        np.where(action < config.mask_share + config.random_share, substitute, labels),
    )
    index_M = np.zeros(slots, dtype=np.int64)
    labels_M = np.full(slots, IGNORED, dtype=np.int64)
    index_M[: len(chosen)] = chosen
    labels_M[: len(chosen)] = labels
    return MaskedBatch(shown.reshape(ids_BL.shape), index_M, labels_M)
