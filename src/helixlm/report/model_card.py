"""The card of a model on the Hugging Face hub: its README.md there.

Comes in: what a run recorded, as `ModelFacts`. Goes out: Markdown, below a front matter in YAML
that the hub and transformers read. It says nothing that was not recorded; what is not known is said
to be so.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from helixlm.data.corpus.base import CorpusManifest
from helixlm.data.corpus.tally import total
from helixlm.models.cost import ModelShape
from helixlm.models.hyena_config import HyenaConfig
from helixlm.report.card import TAGS, cell, held_out_in_words, to_yaml
from helixlm.report.corpus import in_words
from helixlm.report.html import environment
from helixlm.report.numerals import count

POSITIONS = {
    "learned": "learned positions",
    "rotary": "rotary positions",
    "alibi": "symmetric ALiBi",
}
ACTIVATIONS = {"gelu": "GELU", "geglu": "GEGLU", "swiglu": "SwiGLU"}
TOKENS = {"bpe": "byte pairs", "char": "single letters", "kmer": "k-mers"}


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What is known of a model."""

    config: ModelShape
    """Shape of the model."""
    class_name: str
    """The class that transformers builds it as."""
    num_parameters: int
    """Trained values, shared ones counted once."""
    labels: tuple[str, ...] = ()
    """Names of the classes; empty for a masked language model."""
    tokenizer_kind: str
    """`Tokenizer.kind`."""
    num_tokens: int
    """Entries of the vocabulary."""
    home: Literal["transformers", "helixlm", None]
    """What reads it: transformers alone, transformers with helixlm imported, or helixlm alone."""
    recipe: str = ""
    """recipe.yaml of the pretraining run; empty if it is not known."""
    pretraining: Mapping[str, Any] = field(default_factory=dict)
    """summary.json of the pretraining run."""
    corpus: CorpusManifest | None = None
    """Manifest of the corpus that it was pretrained on, if it is at hand."""
    finetuning: Mapping[str, Any] = field(default_factory=dict)
    """finetune.json of the fine-tuning run."""
    scores: Mapping[str, Any] = field(default_factory=dict)
    """summary.json of the fine-tuning run."""


def render_model_card(facts: ModelFacts, name: str, *, licence: str | None = None) -> str:
    """Return the card of a model.

    Parameters
    ----------
    facts : ModelFacts
        What is known of it.
    name : str
        ``OWNER/NAME`` on the hub.
    licence : str, optional
        The hub's identifier of a licence, such as ``"cc-by-4.0"``; none is named if not given.

    Returns
    -------
    str
        Markdown with a front matter in YAML; the same for the same facts.

    References
    ----------
    https://huggingface.co/docs/hub/model-cards.
    """
    card = environment().overlay(autoescape=False)
    card.filters["cell"] = cell
    manifest = facts.corpus
    text = card.get_template("model_card.md.j2").render(
        front_matter=to_yaml(_front_matter(facts, licence)),
        title=_title(facts, name),
        name=name,
        facts=facts,
        config=facts.config,
        shape=_shape(facts),
        tokens=TOKENS[facts.tokenizer_kind],
        auto=f"AutoModel{facts.class_name[facts.class_name.index('For') :]}",
        predicts=_predicts(facts),
        manifest=manifest,
        words=None if manifest is None else in_words(manifest),
        held_out=None if manifest is None else held_out_in_words(manifest),
        genomes=[]
        if manifest is None
        else [(source, total(source.tallies.values())) for source in manifest.sources],
        settings=to_yaml(dict(facts.finetuning.get("config", {}))),
    )
    return text + "\n"


def _title(facts: ModelFacts, name: str) -> str:
    task = facts.finetuning.get("task")
    if facts.labels:
        return f"A classifier of DNA{f': {task}' if task else ''}"
    recipe = facts.pretraining.get("recipe")
    return f"A language model of DNA{f', by the recipe {recipe}' if recipe else ''}"


def _predicts(facts: ModelFacts) -> str:
    if facts.labels:
        return f"It gives a sequence one of {len(facts.labels)} labels: " + ", ".join(
            map(cell, facts.labels)
        )
    is_causal = isinstance(facts.config, HyenaConfig)
    return (
        "It predicts each token of DNA from those before it"
        if is_causal
        else "It predicts tokens of DNA that are hidden from it"
    )


def _shape(facts: ModelFacts) -> str:
    """Say in a sentence what a model is built of."""
    config, size = facts.config, count(facts.num_parameters)
    layers = f"{config.num_layers} layers of width {config.hidden_size}"
    if isinstance(config, HyenaConfig):
        return (
            f"A HyenaDNA of {size} parameters: {layers}, long convolutions, GELU of width "
            f"{config.intermediate_size}"
        )
    norm = "before" if config.norm == "pre" else "after"
    return (
        f"A bidirectional transformer encoder of {size} parameters: {layers} with "
        f"{config.num_heads} heads, {ACTIVATIONS[config.activation]} of width "
        f"{config.intermediate_size}, {POSITIONS[config.positions]}, LayerNorm {norm} each part"
    )


def _front_matter(facts: ModelFacts, licence: str | None) -> dict[str, Any]:
    task = "text-classification" if facts.labels else "fill-mask"
    in_transformers = facts.home is not None
    return {
        "library_name": "transformers" if in_transformers else "helixlm",
        **({"license": licence} if licence else {}),
        **({"pipeline_tag": task} if in_transformers else {}),
        "tags": list(TAGS),
    }
