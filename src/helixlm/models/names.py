"""What published checkpoints call the weights of an encoder: one table of names for each dialect.

Comes in: our parameter names, as in a state dict. Goes out: theirs. A dialect is a way to name
weights and settings that one or more published systems share; settings are `settings.py`'s, and
renaming the tensors themselves is `convert.py`'s.

All dialects keep linear weights as (out, in), as PyTorch does. They differ in names, and in whether
the projections to queries, keys and values are one matrix, as here, or three: a name with three
partners is the stack of the three, in that order, along the first axis.

References
----------
bert, roberta, esm, modernbert: the classes of transformers. dnabert2: ``bert_layers.py`` of
zhihan1996/DNABERT-2-117M. gena: ``modeling_bert.py`` of AIRI-Institute/GENA_LM. nt-v2:
``modeling_esm.py`` of InstaDeepAI/nucleotide-transformer-v2. hyenadna: ``modeling_hyena.py`` of
LongSafari's releases; the first ones, of HazyResearch/hyena-dna, differ in what names begin with.
"""

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from helixlm.models.config import Head

Dialect = Literal[
    "bert", "roberta", "esm", "modernbert", "dnabert2", "gena", "nt-v2", "hyenadna", "helixlm"
]
"""bert: plain BERT, DNABERT, GROVER; roberta: plain RoBERTa, TinyDNABERT; esm: plain ESM,
Nucleotide Transformer v1; modernbert: plain ModernBERT, the book's DNABert; helixlm: our own."""

Partners = str | tuple[str, ...]


class Names(NamedTuple):
    """What a dialect calls the modules of a model; `{n}` is the number of a layer."""

    base: str
    """What names of the encoder begin with, and lack where the bare encoder was saved."""
    encoder: Mapping[str, str]
    """Our modules of the encoder, without those of its layers."""
    layer: Mapping[str, Partners]
    """Our modules of a layer; single parameters where the rest of their module is elsewhere."""
    masked: Mapping[str, str]
    """Our modules of the masked-language head; "bias" is a tensor of its own."""
    sequence: Mapping[str, str]
    """Our modules of the sequence head."""
    copies: Mapping[str, str] = {}
    """Tensors that are written twice by some, and of which they are copies."""
    unused: tuple[str, ...] = ()
    """Tensors that checkpoints hold and no encoder uses; `*` is anything."""


_BERT_EMBEDDINGS = {
    "embeddings.word": "bert.embeddings.word_embeddings",
    "embeddings.position": "bert.embeddings.position_embeddings",
    "embeddings.token_type": "bert.embeddings.token_type_embeddings",
    "embeddings.norm": "bert.embeddings.LayerNorm",
}
_BERT_LAYER: dict[str, Partners] = {
    "qkv": (
        "bert.encoder.layer.{n}.attention.self.query",
        "bert.encoder.layer.{n}.attention.self.key",
        "bert.encoder.layer.{n}.attention.self.value",
    ),
    "attention_output": "bert.encoder.layer.{n}.attention.output.dense",
    "attention_norm": "bert.encoder.layer.{n}.attention.output.LayerNorm",
    "up": "bert.encoder.layer.{n}.intermediate.dense",
    "down": "bert.encoder.layer.{n}.output.dense",
    "feed_forward_norm": "bert.encoder.layer.{n}.output.LayerNorm",
}
_BERT_MASKED = {
    "dense": "cls.predictions.transform.dense",
    "norm": "cls.predictions.transform.LayerNorm",
    "decoder": "cls.predictions.decoder",
    "bias": "cls.predictions.bias",
}
_BERT_SEQUENCE = {"dense": "bert.pooler.dense", "output": "classifier"}
# Buffers of transformers before 4.31, and the head of BERT's second objective.
_BERT_UNUSED = (
    "bert.embeddings.position_ids",
    "bert.embeddings.token_type_ids",
    "cls.seq_relationship.*",
)
_BERT_COPIES = {"cls.predictions.decoder.bias": "cls.predictions.bias"}

_BERT = Names(
    "bert",
    _BERT_EMBEDDINGS,
    _BERT_LAYER,
    _BERT_MASKED,
    _BERT_SEQUENCE,
    _BERT_COPIES,
    _BERT_UNUSED,
)

