"""Checkpoints: written whole or not at all, explaining themselves, and checked when read.

A checkpoint is a folder `step-00000500` that plain transformers loads as a model and that holds
besides the optimiser's moments and `state.json` (step, seed, counters, versions, and the size
and sha256 of every other file). It is written under a temporary name, synced and renamed, so a
kill or a full disk leaves the checkpoint before it as it was. No pickle anywhere.
"""

import hashlib
import json
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from helixlm.errors import StateError
from helixlm.files import DISK_FULL, sync_path, sync_tree
from helixlm.models.heads import LanguageModel
from helixlm.models.hf import load_model, save_model
from helixlm.version import __version__

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
STATE_FILE = "state.json"
OPTIMIZER_FILE = "optimizer.safetensors"


class CheckpointError(StateError):
    """A checkpoint that cannot be written or read."""


class Checkpoint(NamedTuple):
    """A checkpoint on disk."""

    path: Path
    step: int
    """Optimiser steps that were taken before it was written."""
    state: dict[str, Any]
    """What the loop keeps besides weights: counters and records."""


def checkpoint_name(step: int) -> str:
    """Return the folder name of a step."""
    return f"step-{step:08d}"


def save_checkpoint(
    folder: Path,
    *,
    step: int,
    model: LanguageModel,
    optimizer: torch.optim.Optimizer,
    state: dict[str, Any],
    save_tokenizer: Callable[[Path], object],
) -> Path:
    """Write one checkpoint atomically.

    Parameters
    ----------
    folder : Path
        The run's `checkpoints` folder.
    step : int
        Optimiser steps taken so far.
    model : MaskedLM or CausalLM
        The model.
    optimizer : torch.optim.Optimizer
        AdamW over the model's parameters.
    state : dict
        JSON-serialisable state of the loop.
    save_tokenizer : callable
        Writes the tokenizer's files into the folder it is given.

    Returns
    -------
    Path
        The folder that was written.

    Raises
    ------
    CheckpointError
        If the disk is full or cannot be written. Earlier checkpoints are left as they were.
    """
    final = folder / checkpoint_name(step)
    partial = folder / f".{final.name}.partial"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
        save_model(model, partial)
        save_tokenizer(partial)
        save_file(_optimizer_tensors(model, optimizer), partial / OPTIMIZER_FILE)
        files = {path.name: _fingerprint(path) for path in sorted(partial.iterdir())}
        record = {
            "format_version": FORMAT_VERSION,
            "helixlm_version": __version__,
            "step": step,
            "state": state,
            "files": files,
        }
        (partial / STATE_FILE).write_text(json.dumps(record, indent=1) + "\n")
        sync_tree(partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        sync_path(folder)
    except (OSError, StateError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        kept = ", ".join(path.name for path in sorted(folder.glob("step-*"))) or "none yet"
        reason = _reason(error)
        raise CheckpointError(
            f"{final}: cannot write the checkpoint of step {step}: {reason}. Checkpoints kept: "
            f"{kept}. Make room, or choose another output folder, and run the same command again: "
            f"it resumes from the newest one"
        ) from error
    return final


def _reason(error: BaseException) -> str:
    """Say why a file could not be written."""
    # A StateError has the system's error as its cause; safetensors has its number in the text.
    numbers = {getattr(found, "errno", None) for found in (error, error.__cause__)}
    numbers |= {int(number) for number in re.findall(r"os error (\d+)", str(error))}
    return "the disk is full" if numbers & DISK_FULL else str(error)


def _optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Name each moment after its parameter: `exp_avg/encoder.layers.0.weight`."""
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = torch.as_tensor(value).detach().cpu().contiguous()
    return tensors


def load_checkpoint(checkpoint: Checkpoint, model: nn.Module, optimizer: Any) -> None:
    """Put weights and moments of a checkpoint into a model and its optimiser, in place.

    Raises
    ------
    CheckpointError
        If the checkpoint holds other parameters than the model.
    """
    model.load_state_dict(load_model(checkpoint.path, head="masked").state_dict())
    tensors = load_file(checkpoint.path / OPTIMIZER_FILE)
    parameters = dict(model.named_parameters())
    found: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        kind, name = key.split("/", 1)
        found.setdefault(name, {})[kind] = tensor
    if found and found.keys() != parameters.keys():
        odd = sorted(found.keys() ^ parameters.keys())[0]
        raise CheckpointError(
            f"{checkpoint.path / OPTIMIZER_FILE}: parameter {odd!r} is in only one of optimiser "
            f"state and model: the checkpoint belongs to another model; start a new run"
        )
    restore_moments(optimizer, parameters, found)


def restore_moments(
    optimizer: torch.optim.Optimizer,
    parameters: Mapping[str, Tensor],
    moments: Mapping[str, Mapping[str, Tensor]],
) -> None:
    """Put saved moments into an optimiser, each on the device of its parameter.

    That goes for the scalar `step` too: fused AdamW keeps it beside the parameter.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
        A fused AdamW, as of `build_optimizer`; changed in place.
    parameters : mapping of str to Tensor
        The model's parameters by name.
    moments : mapping of str to mapping of str to Tensor
        For each parameter's name its `step`, `exp_avg` and `exp_avg_sq`.
    """
    for name, values in moments.items():
        parameter = parameters[name]
        optimizer.state[parameter] = {
            kind: tensor.to(parameter.device) for kind, tensor in values.items()
        }


def read_checkpoint(path: Path) -> Checkpoint:
    """Read `state.json` of a checkpoint and check every file against it.

    Raises
    ------
    CheckpointError
        If the checkpoint is cut short, changed, or of an unknown format.
    """
    state_path = path / STATE_FILE
    try:
        record = json.loads(state_path.read_text())
        version = record["format_version"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{state_path}: cannot be read as a checkpoint's state ({error}): expected JSON with "
            f"a format_version; delete {path.name} to resume from the checkpoint before it"
        ) from error
    if version != FORMAT_VERSION:
        raise CheckpointError(
            f"{state_path}: format version {version!r}, expected {FORMAT_VERSION}: written by "
            f"helixlm {record.get('helixlm_version', '?')}, this is {__version__}; "
            f"use that version or start a new run"
        )
    for name, expected in record["files"].items():
        file = path / name
        size = file.stat().st_size if file.is_file() else None
        if size != expected["bytes"]:
            found = "missing" if size is None else f"{size:,} bytes"
            raise CheckpointError(
                f"{file}: {found}, expected {expected['bytes']:,} bytes: the checkpoint is cut "
                f"short; delete {path.name} to resume from the one before it"
            )
        if _fingerprint(file) != expected:
            raise CheckpointError(
                f"{file}: its sha256 is not the one in {STATE_FILE}: the checkpoint was changed "
                f"or damaged; delete {path.name} to resume from the one before it"
            )
    return Checkpoint(path, int(record["step"]), record["state"])


def latest_checkpoint(folder: Path) -> Checkpoint | None:
    """Return the newest checkpoint that is intact, or None if there is none at all.

    A damaged one is passed over with a warning.

    Raises
    ------
    CheckpointError
        If there are checkpoints but none is usable.
    """
    problems = []
    for path in sorted(folder.glob("step-*"), reverse=True):
        try:
            return read_checkpoint(path)
        except CheckpointError as error:
            logger.warning("checkpoint passed over: %s", error)
            problems.append(str(error))
    if problems:
        raise CheckpointError(
            f"{folder}: no usable checkpoint among {len(problems)}. The newest: {problems[0]}"
        )
    return None


def refuse_other_identity(checkpoint: Checkpoint, identity: Mapping[str, str]) -> None:
    """Refuse a checkpoint of a run that was made of something else.

    Parameters
    ----------
    checkpoint : Checkpoint
        Its state holds the `identity` of its run.
    identity : mapping of str to str
        Hashes of what this run is made of (recipe, corpus, tokenizer).

    Raises
    ------
    StateError
        If one differs.
    """
    for key, expected in identity.items():
        found = checkpoint.state["identity"].get(key)
        if found != expected:
            raise StateError(
                f"{checkpoint.path}: written with another {key} (sha256 {str(found)[:12]}, "
                f"expected {expected[:12]}): choose another output folder, or give the settings "
                "of that run"
            )


def remove_old(folder: Path, *, newest_step: int, keep: int, best_step: int | None) -> None:
    """Delete all checkpoints but the newest `keep` and the best one; clear half-written ones.

    Checkpoints of later steps than `newest_step` were passed over as damaged when the run was
    resumed: they go too.
    """
    paths = sorted(folder.glob("step-*"))
    newest = paths.index(folder / checkpoint_name(newest_step)) + 1
    best = None if best_step is None else checkpoint_name(best_step)
    for path in [*paths[: max(0, newest - keep)], *paths[newest:]]:
        if path.name != best:
            # Renamed first: a kill in the middle must not leave half a checkpoint under its name.
            doomed = folder / f".{path.name}.deleted"
            path.rename(doomed)
            shutil.rmtree(doomed)
    for path in folder.glob(".*step-*"):  # save_model puts a dot before the name that it is given
        shutil.rmtree(path, ignore_errors=True)


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    return {"bytes": path.stat().st_size, "sha256": digest.hexdigest()}
