"""Weights in the files of a model folder: safetensors, or a pickle that holds tensors alone.

Comes in: a folder. Goes out: tensors by the names that the files have, on the CPU. A pickle can
run code when it is opened; here it is read by an unpickler that knows tensors and nothing else, and
one with anything else in it is refused.
"""

import json
import pickle
import re
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from helixlm.errors import InputError

WEIGHTS_FILE = "model.safetensors"
PICKLE_FILE = "pytorch_model.bin"
FILES = (WEIGHTS_FILE, PICKLE_FILE)
"""In the order in which they are looked for; a file may be split, see `index_of`."""


class ModelFolderError(InputError):
    """A folder or a name that gives no model."""


def index_of(file: str) -> str:
    """Return the name of the file that lists the parts of weights that were split.

    Examples
    --------
    >>> index_of("model.safetensors")
    'model.safetensors.index.json'
    """
    return f"{file}.index.json"


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all tensors of a folder, from one file or from several with an index.

    Parameters
    ----------
    folder : Path
        A folder in Hugging Face's layout. If it holds both kinds, safetensors are read.

    Returns
    -------
    dict of str to Tensor
        On the CPU, in the type of the file.

    Raises
    ------
    ModelFolderError
        If there are no weights, or a file is missing, cut short, damaged, or a pickle with
        anything but tensors in it.
    """
    tensors: dict[str, Tensor] = {}
    for path in _files(folder):
        if not path.exists():
            raise ModelFolderError(
                f"{folder}: has no {path.name}, which the index beside it lists: fetch it again"
            )
        tensors |= _read_pickle(path) if path.suffix == ".bin" else _read_safetensors(path)
    return tensors


def has_weights(folder: Path, file: str) -> bool:
    """Return whether a folder holds the weights of a kind, whole or split."""
    return (folder / file).exists() or (folder / index_of(file)).exists()


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file that holds an object.

    Raises
    ------
    ModelFolderError
        If it is missing or something else.
    """
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


def _files(folder: Path) -> list[Path]:
    """Return the files that hold the weights."""
    for file in FILES:
        if (folder / file).exists():
            return [folder / file]
        index = folder / index_of(file)
        if index.exists():
            parts = read_json(index).get("weight_map")
            names = set(parts.values()) if isinstance(parts, dict) else set()
            if not names or any(Path(str(name)).name != name for name in names):
                raise ModelFolderError(
                    f"{index}: gives no weight_map from tensors to files of this folder: fetch it "
                    f"again"
                )
            return sorted(folder / name for name in names)
    found = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
    raise ModelFolderError(
        f"{folder}: has no {WEIGHTS_FILE}, nor {PICKLE_FILE}, whole or split; weights of other "
        f"kinds are not read. It holds: {found}"
    )


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelFolderError(
            f"{path}: is damaged or cut short ({error}): copy or fetch it again"
        ) from error


def _read_pickle(path: Path) -> dict[str, Tensor]:
    """Read tensors that `torch.save` wrote."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        with path.open("rb") as file:
            begins = file.read(2)
        if begins != b"PK" and begins[:1] != b"\x80":  # a zip archive, or a bare pickle
            raise _damaged(path, "it is no pickle of tensors") from error
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        asks = f": it asks for {named[1]}" if named else ""
        raise ModelFolderError(
            f"{path}: is a pickle that holds more than tensors{asks}. Opening it could run code, "
            f"so it is refused: ask whoever made it for {WEIGHTS_FILE}"
        ) from error
    except Exception as error:  # a damaged pickle can fail anywhere in PyTorch's unpickler
        reason = str(error).splitlines()[0].partition(". ")[0] if str(error) else "it ends early"
        raise _damaged(path, reason) from error
    if not isinstance(content, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()
    ):
        raise ModelFolderError(
            f"{path}: holds something else than tensors by name, expected a state dict as "
            f"save_pretrained of transformers writes it"
        )
    return dict(content)


def _damaged(path: Path, reason: str) -> ModelFolderError:
    return ModelFolderError(f"{path}: is damaged or cut short ({reason}): copy or fetch it again")
