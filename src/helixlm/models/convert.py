"""To Hugging Face and back: whole models of published checkpoints and of transformers' classes.

Comes in: a model of `heads.py`, or the weights and settings of a checkpoint in one of the dialects
of `names.py`. Goes out: the other of the two, with the same numbers. Nothing is guessed: a weight
that is missing or left over, or of another shape, copies that differ, and settings that do not fit
are errors that list them. What tensors and settings are called is told in `names.py` and
`settings.py`; files are `hf.py`'s.
"""

import importlib
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from helixlm.models.config import EncoderConfig, Family, Head
from helixlm.models.heads import (
    CausalLM,
    MaskedLM,
    SequenceClassifier,
    build_language_model,
)
from helixlm.models.hyena import filter_positions
from helixlm.models.hyena_config import HyenaConfig
from helixlm.models.init import initialise
from helixlm.models.names import NAMES, Dialect, Names, is_unused, tensor_names
from helixlm.models.positions import rotary_frequencies
from helixlm.models.settings import ConversionError, config_from_hf, config_to_hf, dialect_of

logger = logging.getLogger(__name__)

Model = MaskedLM | CausalLM | SequenceClassifier

_CLASS: dict[Family | Literal["hyenadna"], str] = {
    "bert": "Bert",
    "roberta": "Roberta",
    "esm": "Esm",
    "modernbert": "ModernBert",
    "helixlm": "Helixlm",
    "hyenadna": "HyenaDNA",
}
_TASK: dict[Head, str] = {"masked": "ForMaskedLM", "sequence": "ForSequenceClassification"}
"""Together the names of classes, such as BertForMaskedLM."""

_BARE = ("embeddings", "encoder", "layers", "final_norm", "pooler", "contact_head", "backbone")
"""What names begin with that were saved from an encoder alone, without its own name."""


def tensors_to_hf(tensors: Mapping[str, Tensor], dialect: Dialect, head: Head) -> dict[str, Tensor]:
    """Rename tensors as a dialect does: weights, or anything of the same shapes (gradients).

    Parameters
    ----------
    tensors : mapping of str to Tensor
        By our names.
    dialect : str
        Whose names are wanted.
    head : {"masked", "sequence"}
        Of the model.

    Returns
    -------
    dict of str to Tensor
        Each has memory of its own where one was split, and shares it with the input elsewhere.
    """
    renamed: dict[str, Tensor] = {}
    for ours, theirs in tensor_names(tensors, dialect, head).items():
        pieces = tensors[ours].chunk(len(theirs))
        for name, piece in zip(theirs, pieces, strict=True):
            renamed[name] = piece.clone() if len(theirs) > 1 else piece
    return renamed


def state_to_hf(model: Model) -> dict[str, Tensor]:
    """Return all tensors that `save_pretrained` writes for the same model, on the CPU.

    Tied ones come once. ESM's class also has a head that predicts contacts of amino acids, which
    is zero here, and its table of frequencies.
    """
    config = model.config
    tensors = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    renamed = tensors_to_hf(tensors, config.family, head_of(model))
    if config.family == "esm":
        maps = config.num_layers * config.num_heads
        renamed["esm.contact_head.regression.weight"] = torch.zeros(1, maps)
        renamed["esm.contact_head.regression.bias"] = torch.zeros(1)
    if config.family == "esm" and config.positions == "rotary":
        renamed["esm.rotary_embeddings.inv_freq"] = rotary_frequencies(
            config.hidden_size // config.num_heads, config.rotary_base
        )
    return renamed


def settings_to_hf(model: Model) -> dict[str, Any]:
    """Return the settings of a model as transformers writes them into ``config.json``."""
    settings = config_to_hf(model.config) | {
        "architectures": [class_name(model.config.family, head_of(model))],
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
    }
    if isinstance(model, SequenceClassifier):
        settings["classifier_dropout"] = model.dropout
        settings["id2label"] = {str(k): label for k, label in enumerate(model.labels)}
        settings["label2id"] = {label: k for k, label in enumerate(model.labels)}
        settings["problem_type"] = "single_label_classification"
    return settings


