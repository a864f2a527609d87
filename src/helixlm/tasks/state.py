"""The state of an unfinished fine-tuning run: one safetensors file, replaced whole.

Comes in: a model, its optimiser, the best weights so far, and counters. Goes out: the same, after a
kill. The file is private to the run and deleted at its end; a model for others is written by
`models/hf.py`.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from helixlm.errors import StateError
from helixlm.files import replace_file
from helixlm.train.checkpoint import restore_moments


def save_state(
    path: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    best: dict[str, Tensor],
    record: dict[str, Any],
) -> None:
    """Write the state of a run.

    Parameters
    ----------
    path : Path
        The file; a kill or a full disk leaves the one before it.
    model : nn.Module
        Present weights.
    optimizer : torch.optim.Optimizer
        AdamW over the model's parameters.
    best : dict of str to Tensor
        Weights to remember, by the names of the model's.
    record : dict
        Counters, JSON-serialisable.

    Raises
    ------
    StateError
        If the file cannot be written.
    """
    tensors = {f"model/{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in best.items()}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = torch.as_tensor(value)
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with replace_file(path) as temporary:
        try:
            save_file(tensors, temporary, metadata={"record": json.dumps(record)})
        except SafetensorError as error:  # how it reports a full disk
            raise OSError(str(error)) from error


def saved_step(path: Path) -> int:
    """Return the step of a saved state; 0 where there is none, or none that can be read."""
    try:
        with safe_open(path, framework="pt") as file:
            return int(json.loads(file.metadata()["record"])["step"])
    except (OSError, SafetensorError, KeyError, TypeError, ValueError):
        return 0


def load_state(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Put a saved state into a model and its optimiser, in place.

    Returns
    -------
    record : dict
        The counters.
    best : dict of str to Tensor
        The weights to remember, on the CPU.

    Raises
    ------
    StateError
        If the file is damaged.
    """
    groups: dict[str, dict[str, Tensor]] = {}
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads(file.metadata()["record"])
            for key in file.keys():  # noqa: SIM118 - safe_open is no dict
                kind, name = key.split("/", 1)
                groups.setdefault(kind, {})[name] = file.get_tensor(key)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise StateError(
            f"{path}: damaged ({error}): delete it, and the run begins anew"
        ) from error
    model.load_state_dict(groups.pop("model"))
    best = groups.pop("best", {})
    moments: dict[str, dict[str, Tensor]] = {}
    for kind, values in groups.items():
        for name, tensor in values.items():
            moments.setdefault(name, {})[kind] = tensor
    restore_moments(optimizer, dict(model.named_parameters()), moments)
    return record, best
