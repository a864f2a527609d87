"""What an encoder is: one frozen configuration, and how many parameters it makes.

Comes in: sizes, rates and choices, from a recipe or from a checkpoint's ``config.json``. Goes out:
a checked `EncoderConfig`. Nothing here builds a model or imports torch.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Head = Literal["masked", "sequence"]
"""What stands on an encoder: one prediction a token, or one a sequence."""


class EncoderConfig(BaseModel):
    """Shape and rates of a bidirectional encoder; BERT and RoBERTa are settings of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["roberta", "bert"] = "roberta"
    """Whose rule numbers the positions, whose sequence head is used, whose names are exported."""
    vocab_size: int = Field(ge=1)
    """Rows of the token embedding, and logits of the masked-language head."""
    hidden_size: int = Field(ge=1)
    """Width of the residual stream; a multiple of `num_heads`."""
    num_layers: int = Field(ge=1)
    """Layers, each of attention and a feed-forward part."""
    num_heads: int = Field(ge=1)
    """Attention heads of every layer."""
    intermediate_size: int = Field(ge=1)
    """Width inside the feed-forward part."""
    max_positions: int = Field(ge=1)
    """Rows of the position embedding. RoBERTa wastes the first ``pad_token_id + 1`` of them, so 514
    rows serve 512 tokens: see `max_tokens`."""
    type_vocab_size: int = Field(2, ge=1)
    """Rows of the token-type embedding; row 0 is used when no types are given."""
    pad_token_id: int = Field(ge=0)
    """The padding id that the model was built with. RoBERTa does not count this token when it
    numbers positions. It can differ from the tokenizer's: in the published TinyDNABERT it is
    ``</s>``."""
    hidden_dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of the embeddings and of each sub-layer's output."""
    attention_dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of the attention probabilities."""
    norm_eps: float = Field(1e-12, gt=0)
    """Added to the variance in every LayerNorm."""
    initializer_range: float = Field(0.02, gt=0)
    """Standard deviation of fresh weights."""
    initialisation: Literal["normal", "local"] = "normal"
    """How fresh weights are drawn: "normal", as BERT does, or "local", with attention that begins
    at the nearest tokens, see `init.initialise`. It changes how soon a model learns, not what it
    is."""
    activation: Literal["gelu"] = "gelu"
    """Non-linearity of the feed-forward part and the masked-language head (the exact, erf form)."""
    norm: Literal["post"] = "post"
    """Where LayerNorm stands: "post", after each residual sum."""
    positions: Literal["learned"] = "learned"
    """How the model knows positions: "learned", one embedding row a position."""

    @model_validator(mode="after")
    def _sizes_fit(self) -> "EncoderConfig":
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is no multiple of num_heads {self.num_heads}: "
                f"every head takes an equal share of the width"
            )
        if self.pad_token_id >= self.vocab_size:
            raise ValueError(
                f"pad_token_id {self.pad_token_id} is outside the vocabulary of {self.vocab_size}"
            )
        if self.max_tokens < 1:
            raise ValueError(
                f"max_positions {self.max_positions} leaves no row for a token: with pad_token_id "
                f"{self.pad_token_id} RoBERTa numbers positions from {self.pad_token_id + 1}"
            )
        return self

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest document that the position rows serve."""
        skipped = self.pad_token_id + 1 if self.family == "roberta" else 0
        return self.max_positions - skipped


def num_parameters(config: EncoderConfig, head: Head | None = "masked", num_labels: int = 2) -> int:
    """Return the number of trained values of a model, shared ones counted once.

    Parameters
    ----------
    config : EncoderConfig
        Shape of the encoder.
    head : {"masked", "sequence", None}
        What stands on it; None counts the encoder alone. The decoder of the masked-language head is
        the token embedding, so it adds a bias only.
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
    ...     max_positions=514, pad_token_id=1,
    ... ))
    19968512
    """
    width, inner = config.hidden_size, config.intermediate_size
    norm = 2 * width
    square = width * width + width  # a linear layer from the width to the width
    embeddings = (config.vocab_size + config.max_positions + config.type_vocab_size) * width + norm
    attention = 3 * square + square + norm
    feed_forward = (width * inner + inner) + (inner * width + width) + norm
    total = embeddings + config.num_layers * (attention + feed_forward)
    if head == "masked":
        total += square + norm + config.vocab_size
    elif head == "sequence":
        total += square + width * num_labels + num_labels
    return total
