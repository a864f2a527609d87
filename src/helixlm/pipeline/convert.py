"""A published model made a folder of ours, once: safetensors, and a tokenizer beside them.

Comes in: whatever `load` reads. Goes out: a folder that plain transformers loads where one of its
classes builds the same model, and with helixlm imported elsewhere.
"""

from pathlib import Path
from typing import Literal, NamedTuple

from helixlm.data.folder import new_folder, refuse_existing
from helixlm.inference import load
from helixlm.models.convert import class_name, head_of
from helixlm.models.hf import save_model


class Converted(NamedTuple):
    """A model that was written."""

    path: Path
    class_name: str
    """The class that config.json names."""
    home: Literal["transformers", "helixlm", None]
    """What has that class: transformers itself, or helixlm for transformers; None for HyenaDNA,
    which only `load` reads."""
    num_parameters: int
    """Trained values, shared ones counted once."""


def convert(model: str | Path, output: str | Path) -> Converted:
    """Write a model and its tokenizer as one folder.

    Parameters
    ----------
    model : str or Path
        A run, a model folder, or a name on the Hugging Face hub, as for `load`.
    output : str or Path
        The folder to write; new or empty.

    Returns
    -------
    Converted
        What was written. The numbers of the model are those of its source, in float32.

    Raises
    ------
    InputError
        If there is no such model, or its files are not what they must be.
    StateError
        If `output` holds something, or cannot be written.
    """
    refuse_existing(Path(output))  # before gigabytes are fetched
    loaded = load(model)
    config = loaded.model.config
    longest = config.usual_tokens
    if loaded.tokenizer.max_tokens is not None:
        longest = min(longest, loaded.tokenizer.max_tokens)
    with new_folder(Path(output)) as folder:
        save_model(loaded.model, folder)
        loaded.tokenizer.save(folder, max_tokens=longest)
    return Converted(
        Path(output),
        class_name(config.family, head_of(loaded.model)),
        {"helixlm": "helixlm", "hyenadna": None}.get(config.family, "transformers"),
        sum(parameter.numel() for parameter in loaded.model.parameters()),
    )