_GENA = _BERT._replace(
    encoder={**_BERT_EMBEDDINGS, "final_norm": "bert.encoder.last_layer_ln"},
    layer={
        **_BERT_LAYER,
        "attention_norm": "bert.encoder.layer.{n}.pre_attention_ln",
        "feed_forward_norm": "bert.encoder.layer.{n}.post_attention_ln",
    },
)

_DNABERT2 = _BERT._replace(
    layer={
        "qkv": "bert.encoder.layer.{n}.attention.self.Wqkv",
        "attention_output": "bert.encoder.layer.{n}.attention.output.dense",
        "attention_norm": "bert.encoder.layer.{n}.attention.output.LayerNorm",
        "up": "bert.encoder.layer.{n}.mlp.gated_layers",
        "down": "bert.encoder.layer.{n}.mlp.wo",
        "feed_forward_norm": "bert.encoder.layer.{n}.mlp.layernorm",
    },
    masked={**_BERT_MASKED, "bias": "cls.predictions.decoder.bias"},
    copies={"cls.predictions.bias": "cls.predictions.decoder.bias"},
)


def _of_roberta(name: str) -> str:
    return f"roberta.{name.removeprefix('bert.')}"


_ROBERTA = Names(
    "roberta",
    {ours: _of_roberta(theirs) for ours, theirs in _BERT_EMBEDDINGS.items()},
    {
        ours: _of_roberta(theirs) if isinstance(theirs, str) else tuple(map(_of_roberta, theirs))
        for ours, theirs in _BERT_LAYER.items()
    },
    masked={
        "dense": "lm_head.dense",
        "norm": "lm_head.layer_norm",
        "decoder": "lm_head.decoder",
        "bias": "lm_head.bias",
    },
    sequence={"dense": "classifier.dense", "output": "classifier.out_proj"},
    copies={"lm_head.decoder.bias": "lm_head.bias"},
    unused=(
        "roberta.embeddings.position_ids",
        "roberta.embeddings.token_type_ids",
        "roberta.pooler.dense.*",
    ),
)

_ESM = Names(
    "esm",
    {
        "embeddings.word": "esm.embeddings.word_embeddings",
        "embeddings.position": "esm.embeddings.position_embeddings",
        "embeddings.norm": "esm.embeddings.layer_norm",
        "final_norm": "esm.encoder.emb_layer_norm_after",
    },
    {
        "qkv": (
            "esm.encoder.layer.{n}.attention.self.query",
            "esm.encoder.layer.{n}.attention.self.key",
            "esm.encoder.layer.{n}.attention.self.value",
        ),
        "attention_output": "esm.encoder.layer.{n}.attention.output.dense",
        "attention_norm": "esm.encoder.layer.{n}.attention.LayerNorm",
        "up": "esm.encoder.layer.{n}.intermediate.dense",
        "down": "esm.encoder.layer.{n}.output.dense",
        "feed_forward_norm": "esm.encoder.layer.{n}.LayerNorm",
    },
    masked=_ROBERTA.masked,
    sequence=_ROBERTA.sequence,
    unused=(
        "esm.embeddings.position_ids",
        "esm.embeddings.position_embeddings.weight",  # where positions are rotary
        "esm.encoder.layer.*.attention.self.rotary_embeddings.inv_freq",
        "esm.rotary_embeddings.inv_freq",
        "esm.pooler.dense.*",
        "esm.contact_head.regression.*",
    ),
)

_MODERNBERT = Names(
    "model",
    {
        "embeddings.word": "model.embeddings.tok_embeddings",
        "embeddings.norm": "model.embeddings.norm",
        "final_norm": "model.final_norm",
    },
    {
        "qkv": "model.layers.{n}.attn.Wqkv",
        "attention_output": "model.layers.{n}.attn.Wo",
        "attention_norm": "model.layers.{n}.attn_norm",
        "up": "model.layers.{n}.mlp.Wi",
        "down": "model.layers.{n}.mlp.Wo",
        "feed_forward_norm": "model.layers.{n}.mlp_norm",
    },
    masked={
        "dense": "head.dense",
        "norm": "head.norm",
        "decoder": "decoder",
        "bias": "decoder.bias",
    },
    sequence={"dense": "head.dense", "norm": "head.norm", "output": "classifier"},
)

