"""Fresh weights: one rule for every model, drawn from an explicit generator.

Linear and embedding weights are normal with the standard deviation `initializer_range`, biases
zero, LayerNorm weights one, the padding rows of embeddings zero: BERT's rule, as in transformers.

With ``initialisation="local"`` the positions and the queries and keys are set on top of it so
that every token first looks at itself and its nearest neighbours. Under BERT's rule attention
begins uniform, and a small model on a small corpus predicts little more than token frequencies
until it has found its neighbours by itself, which takes millions of tokens.
"""

import math

import torch
from torch import Tensor, nn

from helixlm.models.config import EncoderConfig
from helixlm.models.encoder import Embeddings, Layer

LONGEST_WAVE = 50.0
"""Waves of local positions are 2 pi to 2 pi times this many tokens long: near tokens differ."""
POSITION_SHARE = 4.0
"""Root mean square of local positions over that of the token embedding: position comes first."""
SELF_SCORE = 11.0
"""Score that attention gives a token itself at the start, before softmax. Its waves make a score
fall to about half 3 tokens away and to a quarter 10 tokens away."""


@torch.no_grad()
def initialise(model: nn.Module, config: EncoderConfig, generator: torch.Generator) -> None:
    """Fill a model with fresh weights, in place.

    Parameters
    ----------
    model : nn.Module
        An encoder, a model with a head, or a head alone.
    config : EncoderConfig
        `initializer_range` and `initialisation` are read.
    generator : torch.Generator
        A generator on the CPU. Numbers are drawn there in float32 and then moved, so the weights do
        not depend on the model's device.

    Notes
    -----
    "local": position rows are sines and cosines, and each layer's key projection equals its query
    projection, so that the score of two tokens falls with their distance. Both are learned from
    there on. The constants above were found by trial on simulated DNA, see ``dev/LOG.md``.

    References
    ----------
    Devlin et al. (2019), google-research/bert ``create_initializer``, without its truncation at two
    standard deviations; transformers `PreTrainedModel._init_weights`. For "local": Vaswani et al.
    (2017), Attention is all you need, section 3.5; Trockman & Kolter (2023), Mimetic initialization
    of self-attention layers, ICML.
    """

    def draw(weight: Tensor) -> None:
        fresh = torch.empty(weight.shape, dtype=torch.float32)
        weight.copy_(fresh.normal_(0.0, config.initializer_range, generator=generator))

    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            draw(module.weight)
        elif isinstance(module, nn.LayerNorm):
            module.weight.fill_(1.0)
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            module.weight[module.padding_idx].zero_()
        for name, parameter in module.named_parameters(recurse=False):
            if name == "bias":
                parameter.zero_()
    if config.initialisation == "local":
        for module in model.modules():
            if isinstance(module, Embeddings):
                _begin_with_waves(module.position, config)
            elif isinstance(module, Layer):
                _begin_local(module, config, generator)


def _begin_with_waves(position: nn.Embedding, config: EncoderConfig) -> None:
    """Set position rows to sines and cosines of many lengths."""
    rows, width = position.weight.shape
    half = -(-width // 2)
    frequency = LONGEST_WAVE ** (-torch.arange(half, dtype=torch.float64) / half)
    angle = torch.arange(rows, dtype=torch.float64)[:, None] * frequency
    waves = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)[:, :width]
    # A sine has a root mean square of 1 / sqrt(2).
    size = math.sqrt(2.0) * POSITION_SHARE * config.initializer_range
    position.weight.copy_((size * waves).float())
    if position.padding_idx is not None:
        position.weight[position.padding_idx].zero_()


def _begin_local(layer: Layer, config: EncoderConfig, generator: torch.Generator) -> None:
    """Draw one projection for queries and keys, scaled to `SELF_SCORE`.

    After LayerNorm a vector x of width C has |x|^2 = C. With weights of variance s^2 / C a head of
    width D scores it s^2 D / sqrt(D) against itself.
    """
    width = config.hidden_size
    scale = math.sqrt(SELF_SCORE / math.sqrt(width // config.num_heads) / width)
    fresh = torch.empty(width, width, dtype=torch.float32).normal_(generator=generator)
    layer.qkv.weight[:width] = scale * fresh
    layer.qkv.weight[width : 2 * width] = scale * fresh
