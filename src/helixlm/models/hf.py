"""Model folders as Hugging Face lays them out: written so that plain transformers loads them.

Comes in: a model, or the name of a folder or of a model on the hub. Goes out: a folder with
``config.json`` and ``model.safetensors``, or a model. What the weights mean is `convert.py`'s.
Weights are read from safetensors only: a pickle can run code when it is opened, so ``.bin`` files
are refused.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from helixlm.errors import InputError, StateError
from helixlm.files import sync_path
from helixlm.models.config import Head
from helixlm.models.convert import (
    ConversionError,
    config_to_hf,
    from_hf,
    head_of,
    tensors_to_hf,
)
from helixlm.models.heads import MaskedLM, SequenceClassifier

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
"""Lists the files of weights that were split."""

HUB_FILES = [
    CONFIG_FILE,
    "model*.safetensors",
    INDEX_FILE,
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
]
"""What is fetched from the hub: settings, weights and the tokenizer; never a pickle or code."""


class ModelFolderError(InputError):
    """A folder or a name that gives no model."""


class ModelWriteError(StateError, OSError):
    """A model that cannot be written; what was there before is untouched."""


def save_model(model: MaskedLM | SequenceClassifier, folder: str | os.PathLike[str]) -> Path:
    """Write a model as a folder that transformers loads without helixlm.

    Both files are written beside the folder and synced before anything appears under its name. A
    new folder appears at once, complete; in an existing one the two files are replaced, each
    at once, and other files stay.

    Parameters
    ----------
    model : MaskedLM or SequenceClassifier
        On any device.
    folder : path
        Where to write; parents are made.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ModelWriteError
        If the disk is full or cannot be written.
    """
    folder = Path(folder)
    partial = folder.parent / f".{folder.name}.partial"
    tensors = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    tensors = tensors_to_hf(tensors, model.config, head_of(model))
    tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file(tensors, partial / WEIGHTS_FILE, metadata={"format": "pt"})
        text = json.dumps(config_to_hf(model), indent=2, sort_keys=True) + "\n"
        (partial / CONFIG_FILE).write_text(text, encoding="utf-8")
        for path in (partial / WEIGHTS_FILE, partial / CONFIG_FILE, partial):
            sync_path(path)
        if folder.exists():
            for name in (WEIGHTS_FILE, CONFIG_FILE):
                (partial / name).replace(folder / name)
            sync_path(folder)
            partial.rmdir()
        else:
            partial.rename(folder)
        sync_path(folder.parent)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        failure = ModelWriteError(f"{folder}: cannot write the model: {error}")
        failure.errno = _error_number(error)
        raise failure from error
    return folder


def load_model(
    source: str | os.PathLike[str],
    head: Head | None = None,
    num_labels: int | None = None,
    *,
    labels: Sequence[str] | None = None,
    dropout: float | None = None,
    seed: int = 0,
) -> MaskedLM | SequenceClassifier:
    """Read a BERT or RoBERTa from a folder or from the hub.

    Parameters
    ----------
    source : str or path
        A folder in Hugging Face's layout, or a name on the hub such as ``"owner/model"``.
    head : {"masked", "sequence"}, optional
        The model wanted. None: what the checkpoint was saved as. A sequence classifier made from
        a masked language model keeps its encoder and gets a fresh head.
    num_labels : int, optional
        Labels of a fresh sequence head.
    labels, dropout, seed
        As in `convert.from_hf`.

    Returns
    -------
    MaskedLM or SequenceClassifier
        Float32, on the CPU, in evaluation mode.

    Raises
    ------
    ModelFolderError
        If there is no such folder or model, if a file is missing, cut short or a pickle, or if
        the weights and settings do not make a model that is built here.
    """
    folder = find_folder(source)
    settings = _read_json(folder / CONFIG_FILE)
    try:
        return from_hf(
            _read_weights(folder),
            settings,
            head=head,
            num_labels=num_labels,
            labels=labels,
            dropout=dropout,
            seed=seed,
        )
    except ConversionError as error:
        raise ModelFolderError(f"{source}: {error}") from error


def find_folder(source: str | os.PathLike[str]) -> Path:
    """Return the folder of a model, fetched from the hub where `source` is a name on it.

    Parameters
    ----------
    source : str or path
        A folder, or a name on the hub such as ``"owner/model"``. A folder of that name goes first.

    Returns
    -------
    Path
        A folder with the model's and, where there is one, the tokenizer's files.

    Raises
    ------
    ModelFolderError
        If there is neither folder nor model.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise ModelFolderError(f"{source}: is a file, expected a folder that holds {CONFIG_FILE}")
    if not re.fullmatch(r"\w[\w.-]*(/\w[\w.-]*)?", str(source)):
        raise ModelFolderError(f"{source}: there is no such folder")
    try:
        return Path(snapshot_download(str(source), allow_patterns=HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelFolderError(
            f"{source}: there is no such folder, and no model of this name could be fetched from "
            f"the Hugging Face hub: {reason}"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelFolderError(
            f"{path.parent}: has no {path.name}, so it is no model folder; expected one that "
            f"save_model or transformers wrote"
        ) from error
    except ValueError as error:
        raise ModelFolderError(f"{path}: is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ModelFolderError(f"{path}: holds a {type(value).__name__}, expected an object")
    return value


def _read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of a folder, from one file or from several with an index."""
    names = {WEIGHTS_FILE}
    if not (folder / WEIGHTS_FILE).exists() and (folder / INDEX_FILE).exists():
        names = set(_read_json(folder / INDEX_FILE).get("weight_map", {}).values())
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder / name for name in names):
        try:
            tensors |= load_file(path)
        except FileNotFoundError as error:
            pickles = sorted(p.name for p in folder.glob("*.bin"))
            if pickles:
                raise ModelFolderError(
                    f"{folder}: holds weights only as {pickles[0]}, a pickle, which can run code "
                    f"when it is opened and is never read: convert it to {WEIGHTS_FILE} first"
                ) from error
            raise ModelFolderError(
                f"{folder}: has no {path.name}; weights are read from safetensors files only"
            ) from error
        except SafetensorError as error:
            raise ModelFolderError(
                f"{path}: is damaged or cut short ({error}): copy or fetch it again"
            ) from error
    return tensors


def _error_number(error: Exception) -> int | None:
    """Return the system's number of an error; safetensors gives it in its text."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os error (\d+)", str(error))
    return int(found[1]) if found else errno.EIO
