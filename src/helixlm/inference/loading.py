"""Find a model and read it with its tokenizer.

Comes in: a run, a model folder, or a name on the Hugging Face hub. Goes out: both in memory. How
they are stored belongs to `models/hf.py` and `tokenizers/hf.py`.
"""

from pathlib import Path
from typing import Literal, NamedTuple

from helixlm.errors import InputError, StateError
from helixlm.models.convert import Model
from helixlm.models.heads import SequenceClassifier
from helixlm.models.hf import CONFIG_FILE, find_folder, load_model
from helixlm.models.hyena_config import HyenaConfig
from helixlm.tokenizers.base import Tokenizer
from helixlm.tokenizers.char import hyenadna_tokenizer
from helixlm.tokenizers.hf import load_tokenizer

NO_LIMIT = 1 << 31
"""tokens that a model takes whose positions are not learned: more than any input has"""


class LoadedModel(NamedTuple):
    """A model with its tokenizer."""

    model: Model
    tokenizer: Tokenizer
    kind: Literal["masked", "classifier"]
    """What it predicts: hidden tokens, or a class for a whole sequence."""
    labels: tuple[str, ...]
    """Names of the classes; empty for a masked language model."""
    path: Path
    """The folder it was read from."""

    @property
    def max_tokens(self) -> int:
        """Most tokens that the model takes, special tokens counted; see `NO_LIMIT`."""
        most = self.model.config.max_tokens
        return NO_LIMIT if most is None else most


def load(model: str | Path) -> LoadedModel:
    """Read a model and its tokenizer.

    Parameters
    ----------
    model : str or Path
        A run of `helixlm pretrain` or `finetune` (its `model/` is taken), a model folder as
        transformers writes it, or a name on the Hugging Face hub such as ``"owner/name"``.

    Returns
    -------
    LoadedModel
        The model on the CPU, in evaluation mode, and its tokenizer.

    Raises
    ------
    StateError
        If a run is not finished.
    InputError
        If there is no such model or its files are not what they must be.
    """
    folder = _model_folder(model)
    network = load_model(folder).eval()
    tokenizer = _tokenizer_of(folder, network)
    if _makes_ids_from(tokenizer, network.config.vocab_size):
        raise InputError(
            f"{folder}: the tokenizer has {len(tokenizer.tokens)} tokens, the model "
            f"{network.config.vocab_size}: the two do not belong together"
        )
    if isinstance(network, SequenceClassifier):
        return LoadedModel(network, tokenizer, "classifier", network.labels, folder)
    return LoadedModel(network, tokenizer, "masked", (), folder)


def _tokenizer_of(folder: Path, network: Model) -> Tokenizer:
    """Read the tokenizer of a model, or make HyenaDNA's, which is published as code alone."""
    names = ("tokenizer.json", "vocab.txt", "vocab.json")
    config = network.config
    if isinstance(config, HyenaConfig) and not any((folder / name).exists() for name in names):
        return hyenadna_tokenizer(max_tokens=config.max_tokens)
    return load_tokenizer(folder)


def _makes_ids_from(tokenizer: Tokenizer, rows: int) -> bool:
    """Return whether a tokenizer makes ids of `rows` or more.

    Special tokens that it has no use for do not count: the vocabulary of Nucleotide Transformer v1
    ends with two of which its model has no rows.
    """
    beyond = set(range(rows, len(tokenizer.tokens)))
    never = set(tokenizer.special_ids.tolist()) - set(tokenizer.special)
    return not beyond <= never


def _model_folder(model: str | Path) -> Path:
    """Return the folder that holds config.json."""
    folder = find_folder(model)
    if (folder / CONFIG_FILE).exists():
        return folder
    if (folder / "model" / CONFIG_FILE).exists():
        return folder / "model"
    if (folder / "finetune.json").exists():
        raise StateError(
            f"{folder}: fine-tuning that is not finished, so there is no model yet. Give the "
            "command that began it again: it goes on from its last save, or begins anew if there "
            "is none"
        )
    if (folder / "metrics.jsonl").exists():
        checkpoints = sorted(path.name for path in folder.glob("checkpoints/step-*"))
        other = f", or give {folder / 'checkpoints' / checkpoints[-1]}" if checkpoints else ""
        raise StateError(
            f"{folder}: a run without a model: it is not finished. Give the command that began it "
            f"again, and it goes on{other}"
        )
    raise InputError(
        f"{folder}: neither a model folder (no {CONFIG_FILE}) nor a run (no model/{CONFIG_FILE})"
    )
