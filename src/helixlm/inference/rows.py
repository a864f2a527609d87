"""Rows of token ids, batches of rows, and the class probabilities of a classifier.

Comes in: a loaded model and sequences in memory. Goes out: arrays in the order of the input. Rows
of like length share a batch, so little is padded.

Shape letters: B rows of a batch, L tokens of the longest row, N sequences, C classes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from helixlm.errors import InputError
from helixlm.inference.device import resolve_device
from helixlm.inference.loading import LoadedModel
from helixlm.models.heads import SequenceClassifier
from helixlm.tokenizers.base import in_its_case

Progress = Callable[[int, int | None], None]


class TooLongError(InputError):
    """A sequence has more tokens than the model takes."""


@contextmanager
def evaluating(
    model: nn.Module, device: str | torch.device | None = None
) -> Iterator[torch.device]:
    """Lend a model for evaluation: on `device` (None: where it is), without dropout or gradients.

    Afterwards it is on the device and in the mode that it had.
    """
    before, training = next(model.parameters()).device, model.training
    wanted = before if device is None else resolve_device(device)
    try:
        model.to(wanted).eval()
        with torch.inference_mode():
            yield wanted
    finally:
        model.to(before).train(training)


def encode_rows(
    loaded: LoadedModel,
    sequences: Sequence[str],
    places: Sequence[str],
    *,
    max_tokens: int | None = None,
    truncate: bool = False,
) -> tuple[list[NDArray[np.int32]], int]:
    """Turn sequences into rows of token ids, with the special tokens around each.

    Parameters
    ----------
    loaded : LoadedModel
        Its tokenizer is used.
    sequences : sequence of str
        DNA; lower case is read as upper case, whatever the tokenizer.
    places : sequence of str
        Where each sequence comes from, for the message: file and line, or file and record.
    max_tokens : int, optional
        Most tokens of a row, special tokens counted; by default what the model takes.
    truncate : bool
        Cut longer sequences at their right end; otherwise they are an error.

    Returns
    -------
    rows : list of ndarray, int32
        Token ids, not padded.
    num_cut : int
        How many were cut.

    Raises
    ------
    TooLongError
        If a sequence has too many tokens and `truncate` is False.
    """
    tokenizer = loaded.tokenizer
    limit = loaded.max_tokens if max_tokens is None else min(max_tokens, loaded.max_tokens)
    num_special = len(tokenizer.add_special([]))
    room = limit - num_special
    rows, num_cut = [], 0
    encoded = tokenizer.encode_batch(in_its_case(tokenizer, sequences))
    for place, ids in zip(places, encoded, strict=True):
        if len(ids) > room:
            if not truncate:
                raise TooLongError(
                    f"{place}: the sequence has {len(ids) + num_special} tokens ({num_special} of "
                    f"them special), expected at most {limit}: shorten it, or allow cutting at "
                    f"the right end (--truncate)"
                )
            num_cut += 1
        rows.append(tokenizer.add_special(ids[:room]))
    return rows, num_cut


def pad_rows(
    rows: Sequence[NDArray[np.integer]], *, pad_id: int, max_tokens: int, multiple: int = 1
) -> tuple[Tensor, Tensor | None]:
    """Put rows of different length into one batch.

    Parameters
    ----------
    rows : sequence of ndarray, int
        Token ids of each row.
    pad_id : int
        Id at the right of shorter rows; it is masked, so any id will do.
    max_tokens : int
        Most tokens that the model takes.
    multiple : int
        The width is the longest row rounded up to a multiple of this, but no more than
        `max_tokens`. Matrix kernels of GPUs like 8; on a CPU it would only be work for nothing.

    Returns
    -------
    input_ids_BL : Tensor, int64, shape (B, L)
        Token ids.
    attention_mask_BL : Tensor, bool, shape (B, L), or None
        False at padding; None if there is none, which is faster.
    """
    lengths_B = np.array([len(row) for row in rows])
    longest = int(lengths_B.max())
    if (lengths_B == longest).all():
        return torch.from_numpy(np.stack(rows).astype(np.int64)), None
    width = max(longest, min(-(-longest // multiple) * multiple, max_tokens))
    mask_BL = np.arange(width) < lengths_B[:, None]
    ids_BL = np.full((len(rows), width), pad_id, dtype=np.int64)
    ids_BL[mask_BL] = np.concatenate(rows)
    return torch.from_numpy(ids_BL), torch.from_numpy(mask_BL)


def classify(
    loaded: LoadedModel,
    rows: Sequence[NDArray[np.integer]],
    *,
    batch_size: int = 64,
    device: str | torch.device | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Return the class probabilities of encoded sequences.

    Parameters
    ----------
    loaded : LoadedModel
        A classifier.
    rows : sequence of ndarray, int
        Token ids with special tokens, as from `encode_rows`; in any order of lengths.
    batch_size : int
        Sequences at a time; rows of like length are put together.
    device : str or torch.device, optional
        Where to compute; by default where the model is.
    progress : callable, optional
        Called with (sequences done, sequences in all).

    Returns
    -------
    ndarray, float32, shape (N, C)
        Probabilities, in the order of `rows`.
    """
    model = loaded.model
    assert isinstance(model, SequenceClassifier), "classify needs a sequence classifier"
    found_NC = np.zeros((len(rows), model.num_labels), dtype=np.float32)
    order = np.argsort([len(row) for row in rows], kind="stable")
    with evaluating(model, device) as where:
        for start in range(0, len(rows), batch_size):
            index = order[start : start + batch_size]
            ids_BL, mask_BL = to_batch(loaded, [rows[i] for i in index], where)
            logits_BC = model(ids_BL, attention_mask_BL=mask_BL)
            found_NC[index] = logits_BC.softmax(-1).cpu().numpy()
            if progress:
                progress(start + len(index), len(rows))
    return found_NC


def to_batch(
    loaded: LoadedModel, rows: Sequence[NDArray[np.integer]], device: torch.device
) -> tuple[Tensor, Tensor | None]:
    """Return `pad_rows` of rows for a loaded model, on a device."""
    pad_id = loaded.tokenizer.special.pad or 0
    multiple = 8 if device.type == "cuda" else 1
    ids_BL, mask_BL = pad_rows(rows, pad_id=pad_id, max_tokens=loaded.max_tokens, multiple=multiple)
    return ids_BL.to(device), None if mask_BL is None else mask_BL.to(device)
