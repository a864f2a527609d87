"""What an encoder is: one frozen configuration, and how many parameters it makes.

Comes in: sizes, rates and choices, from a recipe or from a checkpoint's ``config.json``. Goes out:
a checked `EncoderConfig`. Nothing here builds a model or imports torch.
"""

from collections.abc import Iterator
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Head = Literal["masked", "sequence"]
"""What stands on an encoder: one prediction a token, or one a sequence."""

Family = Literal["roberta", "bert", "esm", "modernbert", "helixlm"]

_STOCK: dict[str, dict[str, tuple[object, ...]]] = {
    "bert": {
        "positions": ("learned",),
        "norm": ("post",),
        "activation": ("gelu",),
        "attention_bias": (True,),
        "up_bias": (True,),
        "down_bias": (True,),
        "norm_bias": (True,),
        "head_bias": (True,),
        "embedding_norm": (True,),
        "token_dropout": (False,),
        "tied_decoder": (True,),
        "global_every": (1,),
        "sequence_head": ("bert",),
        "pooling": ("first",),
    },
    "esm": {
        "positions": ("learned", "rotary"),
        "norm": ("pre",),
        "first_norm": (True,),
        "final_norm": (True,),
        "activation": ("gelu",),
        "attention_bias": (True,),
        "up_bias": (True,),
        "down_bias": (True,),
        "norm_bias": (True,),
        "head_bias": (True,),
        "type_vocab_size": (0,),
        "global_every": (1,),
        "rotary_base": (10_000.0,),
        "sequence_head": ("roberta",),
        "pooling": ("first",),
    },
    "modernbert": {
        "positions": ("rotary",),
        "norm": ("pre",),
        "first_norm": (False,),
        "final_norm": (True,),
        "activation": ("geglu",),
        "embedding_norm": (True,),
        "type_vocab_size": (0,),
        "token_dropout": (False,),
        "sequence_head": ("modernbert",),
    },
    "helixlm": {},
}
_STOCK["roberta"] = _STOCK["bert"] | {"sequence_head": ("roberta",)}
"""What the classes of transformers build; "helixlm" is our own class, which builds all."""


