"""What a masked language model expects at each token of a sequence.

Comes in: a loaded model and sequences in memory. Goes out: for each token its probability when it
alone is hidden, and the token that the model finds most likely there.

Shape letters: B rows of a batch, L tokens of a row, N sequences, T tokens of a sequence (or of all
together), V vocabulary size.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from helixlm.errors import StateError
from helixlm.inference.loading import LoadedModel
from helixlm.inference.rows import Progress, evaluating, to_batch
from helixlm.models.heads import MaskedLM
from helixlm.tokenizers.base import in_its_case


class MaskedProbabilities(NamedTuple):
    """What a masked language model says of each token of a sequence when that token is hidden."""

    token_ids: NDArray[np.int32]
    """The tokens, shape (T,)."""
    starts: NDArray[np.int64]
    """First base of each token, 0-based, shape (T,)."""
    ends: NDArray[np.int64]
    """First base after each token, shape (T,)."""
    probability: NDArray[np.float32]
    """Probability of the true token, shape (T,)."""
    best_ids: NDArray[np.int32]
    """The most probable token, shape (T,)."""
    best_probability: NDArray[np.float32]
    """Its probability, shape (T,)."""


def masked_probabilities(
    loaded: LoadedModel,
    sequence: str,
    *,
    batch_size: int = 64,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> MaskedProbabilities:
    """Hide each token of a sequence in turn and ask the model for it.

    One forward pass a token, on a row in which only that token is masked. A sequence with more
    tokens than the model takes is seen through a window that has the hidden token at its middle
    (at the ends of the sequence: the first or last full window), so no token lacks context that
    the model could have used.

    Parameters
    ----------
    loaded : LoadedModel
        A masked language model.
    sequence : str
        DNA; lower case is read as upper case, whatever the tokenizer.
    batch_size : int
        Rows at a time.
    device : str or torch.device, optional
        Where to compute; by default where the model is.
    progress : callable, optional
        Called with (tokens done, tokens in all).

    Returns
    -------
    MaskedProbabilities
        One entry a token.

    Raises
    ------
    StateError
        If the tokenizer has no mask token, or its tokens overlap.
    """
    (found,) = masked_many(
        loaded, [sequence], batch_size=batch_size, device=device, progress=progress
    )
    return found


def masked_many(
    loaded: LoadedModel,
    sequences: Sequence[str],
    *,
    batch_size: int = 64,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> list[MaskedProbabilities]:
    """Return `masked_probabilities` of several sequences, whose rows share batches."""
    model, tokenizer = loaded.model, loaded.tokenizer
    if not isinstance(model, MaskedLM):
        raise StateError(
            f"{loaded.path}: predicts the token that follows, and hidden ones need a masked "
            "language model"
        )
    mask_id = tokenizer.special.mask
    if mask_id is None:
        raise StateError(f"{loaded.path}: its tokenizer has no mask token: nothing can be hidden")
    if tokenizer.overlap_bp:
        raise StateError(
            f"{loaded.path}: its tokens overlap by {tokenizer.overlap_bp} bases, so the neighbours "
            "of a hidden token spell it, and its probability would tell nothing of the model: "
            "choose a model whose tokens do not overlap"
        )
    offset = 0 if tokenizer.special.bos is None else 1
    room = loaded.max_tokens - len(tokenizer.add_special([]))
    encodings = [
        tokenizer.encode_with_offsets(sequence) for sequence in in_its_case(tokenizer, sequences)
    ]
    lengths_N = np.array([len(encoding.ids) for encoding in encodings])
    order = np.argsort(lengths_N, kind="stable")
    owner_T = np.repeat(order, lengths_N[order])
    position_T = np.concatenate([np.arange(lengths_N[i]) for i in order])
    found_T = np.zeros((3, len(owner_T)), dtype=np.float32)
    best_T = np.zeros(len(owner_T), dtype=np.int32)
    with evaluating(model, device) as where:
        for first in range(0, len(owner_T), batch_size):
            rows, columns, true = [], [], []
            for i, position in zip(
                owner_T[first : first + batch_size].tolist(),
                position_T[first : first + batch_size].tolist(),
                strict=True,
            ):
                ids = encodings[i].ids
                start = min(max(0, position - room // 2), max(0, len(ids) - room))
                row = tokenizer.add_special(ids[start : start + room])
                columns.append(position - start + offset)
                row[columns[-1]] = mask_id
                rows.append(row)
                true.append(int(ids[position]))
            ids_BL, mask_BL = to_batch(loaded, rows, where)
            masked_B = torch.arange(len(rows)) * ids_BL.shape[1] + torch.tensor(columns)
            logits_BV = model(ids_BL, attention_mask_BL=mask_BL, masked_index_M=masked_B.to(where))
            probabilities_BV = logits_BV.softmax(-1).cpu()
            true_B = torch.tensor(true)
            best = probabilities_BV.max(-1)
            span = slice(first, first + len(rows))
            found_T[0, span] = probabilities_BV.gather(1, true_B[:, None])[:, 0]
            found_T[1, span] = best.values
            best_T[span] = best.indices
            if progress:
                progress(first + len(rows), len(owner_T))
    results: list[MaskedProbabilities | None] = [None] * len(sequences)
    for i, stop in zip(order.tolist(), lengths_N[order].cumsum().tolist(), strict=True):
        span = slice(stop - int(lengths_N[i]), stop)
        encoding = encodings[i]
        results[i] = MaskedProbabilities(
            token_ids=encoding.ids,
            starts=encoding.starts,
            ends=encoding.ends,
            probability=found_T[0, span],
            best_ids=best_T[span],
            best_probability=found_T[1, span],
        )
    return [result for result in results if result is not None]