_OURS = Names(
    "encoder",
    {
        name: f"encoder.{name}"
        for name in (
            "embeddings.word",
            "embeddings.position",
            "embeddings.token_type",
            "embeddings.norm",
            "final_norm",
        )
    },
    {name: f"encoder.layers.{{n}}.{name}" for name in _BERT_LAYER},
    # Other names than in `heads.py`: a dense layer that predicts tokens is none that classifies.
    masked={name: f"lm_head.{name}" for name in _BERT_MASKED},
    sequence={name: f"classifier.{name}" for name in ("dense", "norm", "output")},
)

_HYENA = "hyena.backbone.layers.{n}."
_FILTER = f"{_HYENA}mixer.filter_fn."
_HYENADNA = Names(
    "hyena",
    {"word": "hyena.backbone.embeddings.word_embeddings", "final_norm": "hyena.backbone.ln_f"},
    {
        "operator_norm": f"{_HYENA}norm1",
        "projection": f"{_HYENA}mixer.in_proj",
        "short_filter": f"{_HYENA}mixer.short_filter",
        "operator_output": f"{_HYENA}mixer.out_proj",
        "feed_forward_norm": f"{_HYENA}norm2",
        "up": f"{_HYENA}mlp.fc1",
        "down": f"{_HYENA}mlp.fc2",
        # In a sequence with its sines, which stand at odd places and are one.
        "filter.layers.0": f"{_FILTER}implicit_filter.0",
        "filter.layers.1": f"{_FILTER}implicit_filter.2",
        "filter.layers.2": f"{_FILTER}implicit_filter.4",
        "filter.output": f"{_FILTER}implicit_filter.6",
        "filter.frequency": f"{_FILTER}implicit_filter.1.freq",
        "filter.skip": f"{_FILTER}bias",
    },
    masked={},
    sequence={"output": "score"},
    copies={"lm_head.weight": "hyena.backbone.embeddings.word_embeddings.weight"},
    unused=("*.filter_fn.pos_emb.[zt]", "*.filter_fn.modulation.deltas"),
)

NAMES: dict[Dialect, Names] = {
    "bert": _BERT,
    "roberta": _ROBERTA,
    "esm": _ESM,
    "modernbert": _MODERNBERT,
    "dnabert2": _DNABERT2,
    "gena": _GENA,
    "nt-v2": _ESM,
    "hyenadna": _HYENADNA,
    "helixlm": _OURS,
}


def tensor_names(ours: Iterable[str], dialect: Dialect, head: Head) -> dict[str, tuple[str, ...]]:
    """Return our parameter names with those of a dialect.

    Parameters
    ----------
    ours : iterable of str
        Names in the state dict of a model of `heads.py`.
    dialect : str
        Whose names are wanted.
    head : {"masked", "sequence"}
        What stands on the encoder.

    Returns
    -------
    dict of str to tuple of str
        In the order given. A name with three partners is the stack of the three.

    Examples
    --------
    >>> tensor_names(["encoder.layers.3.up.weight"], "modernbert", "masked")
    {'encoder.layers.3.up.weight': ('model.layers.3.mlp.Wi.weight',)}
    """
    return {name: _partners(name, NAMES[dialect], head) for name in ours}


def _partners(name: str, names: Names, head: Head) -> tuple[str, ...]:
    """Return the names that one of our parameters has in a dialect."""
    part, _, inside = name.partition(".")
    if part == "head":
        modules = names.masked if head == "masked" else names.sequence
        if inside == "bias":
            return (modules[inside],)
        module, _, parameter = inside.rpartition(".")
        return (f"{modules[module]}.{parameter}",)
    module, _, parameter = inside.rpartition(".")
    if not module.startswith("layers."):
        return (f"{names.encoder[module]}.{parameter}",)
    _, number, module = module.split(".", 2)
    whole = names.layer.get(f"{module}.{parameter}")
    if isinstance(whole, str):
        return (whole.format(n=number),)
    theirs = names.layer[module]
    found = (theirs,) if isinstance(theirs, str) else theirs
    return tuple(f"{one.format(n=number)}.{parameter}" for one in found)


def is_unused(name: str, dialect: Dialect, head: Head) -> bool:
    """Return whether a tensor that no parameter of ours has as a partner may be left out.

    So are the tensors of the head that was not asked for, and those that no encoder uses.
    """
    names = NAMES[dialect]
    other = names.sequence if head == "masked" else names.masked
    patterns = [*names.unused, *names.copies]
    for ours, theirs in other.items():
        patterns.append(theirs if ours == "bias" else f"{theirs}.*")
    return any(fnmatchcase(name, pattern) for pattern in patterns)
