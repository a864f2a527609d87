"""What published checkpoints call the settings of an encoder: ``config.json`` there and back.

Comes in: the content of a ``config.json``. Goes out: its dialect and an `EncoderConfig`; or the
other way round, for the dialects that we write. Nothing is guessed: a setting with a value that is
not built here is an error that names it, what was found and what was expected. Settings of which
the model does not depend, such as those of text generation, are passed over.

References
----------
Defaults are those of the configuration classes of transformers 5; for dnabert2, gena and nt-v2
those of the code named in `names.py`.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from helixlm.errors import InputError
from helixlm.models.config import EncoderConfig
from helixlm.models.cost import ModelShape
from helixlm.models.hyena_config import HyenaConfig
from helixlm.models.names import Dialect

FORMAT_VERSION = 1
"""Of ``config.json`` in our own dialect."""


class ConversionError(InputError):
    """Weights or settings that do not make a model that is built here."""


class Words(NamedTuple):
    """How a dialect writes settings."""

    settings: Mapping[str, str]
    """Our settings and what they are called."""
    defaults: Mapping[str, object]
    """What is meant where a setting is left out, by their names."""
    only: Mapping[str, object]
    """Settings of which one value is built here, by their names; it is meant where left out."""
    fixed: Mapping[str, object]
    """Our settings that the dialect has no word for."""
    code: tuple[str, ...] = ()
    """Modules of remote code that ``auto_map`` may name: what they do is built in here."""


_SIZES = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "max_positions": "max_position_embeddings",
    "pad_token_id": "pad_token_id",
    "initializer_range": "initializer_range",
    "initialisation": "helixlm_initialisation",  # ours, which transformers keeps as it is
}
_BERT_LIKE = {
    **_SIZES,
    "hidden_dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "norm_eps": "layer_norm_eps",
}
_BERT_LIKE_DEFAULTS = {
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12,
    "initializer_range": 0.02,
    "helixlm_initialisation": "normal",
}
_ENCODER_ONLY = {"hidden_act": "gelu", "is_decoder": False, "add_cross_attention": False}
_TIED = {**_ENCODER_ONLY, "tie_word_embeddings": True}

_BERT = Words(
    {**_BERT_LIKE, "type_vocab_size": "type_vocab_size"},
    {**_BERT_LIKE_DEFAULTS, "type_vocab_size": 2, "pad_token_id": 0},
    {**_TIED, "position_embedding_type": "absolute"},
    {"family": "bert"},
    code=("dnabert_layer",),
)
_ROBERTA = _BERT._replace(
    defaults={**_BERT.defaults, "pad_token_id": 1}, fixed={"family": "roberta"}, code=()
)
_DNABERT2 = Words(
    _BERT.settings,
    # The published file names no padding id; that of its tokenizer is 3. It makes no difference:
    # padding is left out by the attention mask, and its embedding is not looked at.
    _BERT.defaults,
    _TIED,  # and its position_embedding_type "absolute" is not looked at by its code
    {"family": "helixlm", "positions": "alibi", "activation": "geglu", "up_bias": False},
    code=("bert_layers",),
)
_GENA = Words(
    {**_BERT.settings, "final_norm": "last_layer_norm"},
    {**_BERT.defaults, "last_layer_norm": True},
    {**_BERT.only, "sparse_config_cls": None, "sparse_attention": None},
    {"family": "helixlm", "norm": "pre"},
    code=("modeling_bert",),
)
_ESM = Words(
    {
        **_BERT_LIKE,
        "positions": "position_embedding_type",
        "embedding_norm": "emb_layer_norm_before",
        "token_dropout": "token_dropout",
        "mask_token_id": "mask_token_id",
        "tied_decoder": "tie_word_embeddings",
    },
    {
        **_BERT_LIKE_DEFAULTS,
        "position_embedding_type": "absolute",
        "emb_layer_norm_before": False,
        "token_dropout": False,
        "tie_word_embeddings": True,
    },
    {**_ENCODER_ONLY, "is_folding_model": False, "rope_theta": 10_000.0},
    {"family": "esm", "norm": "pre", "type_vocab_size": 0},
)
_NT_V2 = Words(
    {**_ESM.settings, "up_bias": "add_bias_fnn", "down_bias": "add_bias_fnn"},
    _ESM.defaults,
    {**_ESM.only, "position_embedding_type": "rotary"},
    {
        "family": "helixlm",
        "norm": "pre",
        "type_vocab_size": 0,
        "activation": "swiglu",
        "sequence_head": "roberta",
    },
    code=("modeling_esm",),
)
_MODERNBERT = Words(
    {
        **_SIZES,
        "hidden_dropout": "mlp_dropout",
        "attention_dropout": "attention_dropout",
        "norm_eps": "norm_eps",
        "norm_bias": "norm_bias",
        "attention_bias": "attention_bias",
        "up_bias": "mlp_bias",
        "down_bias": "mlp_bias",
        "head_bias": "classifier_bias",
        "pooling": "classifier_pooling",
        "tied_decoder": "tie_word_embeddings",
        "global_every": "global_attn_every_n_layers",
        "window": "local_attention",
        "rotary_base": "global_rope_theta",
        "local_rotary_base": "local_rope_theta",
    },
    {
        "initializer_range": 0.02,
        "helixlm_initialisation": "modernbert",
        "mlp_dropout": 0.0,
        "attention_dropout": 0.0,
        "norm_eps": 1e-5,
        "norm_bias": False,
        "attention_bias": False,
        "mlp_bias": False,
        "classifier_bias": False,
        "classifier_pooling": "cls",
        "tie_word_embeddings": True,
        "global_attn_every_n_layers": 3,
        "local_attention": 128,
        "global_rope_theta": 160_000.0,
        "local_rope_theta": 10_000.0,
    },
    {
        "hidden_activation": "gelu",
        "classifier_activation": "gelu",
        "decoder_bias": True,
        "rope_scaling": None,
    },
    {
        "family": "modernbert",
        "positions": "rotary",
        "norm": "pre",
        "first_norm": False,
        "activation": "geglu",
        "type_vocab_size": 0,
    },
)
_OURS = Words(
    {name: name for name in EncoderConfig.model_fields if name != "family"},
    {
        name: field.default
        for name, field in EncoderConfig.model_fields.items()
        if name not in ("family", "sequence_head") and not field.is_required()
    },
    {"format_version": FORMAT_VERSION},
    {"family": "helixlm"},
)

_HYENADNA = Words(
    {
        "vocab_size": "vocab_size",
        "hidden_size": "d_model",
        "num_layers": "n_layer",
        "intermediate_size": "d_inner",
        "max_positions": "max_seq_len",
        "filter_features": "emb_dim",
        "filter_size": "filter_order",
        "filter_layers": "num_inner_mlps",
        "filter_frequency": "activation_freq",
        "embedding_dropout": "embed_dropout",
        "norm_eps": "layer_norm_epsilon",
        "initializer_range": "initializer_range",
        "pad_token_id": "pad_token_id",
        "pooling": "helixlm_pooling",
    },
    {
        "emb_dim": 5,
        "filter_order": 64,
        "num_inner_mlps": 2,
        "activation_freq": 10,
        "embed_dropout": 0.1,
        "layer_norm_epsilon": 1e-5,
        "initializer_range": 0.02,
        "pad_token_id": 4,
        "pad_vocab_size_multiple": 8,
        "helixlm_pooling": "last",
    },
    {
        "hyena_order": 2,
        "short_filter_order": 3,
        "train_freq": True,
        "use_bias": True,
        "num_inner_mlps": 2,
        "hyena_dropout": 0.0,
        "hyena_filter_dropout": 0.0,
    },
    {"family": "hyenadna"},
    ("modeling_hyena",),
)

WORDS: dict[Dialect, Words] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "esm": _ESM,
    "modernbert": _MODERNBERT,
    "dnabert2": _DNABERT2,
    "gena": _GENA,
    "nt-v2": _NT_V2,
    "hyenadna": _HYENADNA,
    "helixlm": _OURS,
}

_VALUES: dict[str, dict[object, object]] = {
    "position_embedding_type": {"absolute": "learned", "rotary": "rotary"},
    "classifier_pooling": {"cls": "first", "mean": "mean"},
    "emb_layer_norm_before": {None: False},
}
"""Values that are written in other words than ours."""

_MAY_LACK = ("mask_token_id", "window")
"""Our settings that may be None."""


def dialect_of(hf_config: Mapping[str, Any]) -> Dialect:
    """Tell whose names and settings a checkpoint uses.

    Parameters
    ----------
    hf_config : mapping
        What ``config.json`` holds.

    Returns
    -------
    str
        One of `names.Dialect`.

    Raises
    ------
    ConversionError
        If it is a model of another type, or one with code of its own that is not known here.
    """
    kind = hf_config.get("model_type")
    if kind is None and "add_bias_fnn" in hf_config:
        kind = "esm"  # the published file of Nucleotide Transformer v2 names no type
    if kind is None and hf_config.get("layer", {}).get("_name_") == "hyena":
        kind = "hyenadna"  # the first releases of HyenaDNA name none either
    dialect = kind
    if kind == "bert" and "alibi_starting_size" in hf_config:
        dialect = "dnabert2"
    elif kind == "bert" and hf_config.get("pre_layer_norm"):
        dialect = "gena"
    elif kind == "esm" and "add_bias_fnn" in hf_config:
        dialect = "nt-v2"
    if dialect not in WORDS:
        known = ", ".join(
            repr(name) for name in ("bert", "roberta", "esm", "modernbert", "hyenadna")
        )
        raise ConversionError(
            f"config.json says model_type {kind!r}, expected {known} or 'helixlm': models of other "
            f"types cannot be read"
        )
    unknown = sorted(_modules_of(hf_config) - set(WORDS[dialect].code))
    if unknown:
        raise ConversionError(
            f"config.json says that the model is built by code of its own ({unknown[0]}.py in "
            f"auto_map), which is never run and is not that of a {dialect} model known here"
        )
    return dialect


def _modules_of(hf_config: Mapping[str, Any]) -> set[str]:
    """Return the modules of remote code that build the model: of "owner/name--module.Class"."""
    classes = {
        name: value
        for name, value in (hf_config.get("auto_map") or {}).items()
        if name.startswith("AutoModel") and isinstance(value, str)
    }
    return {value.rpartition("--")[2].partition(".")[0] for value in classes.values()}


def config_from_hf(hf_config: Mapping[str, Any]) -> ModelShape:
    """Read the settings of a checkpoint.

    Parameters
    ----------
    hf_config : mapping
        What ``config.json`` holds, or ``config.to_dict()``.

    Returns
    -------
    EncoderConfig or HyenaConfig
        The same model in our words.

    Raises
    ------
    ConversionError
        If the model is of another type, a setting is missing or has a value that is not built here.
    """
    try:
        return _read(hf_config)
    except (TypeError, AttributeError, KeyError) as error:  # of values that are no settings
        raise ConversionError(
            f"config.json describes no model: a setting is of another kind than it must be: {error}"
        ) from error


def _read(hf_config: Mapping[str, Any]) -> ModelShape:
    dialect = dialect_of(hf_config)
    words = WORDS[dialect]
    found = {**words.defaults, **hf_config}
    if dialect == "modernbert":
        found |= _read_modernbert(found)
    elif dialect == "hyenadna":
        found |= _read_hyenadna(found)
    for name, value in words.only.items():
        if found.get(name, value) != value:
            raise _not_built(name, found[name], repr(value))
    values = {
        ours: _in_our_words(theirs, found.get(theirs)) for ours, theirs in words.settings.items()
    }
    missing = [
        words.settings[ours]
        for ours, value in values.items()
        if value is None and ours not in _MAY_LACK
    ]
    if missing:
        raise ConversionError(f"config.json does not give {', '.join(missing)}")
    try:
        kind = HyenaConfig if dialect == "hyenadna" else EncoderConfig
        return kind.model_validate({**words.fixed, **values})
    except ValueError as error:
        raise ConversionError(f"config.json describes no model: {error}") from error


def _not_built(name: str, found: object, expected: str) -> ConversionError:
    return ConversionError(
        f"config.json says {name} {found!r}, expected {expected}: models with another setting "
        f"cannot be read"
    )


def _in_our_words(name: str, value: object) -> object:
    """Return what a setting says, as `EncoderConfig` says it."""
    words = _VALUES.get(name, {})
    for theirs, ours in words.items():
        if value == theirs:
            return ours
    if isinstance(value, str) and words:
        raise _not_built(name, value, " or ".join(map(repr, words)))
    return value


def _read_modernbert(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return which layers have a window, and both rotary bases, from the new words or the old.

    transformers 5 lists the kind of each layer and keeps bases in `rope_parameters`; before, there
    were `global_attn_every_n_layers`, `global_rope_theta` and `local_rope_theta`. The window is
    written as the sum of both sides.
    """
    for name in ("embedding_dropout", "attention_dropout"):
        if found.get(name, found["mlp_dropout"]) != found["mlp_dropout"]:
            raise _not_built(name, found[name], f"{found['mlp_dropout']!r}, as mlp_dropout")
    for name in ("global_attn_every_n_layers", "local_attention"):
        if not isinstance(found[name], int):
            raise _not_built(name, found[name], "a whole number")
    every = _global_every(found)
    values: dict[str, Any] = {
        "global_attn_every_n_layers": every,
        "local_attention": found["local_attention"] // 2 if every > 1 else None,
    }
    ropes = found.get("rope_parameters") or {}
    for kind, name in (
        ("full_attention", "global_rope_theta"),
        ("sliding_attention", "local_rope_theta"),
    ):
        rope = ropes.get(kind) or {}
        if rope.get("rope_type", "default") != "default":
            raise _not_built(f"rope_type of {kind}", rope["rope_type"], "'default'")
        values[name] = rope.get("rope_theta", found[name])
    return values