def class_name(family: Family | Literal["hyenadna"], head: Head) -> str:
    """Return the class that a model is saved as: of transformers, or of `auto.py`."""
    if family == "hyenadna" and head == "masked":
        return "HyenaDNAForCausalLM"
    return _CLASS[family] + _TASK[head]


def head_of(model: Model) -> Head:
    """Return the kind of head that a model has; the next token's is "masked" too."""
    return "sequence" if isinstance(model, SequenceClassifier) else "masked"


def to_hf(model: Model) -> Any:
    """Return the transformers model with the same weights, in the same mode.

    Parameters
    ----------
    model : MaskedLM or SequenceClassifier
        On any device; not changed.

    Returns
    -------
    transformers.PreTrainedModel
        On the CPU, with weights of its own: a stock class, or one of `auto.py` where none is equal.
    """
    if isinstance(model.config, HyenaConfig):
        raise ConversionError(
            "transformers has no class for a HyenaDNA: save it, for helixlm.load to read"
        )
    # Imported here by name: it takes seconds, and the rest of this module does not need it.
    transformers = importlib.import_module("transformers")
    ours = model.config.family == "helixlm"
    home = importlib.import_module("helixlm.models.auto") if ours else transformers
    settings = settings_to_hf(model)
    with torch.random.fork_rng(devices=[]):  # Its constructor draws weights, which are replaced.
        hf_class = getattr(home, settings["architectures"][0])
        hf_model = hf_class(transformers.AutoConfig.for_model(**settings))
    loaded = hf_model.load_state_dict(state_to_hf(model), strict=False)
    assert not loaded.unexpected_keys, loaded
    return hf_model.train(model.training)


def from_hf(
    source: nn.Module | Mapping[str, Tensor],
    hf_config: Mapping[str, Any] | None = None,
    *,
    head: Head | None = None,
    num_labels: int | None = None,
    labels: Sequence[str] | None = None,
    dropout: float | None = None,
    seed: int = 0,
) -> Model:
    """Build our model with the weights of a transformers model.

    Parameters
    ----------
    source : nn.Module or mapping of str to Tensor
        A transformers model, or its state dict.
    hf_config : mapping, optional
        What its ``config.json`` holds. None: ``source.config``.
    head : {"masked", "sequence"}, optional
        The model wanted. None: what ``architectures`` in the settings says.
    num_labels : int, optional
        Labels of a sequence classifier; needed where the source holds none.
    labels : sequence of str, optional
        Names of the labels. None: those in the settings, if they fit.
    dropout : float, optional
        Dropout in the sequence head. None: as the settings say.
    seed : int
        Seed of the parts of a sequence head that the source does not hold.

    Returns
    -------
    MaskedLM, CausalLM or SequenceClassifier
        Float32, on the CPU, in evaluation mode, with weights of its own.

    Raises
    ------
    ConversionError
        If weights are missing, left over or of other shapes, if copies of a weight differ, or if
        settings do not fit.
    """
    if isinstance(source, nn.Module):
        if hf_config is None:  # A model that was never saved does not name its class.
            hf_config = _settings_of(source)
        source = source.state_dict()
    if hf_config is None:
        raise ConversionError("weights without settings: give hf_config, what config.json holds")
    config, dialect = config_from_hf(hf_config), dialect_of(hf_config)
    head = head or _head_from_hf(hf_config)
    found = _in_one_form(source, NAMES[dialect])
    if isinstance(config, HyenaConfig):
        found = _tidy_filters(found, config)
    with torch.device("meta"):  # Shapes only: no memory, no random numbers.
        if head == "masked":
            model: Model = build_language_model(config)
        else:
            output = NAMES[dialect].sequence["output"]
            num_labels, fresh = _count_labels(found.get(f"{output}.weight"), num_labels)
            if labels is None and not fresh:
                labels = _labels_from_hf(hf_config, num_labels)
            if dropout is None:
                dropout = _dropout_from_hf(hf_config)
            model = SequenceClassifier(config, num_labels, dropout, labels)
    model.load_state_dict(_tensors_from_hf(found, model, dialect, seed), assign=True)
    return model.eval()


