"""To Hugging Face and back: names, settings and whole models of the BERT and RoBERTa classes.

Comes in: a model of `heads.py`, or the weights and settings of a `RobertaForMaskedLM`,
`BertForMaskedLM`, `RobertaForSequenceClassification` or `BertForSequenceClassification`. Goes out:
the other of the two, with the same numbers. Nothing is guessed: a weight that is missing or left
over, a shape or a setting that does not fit is an error that lists them. Files are `hf.py`'s.

The two sides differ in names, and in that the projections to queries, keys and values are one
matrix here (their rows stacked in that order).
"""

import importlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from helixlm.errors import InputError
from helixlm.models.config import EncoderConfig, Head
from helixlm.models.heads import MaskedLM, SequenceClassifier
from helixlm.models.init import initialise

logger = logging.getLogger(__name__)

_SETTINGS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "max_positions": "max_position_embeddings",
    "type_vocab_size": "type_vocab_size",
    "pad_token_id": "pad_token_id",
    "hidden_dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "norm_eps": "layer_norm_eps",
    "initializer_range": "initializer_range",
    "initialisation": "helixlm_initialisation",
    "activation": "hidden_act",
}
"""Our settings, and what `RobertaConfig` and `BertConfig` call them; they keep ours as it is."""

_HF_DEFAULTS = {
    "type_vocab_size": 2,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12,
    "initializer_range": 0.02,
    "helixlm_initialisation": "normal",
    "hidden_act": "gelu",
}
"""What transformers assumes for a setting that ``config.json`` leaves out."""

_ONLY = {
    "hidden_act": "gelu",
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}
"""Settings of which one value is built here."""

