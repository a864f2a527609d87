"""What a model costs: trained values and multiply-adds, by part.

Comes in: a configuration and a length. Goes out: numbers worked out from the sizes alone; nothing
is built or run. One multiply-add is two floating-point operations (FLOPs). Matrix products and, for
HyenaDNA, Fourier transforms are counted, not norms, non-linearities or embeddings, which look up.
"""

import math

from helixlm.models.config import EncoderConfig, parameters_by_part
from helixlm.models.hyena_config import HyenaConfig, hyena_parameters_by_part

ModelShape = EncoderConfig | HyenaConfig


def count_parameters(config: ModelShape) -> dict[str, int]:
    """Return the trained values of a model that is pretrained, by part, shared ones once."""
    if isinstance(config, HyenaConfig):
        return hyena_parameters_by_part(config)
    return parameters_by_part(config)


def multiply_adds(
    config: ModelShape, row_tokens: int, predicted: int | None = None
) -> dict[str, float]:
    """Return the multiply-adds of one forward pass over a row, by part.

    Parameters
    ----------
    config : EncoderConfig or HyenaConfig
        The model.
    row_tokens : int
        Tokens of the row, one document.
    predicted : int, optional
        Tokens that are predicted: what comes after the attention of the last layer, or after the
        operator of a HyenaDNA, is done for these alone, as `select_index_M` has it. None: all, as
        papers count.

    Returns
    -------
    dict of str to float
        By part: projections ("attention" or "operators"), "scores" (of queries with keys, and
        their use on values) or "long convolutions", "filters", "feed-forward", "head".
    """
    last = row_tokens if predicted is None else predicted
    if isinstance(config, HyenaConfig):
        return _hyena(config, row_tokens, last)
    width, inner = config.hidden_size, config.intermediate_size
    # Tokens that pass through the last projection and the feed-forward part, over all layers.
    after = (config.num_layers - 1) * row_tokens + last
    pairs = sum(
        _pairs_seen(row_tokens, None if config.sees_all(layer) else config.window)
        for layer in range(config.num_layers)
    )
    return {
        "attention": width * width * (3 * config.num_layers * row_tokens + after),
        "scores": 2 * width * pairs,
        "feed-forward": width * inner * (2 + config.is_gated) * after,
        "head": last * (width * width + width * config.vocab_size),
    }


def _pairs_seen(row_tokens: int, window: int | None) -> int:
    """Return how many pairs of query and key there are in a row."""
    if window is None or window >= row_tokens:
        return row_tokens * row_tokens
    return row_tokens * (2 * window + 1) - window * (window + 1)


def _hyena(config: HyenaConfig, row_tokens: int, last: int) -> dict[str, float]:
    width, inner, size = config.hidden_size, config.intermediate_size, config.filter_size
    layers = config.num_layers
    after = (layers - 1) * row_tokens + last
    network = config.filter_features * size + config.filter_layers * size * size + size * width
    # Two transforms there and one back, of real numbers and twice the length: 5/2 n log2 n
    # operations each (Frigo & Johnson 2005), half as many multiply-adds.
    length = 2 * row_tokens
    transforms = 3 * 1.25 * length * math.log2(length)
    return {
        "operators": width * width * (3 * layers * row_tokens + after)
        + layers * row_tokens * 3 * 3 * width,
        "long convolutions": layers * width * transforms,
        "filters": layers * row_tokens * network,
        "feed-forward": 2 * width * inner * after,
        "head": last * width * config.vocab_size,
    }


def training_flops(config: ModelShape, *, num_rows: int, row_tokens: int, num_masked: int) -> float:
    """Return the floating-point operations of one forward and backward pass.

    Two operations a multiply-add, three passes (forward, gradient of inputs, gradient of weights).
    Attention is counted over whole rows, also when documents are packed.

    Parameters
    ----------
    config : EncoderConfig or HyenaConfig
        Sizes of the model.
    num_rows, row_tokens : int
        Rows and tokens a row.
    num_masked : int
        Tokens that are predicted in these rows; counted for these alone is what `multiply_adds`
        says.
    """
    everything = multiply_adds(config, row_tokens, 0)
    nothing_predicted = sum(everything.values()) * num_rows
    one = sum(multiply_adds(config, row_tokens, 1).values()) - sum(everything.values())
    return 6.0 * (nothing_predicted + num_masked * one)
