"""Model folders as Hugging Face lays them out: written so that plain transformers loads them.

Comes in: a model, or the name of a folder or of a model on the hub. Goes out: a folder with
``config.json`` and ``model.safetensors``, or a model. What the weights mean is `convert.py`'s, how
their files are read is `weights.py`'s.
"""

import errno
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import save_file

from helixlm.errors import StateError
from helixlm.files import sync_path
from helixlm.models.config import Head
from helixlm.models.convert import Model, from_hf, settings_to_hf, state_to_hf
from helixlm.models.settings import ConversionError
from helixlm.models.weights import (
    PICKLE_FILE,
    WEIGHTS_FILE,
    ModelFolderError,
    has_weights,
    index_of,
    read_json,
    read_weights,
)

CONFIG_FILE = "config.json"
HUB_FILES = [
    CONFIG_FILE,
    "model*.safetensors",
    index_of(WEIGHTS_FILE),
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
]
"""What is fetched from the hub: settings, weights and the tokenizer; never code."""
HUB_PICKLES = ["pytorch_model*.bin", index_of(PICKLE_FILE)]
"""What is fetched besides where there are no safetensors."""


class ModelWriteError(StateError, OSError):
    """A model that cannot be written; what was there before is untouched."""


def save_model(model: Model, folder: str | os.PathLike[str]) -> Path:
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
    tensors = {name: tensor.contiguous() for name, tensor in state_to_hf(model).items()}
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        save_file(tensors, partial / WEIGHTS_FILE, metadata={"format": "pt"})
        text = json.dumps(settings_to_hf(model), indent=2, sort_keys=True) + "\n"
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
) -> Model:
    """Read a model from a folder or from the hub, whatever published kind it is of.

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
        If there is no such folder or model, if a file is missing, cut short or a pickle with code
        in it, or if the weights and settings do not make a model that is built here.
    """
    folder = find_folder(source)
    settings = read_json(folder / CONFIG_FILE)
    try:
        return from_hf(
            read_weights(folder),
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
        folder = Path(snapshot_download(str(source), allow_patterns=HUB_FILES))
        if not has_weights(folder, WEIGHTS_FILE):
            folder = Path(snapshot_download(str(source), allow_patterns=HUB_FILES + HUB_PICKLES))
        return folder
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelFolderError(
            f"{source}: there is no such folder, and no model of this name could be fetched from "
            f"the Hugging Face hub: {reason}"
        ) from error


def _error_number(error: Exception) -> int | None:
    """Return the system's number of an error; safetensors gives it in its text."""
    if isinstance(error, OSError):
        return error.errno
    found = re.search(r"os error (\d+)", str(error))
    return int(found[1]) if found else errno.EIO