_ENCODER_NAMES = {
    "embeddings.word": "embeddings.word_embeddings",
    "embeddings.position": "embeddings.position_embeddings",
    "embeddings.token_type": "embeddings.token_type_embeddings",
    "embeddings.norm": "embeddings.LayerNorm",
}
_LAYER_NAMES = {
    "attention_output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
_QKV_NAMES = ("attention.self.query", "attention.self.key", "attention.self.value")
_HEAD_NAMES: dict[tuple[str, Head], dict[str, str]] = {
    ("roberta", "masked"): {
        "dense.weight": "lm_head.dense.weight",
        "dense.bias": "lm_head.dense.bias",
        "norm.weight": "lm_head.layer_norm.weight",
        "norm.bias": "lm_head.layer_norm.bias",
        "bias": "lm_head.bias",
    },
    ("bert", "masked"): {
        "dense.weight": "cls.predictions.transform.dense.weight",
        "dense.bias": "cls.predictions.transform.dense.bias",
        "norm.weight": "cls.predictions.transform.LayerNorm.weight",
        "norm.bias": "cls.predictions.transform.LayerNorm.bias",
        "bias": "cls.predictions.bias",
    },
    ("roberta", "sequence"): {
        "dense.weight": "classifier.dense.weight",
        "dense.bias": "classifier.dense.bias",
        "output.weight": "classifier.out_proj.weight",
        "output.bias": "classifier.out_proj.bias",
    },
    ("bert", "sequence"): {
        "dense.weight": "bert.pooler.dense.weight",
        "dense.bias": "bert.pooler.dense.bias",
        "output.weight": "classifier.weight",
        "output.bias": "classifier.bias",
    },
}
_OTHER_HEADS = ("lm_head.", "cls.", "classifier.", "roberta.pooler.", "bert.pooler.")
"""Starts of names that a checkpoint may hold for heads that are not asked for."""

_CLASSES: dict[tuple[str, Head], str] = {
    ("roberta", "masked"): "RobertaForMaskedLM",
    ("bert", "masked"): "BertForMaskedLM",
    ("roberta", "sequence"): "RobertaForSequenceClassification",
    ("bert", "sequence"): "BertForSequenceClassification",
}


class ConversionError(InputError):
    """Weights or settings that do not make a model that is built here."""


def tensor_names(config: EncoderConfig, head: Head) -> dict[str, tuple[str, ...]]:
    """Return our parameter names with those of transformers.

    A name with three partners is the stack of the three, along the first axis.

    Parameters
    ----------
    config : EncoderConfig
        `family` and `num_layers` are read.
    head : {"masked", "sequence"}
        What stands on the encoder.

    Returns
    -------
    dict of str to tuple of str
        In the order of our state dict.
    """
    base = config.family
    names: dict[str, tuple[str, ...]] = {}
    for ours, theirs in _ENCODER_NAMES.items():
        for part in ("weight", "bias") if theirs.endswith("LayerNorm") else ("weight",):
            names[f"encoder.{ours}.{part}"] = (f"{base}.{theirs}.{part}",)
    for n in range(config.num_layers):
        layer = f"{base}.encoder.layer.{n}"
        for part in ("weight", "bias"):
            names[f"encoder.layers.{n}.qkv.{part}"] = tuple(
                f"{layer}.{theirs}.{part}" for theirs in _QKV_NAMES
            )
        for ours, theirs in _LAYER_NAMES.items():
            for part in ("weight", "bias"):
                names[f"encoder.layers.{n}.{ours}.{part}"] = (f"{layer}.{theirs}.{part}",)
    for ours, theirs in _HEAD_NAMES[config.family, head].items():
        names[f"head.{ours}"] = (theirs,)
    return names


def tensors_to_hf(
    tensors: Mapping[str, Tensor], config: EncoderConfig, head: Head
) -> dict[str, Tensor]:
    """Rename tensors as transformers does: weights, or anything of the same shapes (gradients).

    Parameters
    ----------
    tensors : mapping of str to Tensor
        By our names, all that `tensor_names` gives.
    config : EncoderConfig
        Of the model.
    head : {"masked", "sequence"}
        Of the model.

    Returns
    -------
    dict of str to Tensor
        The tensors that `save_pretrained` writes for the same model: tied ones once. Each has
        memory of its own where one was split, and shares it with the input elsewhere.
    """
    renamed: dict[str, Tensor] = {}
    for ours, theirs in tensor_names(config, head).items():
        pieces = tensors[ours].chunk(len(theirs))
        for name, piece in zip(theirs, pieces, strict=True):
            renamed[name] = piece.clone() if len(theirs) > 1 else piece
    return renamed


def config_to_hf(model: MaskedLM | SequenceClassifier) -> dict[str, Any]:
    """Return the settings of a model as transformers writes them into ``config.json``."""
    config = model.config
    settings: dict[str, Any] = {
        "architectures": [_CLASSES[config.family, head_of(model)]],
        "model_type": config.family,
        "dtype": str(next(model.parameters()).dtype).removeprefix("torch."),
        "is_decoder": False,
        "add_cross_attention": False,
        "tie_word_embeddings": True,
    }
    settings |= {theirs: getattr(config, ours) for ours, theirs in _SETTINGS.items()}
    if isinstance(model, SequenceClassifier):
        settings["classifier_dropout"] = model.dropout
        settings["id2label"] = {str(k): label for k, label in enumerate(model.labels)}
        settings["label2id"] = {label: k for k, label in enumerate(model.labels)}
        settings["problem_type"] = "single_label_classification"
    return settings


def config_from_hf(hf_config: Mapping[str, Any]) -> EncoderConfig:
    """Read the settings of a BERT or RoBERTa.

    Parameters
    ----------
    hf_config : mapping
        What ``config.json`` holds, or ``config.to_dict()``.

    Returns
    -------
    EncoderConfig
        The same model in our words.

    Raises
    ------
    ConversionError
        If the model is of another type, a setting is missing or has a value that is not built here.
    """
    family = hf_config.get("model_type")
    if family not in ("roberta", "bert"):
        raise ConversionError(
            f"config.json says model_type {family!r}, expected 'roberta' or 'bert': models of "
            f"other types cannot be read"
        )
    for name, value in _ONLY.items():
        if hf_config.get(name, value) != value:
            raise ConversionError(
                f"config.json says {name} {hf_config[name]!r}, expected {value!r}: models with "
                f"another setting cannot be read"
            )
    found = _HF_DEFAULTS | {name: hf_config[name] for name in hf_config}
    missing = [theirs for theirs in _SETTINGS.values() if found.get(theirs) is None]
    if missing:
        raise ConversionError(f"config.json does not give {', '.join(missing)}")
    values = {ours: found[theirs] for ours, theirs in _SETTINGS.items()}
    try:
        return EncoderConfig(family=family, **values)
    except ValueError as error:
        raise ConversionError(f"config.json describes no model: {error}") from error


def head_of(model: MaskedLM | SequenceClassifier) -> Head:
    """Return the kind of head that a model has."""
    return "masked" if isinstance(model, MaskedLM) else "sequence"


def to_hf(model: MaskedLM | SequenceClassifier) -> Any:
    """Return the transformers model with the same weights, in the same mode.

    Parameters
    ----------
    model : MaskedLM or SequenceClassifier
        On any device; not changed.

    Returns
    -------
    transformers.PreTrainedModel
        A stock class on the CPU, with weights of its own.
    """
    # Imported here by name: it takes seconds, and the rest of this module does not need it.
    transformers = importlib.import_module("transformers")
    settings = config_to_hf(model)
    with torch.random.fork_rng(devices=[]):  # Its constructor draws weights, which are replaced.
        hf_class = getattr(transformers, settings["architectures"][0])
        hf_model = hf_class(transformers.AutoConfig.for_model(**settings))
    tensors = {name: tensor.cpu() for name, tensor in model.state_dict().items()}
    loaded = hf_model.load_state_dict(
        tensors_to_hf(tensors, model.config, head_of(model)), strict=False
    )
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
) -> MaskedLM | SequenceClassifier:
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
    MaskedLM or SequenceClassifier
        Float32, on the CPU, in evaluation mode, with weights of its own.

    Raises
    ------
    ConversionError
        If weights are missing, left over or of other shapes, if tied weights differ, or if settings
        do not fit.
    """
    if isinstance(source, nn.Module):
        if hf_config is None:  # A model that was never saved does not name its class.
            hf_config = _settings_of(source)
        source = source.state_dict()
    if hf_config is None:
        raise ConversionError("weights without settings: give hf_config, what config.json holds")
    config = config_from_hf(hf_config)
    head = head or _head_from_hf(hf_config)
    found = _tidy(source, config.family)
    with torch.device("meta"):  # Shapes only: no memory, no random numbers.
        if head == "masked":
            model: MaskedLM | SequenceClassifier = MaskedLM(config)
        else:
            num_labels, fresh = _count_labels(found, config, num_labels)
            if labels is None and not fresh:
                labels = _labels_from_hf(hf_config, num_labels)
            if dropout is None:
                dropout = hf_config.get("classifier_dropout")
            model = SequenceClassifier(config, num_labels, dropout, labels)
    tensors, missing, left = _tensors_from_hf(found, model)
    if head == "sequence" and missing and all(name.startswith("head.") for name in missing):
        model.head.to_empty(device="cpu")
        initialise(model.head, config, torch.Generator().manual_seed(seed))
        tensors |= {name: model.state_dict()[name] for name in missing}
        logger.info("fresh weights, seed %d: %s", seed, ", ".join(missing))
        missing = []
    if missing or left:
        names = tensor_names(config, head)
        absent = [name for ours in missing for name in names[ours] if name not in found]
        raise ConversionError(
            f"the weights do not make a {_CLASSES[config.family, head]}: "
            f"missing: {_shorten(absent)}; left over: {_shorten(left)}"
        )
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def _settings_of(hf_model: Any) -> dict[str, Any]:
    return hf_model.config.to_dict() | {"architectures": [type(hf_model).__name__]}


def _head_from_hf(hf_config: Mapping[str, Any]) -> Head:
    """Read from ``architectures`` what a checkpoint is for."""
    classes = hf_config.get("architectures") or ["nothing"]
    if classes[0].endswith(("ForMaskedLM", "ForPreTraining")):
        return "masked"
    if classes[0].endswith("ForSequenceClassification"):
        return "sequence"
    raise ConversionError(
        f"config.json says architectures {classes[0]}: say which head to build, 'masked' or "
        f"'sequence'"
    )


def _labels_from_hf(hf_config: Mapping[str, Any], num_labels: int) -> list[str] | None:
    """Return the names of the labels, if there is one for each."""
    names = {int(k): str(label) for k, label in (hf_config.get("id2label") or {}).items()}
    return [names[k] for k in range(num_labels)] if sorted(names) == [*range(num_labels)] else None


def _count_labels(
    found: Mapping[str, Tensor], config: EncoderConfig, num_labels: int | None
) -> tuple[int, bool]:
    """Return the number of labels, and whether the output layer is to be made fresh."""
    output = found.get(_HEAD_NAMES[config.family, "sequence"]["output.weight"])
    if output is not None and num_labels not in (None, len(output)):
        raise ConversionError(
            f"the classifier in the weights has {len(output)} labels, asked for {num_labels}: "
            f"start from the pretrained model instead"
        )
    if output is not None:
        return len(output), False
    if num_labels is None:
        raise ConversionError("the weights hold no classifier: say num_labels to get a fresh one")
    return num_labels, True


def _tidy(source: Mapping[str, Tensor], family: str) -> dict[str, Tensor]:
    """Bring the names of older and of bare checkpoints into one form, and check what is tied."""
    bare = ("embeddings.", "encoder.", "pooler.")  # saved from RobertaModel or BertModel
    found: dict[str, Tensor] = {}
    for name, tensor in source.items():
        if name.endswith((".position_ids", ".token_type_ids")):  # buffers of transformers < 4.31
            continue
        if name.startswith(bare):
            name = f"{family}.{name}"
        if name.endswith(("LayerNorm.gamma", "LayerNorm.beta")):  # from TensorFlow
            name = name.replace(".gamma", ".weight").replace(".beta", ".bias")
        found[name] = tensor
    head = "lm_head" if family == "roberta" else "cls.predictions"
    tied = {
        f"{head}.decoder.weight": f"{family}.embeddings.word_embeddings.weight",
        f"{head}.decoder.bias": f"{head}.bias",
    }
    for copy, original in tied.items():
        if copy in found:
            tensor = found.pop(copy)
            if not torch.equal(tensor, found.setdefault(original, tensor)):
                raise ConversionError(
                    f"{copy} differs from {original}: a model whose decoder is not tied to its "
                    f"embedding cannot be read"
                )
    return found


def _tensors_from_hf(
    found: Mapping[str, Tensor], model: MaskedLM | SequenceClassifier
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Return tensors by our names, our names without a partner, and their names without one."""
    expected = model.state_dict()
    tensors: dict[str, Tensor] = {}
    missing: list[str] = []
    wrong: list[str] = []
    used: set[str] = set()
    for ours, theirs in tensor_names(model.config, head_of(model)).items():
        used.update(theirs)
        if not all(name in found for name in theirs):
            missing.append(ours)
            continue
        rows, *rest = expected[ours].shape
        shape = (rows // len(theirs), *rest)
        wrong += [
            f"{name} has shape {tuple(found[name].shape)}, expected {shape}"
            for name in theirs
            if found[name].shape != shape
        ]
        if not wrong:
            tensors[ours] = torch.cat([found[name].detach().cpu().float() for name in theirs])
    if wrong:
        raise ConversionError(f"the weights do not fit config.json: {_shorten(wrong)}")
    left = [name for name in found if name not in used and not name.startswith(_OTHER_HEADS)]
    return tensors, missing, left


def _shorten(names: Sequence[str], limit: int = 6) -> str:
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) or "nothing") + more