class EncoderShape(BaseModel):
    """Shape and rates of a bidirectional encoder, without what its tokenizer decides."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Family = "roberta"
    """Which class of transformers it is saved as; "helixlm" where none is equal. "roberta" and
    "esm" also number learned positions by RoBERTa's rule."""
    hidden_size: int = Field(ge=1)
    """Width of the residual stream; a multiple of `num_heads`."""
    num_layers: int = Field(ge=1)
    """Layers, each of attention and a feed-forward part."""
    num_heads: int = Field(ge=1)
    """Attention heads of every layer."""
    intermediate_size: int = Field(ge=1)
    """Width inside the feed-forward part; of a gated one, of each of its two halves."""
    max_positions: int = Field(ge=1)
    """Rows of the position embedding, where positions are learned. RoBERTa wastes the first
    ``pad_token_id + 1`` of them, so 514 rows serve 512 tokens: see `max_tokens`. Elsewhere the
    length that the model was made for, which longer rows may pass."""
    type_vocab_size: int = Field(2, ge=0)
    """Rows of the token-type embedding; row 0 is used when no types are given. 0: there is none."""
    hidden_dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of the embeddings, of attention's output and of the feed-forward part: of its output,
    or, where it is gated, of the product of its halves."""
    attention_dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of the attention probabilities."""
    norm_eps: float = Field(1e-12, gt=0)
    """Added to the variance in every LayerNorm."""
    initializer_range: float = Field(0.02, gt=0)
    """Standard deviation of fresh weights."""
    initialisation: Literal["normal", "modernbert", "local"] = "normal"
    """How fresh weights are drawn: "normal", as BERT does; "modernbert", cut at two standard
    deviations and lower in layers' outputs; or "local", with attention that begins at the nearest
    tokens, see `init.initialise`. It changes how soon a model learns, not what it is."""
    positions: Literal["learned", "rotary", "alibi"] = "learned"
    """How the model knows positions: "learned", one embedding row a position; "rotary", queries and
    keys turned by their position; "alibi", scores lowered by distance, alike on both sides."""
    rotary_base: float = Field(10_000.0, gt=0)
    """Base of the rotary wavelengths in layers that see everything."""
    local_rotary_base: float = Field(10_000.0, gt=0)
    """Base of the rotary wavelengths in layers with a window."""
    global_every: int = Field(1, ge=1)
    """Layers 0, n, 2n, ... see all tokens, the others those within `window`; 1: all see all."""
    window: int | None = Field(None, ge=1)
    """Tokens on each side that layers with a window see."""
    norm: Literal["post", "pre"] = "post"
    """Where LayerNorm stands: "post", after each residual sum; "pre", before each part, outside the
    stream."""
    first_norm: bool = True
    """norm "pre": whether the first layer's attention has one too."""
    final_norm: bool = True
    """norm "pre": whether one follows the last layer."""
    embedding_norm: bool = True
    """Whether LayerNorm follows the sum of the embeddings."""
    activation: Literal["gelu", "geglu", "swiglu"] = "gelu"
    """Non-linearity of the feed-forward part (GELU: the exact, erf form). The gated ones have two
    matrices on the way up: the first half of the rows is activated and multiplies the second."""
    attention_bias: bool = True
    """Whether the four projections of attention have a bias."""
    up_bias: bool = True
    """Whether the way up of the feed-forward part has a bias."""
    down_bias: bool = True
    """Whether the way down has."""
    norm_bias: bool = True
    """Whether LayerNorms have."""
    head_bias: bool = True
    """Whether the dense layer of a head has. The decoder and the output of a classifier always do.
    """
    token_dropout: bool = False
    """ESM's way with masked tokens: their embedding is zero, and those of the row are scaled by its
    share of tokens left, over 0.88."""
    tied_decoder: bool = True
    """Whether the decoder of the masked-language head is the token embedding."""
    sequence_head: Literal["roberta", "bert", "modernbert", "dnagrinder"] = "bert"
    """What classifies sequences, see `heads.SequenceHead`; if left out, that of the family."""
    pooling: Literal["first", "mean"] = "first"
    """What the sequence head reads: the first token, or the mean of all that are no padding."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        if isinstance(values, dict) and "sequence_head" not in values:
            built = _STOCK.get(values.get("family", "roberta"), {}).get("sequence_head", ("bert",))
            values = values | {"sequence_head": built[0]}
        return values

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        problems = [*self._choice_problems(), *self._stock_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _choice_problems(self) -> Iterator[str]:
        if self.hidden_size % self.num_heads:
            yield (
                f"hidden_size {self.hidden_size} is no multiple of num_heads {self.num_heads}: "
                f"every head takes an equal share of the width"
            )
        if self.positions == "rotary" and self.hidden_size // self.num_heads % 2:
            yield (
                f"positions 'rotary' turns pairs of dimensions, and heads have "
                f"{self.hidden_size // self.num_heads}: expected an even number"
            )

        if (self.global_every > 1) != (self.window is not None):
            yield (
                f"global_every {self.global_every} and window {self.window}: expected both, or "
                "global_every 1 and window null"
            )
        if self.initialisation == "local" and (self.positions, self.norm) != ("learned", "post"):
            yield (
                f"initialisation 'local' is made for positions 'learned' and norm 'post', found "
                f"{self.positions!r} and {self.norm!r}"
            )

    def _stock_problems(self) -> Iterator[str]:
        """Say what the class of transformers that the family names does not build."""
        for name, built in _STOCK[self.family].items():
            found = getattr(self, name)
            if found not in built:
                expected = " or ".join(map(repr, built))
                yield (
                    f"family {self.family!r} has {name} {expected}, found {found!r}: change it, or "
                    "family to 'helixlm'"
                )
        if self.family in ("bert", "roberta") and not self.type_vocab_size:
            yield f"family {self.family!r} has token types, found type_vocab_size 0"
        if self.family == "modernbert":
            found_biases = {self.up_bias, self.down_bias}
            if len(found_biases) > 1:
                yield (
                    f"family 'modernbert' has one choice for up_bias and down_bias, found "
                    f"{self.up_bias} and {self.down_bias}"
                )
            if self.hidden_dropout != self.attention_dropout:
                yield (
                    f"family 'modernbert' drops attention's output at the rate of its "
                    f"probabilities, found hidden_dropout {self.hidden_dropout} and "
                    f"attention_dropout {self.attention_dropout}: make them equal, or family "
                    "'helixlm'"
                )

    @property
    def is_gated(self) -> bool:
        """Whether the feed-forward part multiplies two halves."""
        return self.activation != "gelu"

    @property
    def usual_dropout(self) -> float:
        """Dropout of hidden vectors, which heads take over."""
        return self.hidden_dropout

    def sees_all(self, layer: int) -> bool:
        """Return whether a layer sees all tokens, not only those within the window."""
        return layer % self.global_every == 0


class EncoderConfig(EncoderShape):
    """A whole encoder; every published one here is a setting of it."""

    vocab_size: int = Field(ge=1)
    """Rows of the token embedding, and logits of the masked-language head."""
    pad_token_id: int = Field(ge=0)
    """The padding id that the model was built with. RoBERTa does not count this token when it
    numbers positions. It can differ from the tokenizer's: in the published TinyDNABERT it is
    ``</s>``."""
    mask_token_id: int | None = Field(None, ge=0)
    """The mask token, which only `token_dropout` looks for."""

    @model_validator(mode="after")
    def _check_ids(self) -> Self:
        problems = [*self._id_problems()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _id_problems(self) -> Iterator[str]:
        """Say what the tokenizer and the shape do not agree on."""
        for name in ("pad_token_id", "mask_token_id"):
            found = getattr(self, name)
            if found is not None and found >= self.vocab_size:
                yield f"{name} {found} is outside the vocabulary of {self.vocab_size}"
        if self.token_dropout and self.mask_token_id is None:
            yield "token_dropout needs mask_token_id"
        if self.max_tokens is not None and self.max_tokens < 1:
            yield (
                f"max_positions {self.max_positions} leaves no row for a token: with pad_token_id "
                f"{self.pad_token_id} RoBERTa numbers positions from {self.pad_token_id + 1}"
            )

    @property
    def max_tokens(self) -> int | None:
        """Tokens of the longest document that the position rows serve; None: any number."""
        if self.positions != "learned":
            return None
        skipped = self.pad_token_id + 1 if self.family in ("roberta", "esm") else 0
        return self.max_positions - skipped

    @property
    def usual_tokens(self) -> int:
        """Tokens of the longest document that the model was made for."""
        return self.max_positions if self.max_tokens is None else self.max_tokens


def num_parameters(config: EncoderConfig, head: Head | None = "masked", num_labels: int = 2) -> int:
    """Return the number of trained values of a model, shared ones counted once.

    Parameters
    ----------
    config : EncoderConfig
        Shape of the encoder.
    head : {"masked", "sequence", None}
        What stands on it; None counts the encoder alone.
    num_labels : int
        Outputs of the sequence head.

    Returns
    -------
    int
        Number of parameters.

    Examples
    --------
    TinyDNABERT:

    >>> num_parameters(EncoderConfig(
    ...     vocab_size=1024, hidden_size=512, num_layers=6, num_heads=8, intermediate_size=2048,
    ...     max_positions=514, pad_token_id=1
    ... ))
    19968512
    """
    return sum(parameters_by_part(config, head, num_labels).values())


def parameters_by_part(
    config: EncoderConfig, head: Head | None = "masked", num_labels: int = 2
) -> dict[str, int]:
    """Return the number of trained values of each part of a model; see `num_parameters`.

    Returns
    -------
    dict of str to int
        Of "embeddings", "attention", "feed-forward", "norms" (of layers, and the last) and "head".
    """
    width, inner = config.hidden_size, config.intermediate_size
    norm = width * (1 + config.norm_bias)
    rows = config.vocab_size + config.type_vocab_size
    if config.positions == "learned":
        rows += config.max_positions
    up = inner * (1 + config.is_gated)
    norms = 2 * config.num_layers * norm
    if config.norm == "pre":
        norms += (config.final_norm - (not config.first_norm)) * norm
    dense = width * width + width * config.head_bias
    parts = {
        "embeddings": rows * width + config.embedding_norm * norm,
        "attention": config.num_layers * (4 * width * width + 4 * width * config.attention_bias),
        "feed-forward": config.num_layers
        * (width * up + up * config.up_bias + inner * width + width * config.down_bias),
        "norms": norms,
        "head": 0,
    }
    if head == "masked":
        decoder = 0 if config.tied_decoder else config.vocab_size * width
        parts["head"] = dense + norm + decoder + config.vocab_size
    elif head == "sequence":
        has_norm = config.sequence_head in ("modernbert", "dnagrinder")
        parts["head"] = dense + has_norm * norm + width * num_labels + num_labels
    return parts