def _settings_of(hf_model: Any) -> dict[str, Any]:
    return hf_model.config.to_dict() | {"architectures": [type(hf_model).__name__]}


def _head_from_hf(hf_config: Mapping[str, Any]) -> Head:
    """Read from ``architectures`` what a checkpoint is for."""
    classes = hf_config.get("architectures")
    if not isinstance(classes, list) or not classes or not isinstance(classes[0], str):
        classes = ["nothing"]
    # GENA-LM's file says BertForPretraining.
    if classes[0].lower().endswith(("formaskedlm", "forpretraining", "forcausallm")):
        return "masked"
    if classes[0].endswith("ForSequenceClassification"):
        return "sequence"
    raise ConversionError(
        f"config.json says architectures {classes[0]}: say which head to build, 'masked' or "
        f"'sequence'"
    )


def _labels_from_hf(hf_config: Mapping[str, Any], num_labels: int) -> list[str] | None:
    """Return the names of the labels, if there is one for each."""
    found = hf_config.get("id2label")
    names = {str(k): str(label) for k, label in found.items()} if isinstance(found, dict) else {}
    wanted = [str(k) for k in range(num_labels)]
    return [names[k] for k in wanted] if names.keys() == set(wanted) else None


def _dropout_from_hf(hf_config: Mapping[str, Any]) -> float | None:
    """Return the dropout of a sequence head, if config.json says one."""
    found = hf_config.get("classifier_dropout")
    if found is None or (isinstance(found, int | float) and 0 <= found < 1):
        return found
    raise ConversionError(
        f"config.json says classifier_dropout {found!r}, expected null or a rate from 0 to below 1"
    )


def _count_labels(output_KC: Tensor | None, num_labels: int | None) -> tuple[int, bool]:
    """Return the number of labels, and whether the output layer is to be made fresh."""
    if output_KC is not None and num_labels not in (None, len(output_KC)):
        raise ConversionError(
            f"the classifier in the weights has {len(output_KC)} labels, asked for {num_labels}: "
            f"start from the pretrained model instead"
        )
    if output_KC is not None:
        return len(output_KC), False
    if num_labels is None:
        raise ConversionError("the weights hold no classifier: say num_labels to get a fresh one")
    return num_labels, True


def _in_one_form(source: Mapping[str, Tensor], names: Names) -> dict[str, Tensor]:
    """Bring the names of older and of bare checkpoints into one form."""
    found: dict[str, Tensor] = {}
    for name, tensor in source.items():
        part = name.partition(".")[0]
        if part != names.base and part in _BARE:
            name = f"{names.base}.{name}"
        if name.endswith(("LayerNorm.gamma", "LayerNorm.beta")):  # from TensorFlow
            name = name.replace(".gamma", ".weight").replace(".beta", ".bias")
        found[name] = tensor
    return found


def _tidy_filters(found: Mapping[str, Tensor], config: HyenaConfig) -> dict[str, Tensor]:
    """Bring the names of HyenaDNA's first releases into one form, and check what is not read.

    They begin with "model.", name the parts of layers that were trained with checkpointing
    otherwise, and hold the frequencies that a filter's sines share once or three times. The
    positions that filters are made of are worked out here; where those of a checkpoint differ,
    they were trained, or are of another length.
    """
    tidy: dict[str, Tensor] = {}
    for name, tensor in found.items():
        name = name.removeprefix("model.").replace(".layer.", ".")
        name = f"hyena.{name}" if name.startswith("backbone.") else name
        if name.endswith(".freq"):
            name = re.sub(r"implicit_filter\.[135]\.freq$", "implicit_filter.1.freq", name)
            tensor = tensor.flatten()
            if not torch.equal(tidy.setdefault(name, tensor), tensor):
                raise ConversionError(f"{name}: the sines of a filter have frequencies that differ")
        if name.endswith("filter_fn.pos_emb.z"):
            _check_positions(name, tensor, config)
        tidy[name] = tensor
    return tidy


