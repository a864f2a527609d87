"""What a HyenaDNA is: one frozen configuration, and how many parameters it makes.

Nothing here builds a model or imports torch.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class HyenaShape(BaseModel):
    """Shape and rates of a HyenaDNA; the defaults are those of all published ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["hyenadna"] = "hyenadna"
    hidden_size: int = Field(ge=1)
    """Width of the residual stream."""
    num_layers: int = Field(ge=1)
    """Layers, each of a Hyena operator and a feed-forward part."""
    intermediate_size: int = Field(ge=1)
    """Width inside the feed-forward part."""
    max_positions: int = Field(ge=2)
    """Tokens of the longest row, and the unit in which filters measure distance (l_max): a model
    of another length is another model, also for shorter rows."""
    filter_features: int = Field(5, ge=3)
    """Numbers that tell a filter where it is: the time, and cosines and sines; odd."""
    filter_size: int = Field(64, ge=1)
    """Width of the network that makes the filters."""
    filter_layers: int = Field(2, ge=0)
    """Layers of that network between the first and the last."""
    filter_frequency: float = Field(10.0, gt=0)
    """What its sines multiply by at first."""
    embedding_dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout of the token embeddings."""
    norm_eps: float = Field(1e-5, gt=0)
    """Added to the variance in every LayerNorm."""
    initializer_range: float = Field(0.02, gt=0)
    """Standard deviation of fresh weights."""
    pooling: Literal["last", "mean"] = "last"
    """What a sequence head reads: the last token, or the mean of all; padding left out."""

    @model_validator(mode="after")
    def _check_shape(self) -> Self:
        if self.filter_features % 2 == 0:
            raise ValueError(
                f"filter_features {self.filter_features} are the time and pairs of cosine and "
                "sine: expected an odd number"
            )
        return self

    @property
    def max_tokens(self) -> int:
        """Tokens of the longest row that the filters reach over."""
        return self.max_positions

    @property
    def usual_dropout(self) -> float:
        """Dropout that heads take over."""
        return self.embedding_dropout

    @property
    def usual_tokens(self) -> int:
        """As `max_tokens`."""
        return self.max_positions


class HyenaConfig(HyenaShape):
    """A whole HyenaDNA."""

    vocab_size: int = Field(ge=1)
    """Rows of the token embedding, and logits; the published models have 16 for 12 tokens."""
    pad_token_id: int = Field(4, ge=0)
    """The padding id."""

    @model_validator(mode="after")
    def _check_ids(self) -> Self:
        if self.pad_token_id >= self.vocab_size:
            raise ValueError(
                f"pad_token_id {self.pad_token_id} is outside the vocabulary of {self.vocab_size}"
            )
        return self


def hyena_parameters_by_part(config: HyenaConfig) -> dict[str, int]:
    """Return the number of trained values of each part; the decoder is the embedding.

    Returns
    -------
    dict of str to int
        Of "embeddings", "operators" (projections and short filters), "filters", "feed-forward"
        and "norms".

    Examples
    --------
    The published tiny-1k:

    >>> sum(hyena_parameters_by_part(HyenaConfig(
    ...     vocab_size=16, hidden_size=128, num_layers=2, intermediate_size=512, max_positions=1026,
    ... )).values())
    436096
    """
    width, inner, size = config.hidden_size, config.intermediate_size, config.filter_size
    projections = 3 * width * width + 3 * width + width * width + width
    short = 3 * width * 3 + 3 * width
    network = config.filter_features * size + size + config.filter_layers * (size * size + size)
    layers = config.num_layers
    return {
        "embeddings": config.vocab_size * width,
        "operators": layers * (projections + short),
        "filters": layers * (network + size + size * width + width),
        "feed-forward": layers * (2 * width * inner + inner + width),
        "norms": (2 * layers + 1) * 2 * width,
    }