def _read_hyenadna(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rows of the vocabulary, and what the first releases say of their layers.

    The vocabulary is filled up to a multiple; `l_max`, `w` and others stand in a section there.
    """
    values: dict[str, Any] = {}
    layer = found.get("layer") or {}
    for theirs, name in (
        ("l_max", "max_seq_len"),
        ("w", "activation_freq"),
        ("emb_dim", "emb_dim"),
        ("filter_order", "filter_order"),
        ("short_filter_order", "short_filter_order"),
    ):
        if theirs in layer:
            values[name] = layer[theirs]
    width, rows = found.get("d_model"), found.get("vocab_size")
    multiple = found["pad_vocab_size_multiple"]
    if isinstance(width, int) and found.get("d_inner") is None:
        values["d_inner"] = 4 * width
    if isinstance(rows, int):
        values["vocab_size"] = -(-rows // multiple) * multiple
    return values


def _global_every(found: Mapping[str, Any]) -> int:
    """Return n where layers 0, n, 2n, ... see everything."""
    layers = found.get("layer_types")
    if layers is None:
        return int(found["global_attn_every_n_layers"])
    everywhere = [n for n, kind in enumerate(layers) if kind == "full_attention"]
    every = everywhere[1] if len(everywhere) > 1 else max(1, len(layers))
    built = [
        "sliding_attention" if n % every else "full_attention"
        for n in range(found.get("num_hidden_layers", 0))
    ]
    if layers != built:
        raise _not_built("layer_types", layers, "full_attention in layers 0, n, 2n, ... only")
    return every


def config_to_hf(config: ModelShape) -> dict[str, Any]:
    """Write the settings of a model in the words of its family's class.

    Parameters
    ----------
    config : EncoderConfig or HyenaConfig
        `family` says which class.

    Returns
    -------
    dict
        What ``config.json`` holds, but for the class and the head.
    """
    words = WORDS[config.family]
    settings = {name: value for name, value in words.only.items() if value is not None}
    for ours, theirs in words.settings.items():
        value = getattr(config, ours)
        back = {built: word for word, built in _VALUES.get(theirs, {}).items() if word is not None}
        settings[theirs] = back.get(value, value)
    if isinstance(config, HyenaConfig):
        settings["pad_vocab_size_multiple"] = 1
    elif config.family == "modernbert":
        settings["local_attention"] = 128 if config.window is None else 2 * config.window
        settings["embedding_dropout"] = config.hidden_dropout
        # Not those of the English vocabulary, which transformers takes where there are none.
        settings |= dict.fromkeys(f"{name}_token_id" for name in ("bos", "eos", "cls", "sep"))
    return {"model_type": config.family, **settings}