def _check_positions(name: str, found_1TE: Tensor, config: HyenaConfig) -> None:
    built_TE, _ = filter_positions(config.max_positions, config, torch.device("cpu"))
    shape = (1, *built_TE.shape)
    if found_1TE.shape != shape:
        raise ConversionError(
            f"{name} has {tuple(found_1TE.shape)}, expected {shape}: config.json is of a model of "
            "another length, and its filters would be others"
        )
    if not torch.allclose(found_1TE[0].cpu().float(), built_TE, atol=1e-3):
        raise ConversionError(f"{name}: positions that were trained, which are not built here")


def _tensors_from_hf(
    found: dict[str, Tensor], model: Model, dialect: Dialect, seed: int
) -> dict[str, Tensor]:
    """Return the tensors of a model by our names, float32; a sequence head may be made fresh."""
    expected, head = model.state_dict(), head_of(model)
    names = tensor_names(expected, dialect, head)
    problems: dict[str, list[str]] = {"copies that differ": _drop_copies(found, model, dialect)}
    used = {name for theirs in names.values() for name in theirs}
    missing = [ours for ours, theirs in names.items() if not all(name in found for name in theirs)]
    tensors: dict[str, Tensor] = {}
    problems["of another shape"] = wrong = []
    for ours, theirs in names.items():
        if ours in missing:
            continue
        rows, *rest = expected[ours].shape
        shape = (rows // len(theirs), *rest)
        unlike = [name for name in theirs if found[name].shape != shape]
        wrong += [f"{name} has {tuple(found[name].shape)}, expected {shape}" for name in unlike]
        if not unlike:
            tensors[ours] = torch.cat([found[name].detach().cpu().float() for name in theirs])
    if head == "sequence" and all(name.startswith("head.") for name in missing):
        tensors |= _fresh_head(model, missing, seed)
        missing = []
    problems["missing"] = [name for ours in missing for name in names[ours] if name not in found]
    problems["left over"] = [
        name for name in found if name not in used and not is_unused(name, dialect, head)
    ]
    told = [
        f"{problem}: {_shorten(problems[problem])}"
        for problem in ("missing", "left over", "of another shape", "copies that differ")
        if problems[problem]
    ]
    if told:
        raise ConversionError(
            f"the weights do not make the {dialect} model that config.json describes: "
            f"{'; '.join(told)}"
        )
    return tensors


def _drop_copies(found: dict[str, Tensor], model: Model, dialect: Dialect) -> list[str]:
    """Remove what is written twice; return what differs from the tensor it is a copy of."""
    names = NAMES[dialect]
    copies = dict(names.copies)
    if isinstance(model.config, EncoderConfig) and model.config.tied_decoder:
        copies[f"{names.masked['decoder']}.weight"] = f"{names.encoder['embeddings.word']}.weight"
    differing = []
    for copy, original in copies.items():
        if copy in found:
            tensor = found.pop(copy)
            if not torch.equal(tensor, found.setdefault(original, tensor)):
                differing.append(f"{copy} differs from {original}")
    return differing


def _fresh_head(model: Model, names: Sequence[str], seed: int) -> dict[str, Tensor]:
    """Draw the tensors of a sequence head that a checkpoint does not hold."""
    if not names:
        return {}
    assert isinstance(model, SequenceClassifier), "other heads are never made fresh"
    model.head.to_empty(device="cpu")
    initialise(model.head, model.config, torch.Generator().manual_seed(seed))
    logger.info("fresh weights, seed %d: %s", seed, ", ".join(names))
    return {name: model.state_dict()[name] for name in names}


def _shorten(names: Sequence[str], limit: int = 6) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more
