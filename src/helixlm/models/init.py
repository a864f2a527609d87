"""Fresh weights: one rule for every model, drawn from an explicit generator.

Linear and embedding weights are normal with the standard deviation `initializer_range`, biases
zero, LayerNorm weights one, the padding rows of embeddings zero: BERT's rule, as in transformers.
ModernBERT and HyenaDNA begin in ways of their own.

With ``initialisation="local"`` four things are set on top of it, all of which a model finds by
itself after some hundred million tokens, and which a small run never reaches. Everything is
learned from there on, and the architecture is the same.

1. **Each head looks at one neighbour.** The first dimensions of the stream carry the position as
   sines and cosines; the query reads them, and the key reads them turned by one offset: -1, +1,
   -2, +2, ... tokens. (Under BERT's rule attention begins uniform, and a neighbour is lost in it.)
2. **Tokens that are spelled alike begin alike.** A row of the token embedding is mostly a sum over
   its first and last letters.
3. **The masked-language head begins as the identity**, so that a token that is shown is also what
   is predicted.
4. **The bias of the decoder begins at the logarithm of the token frequencies**, see
   `begin_at_frequencies`.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from helixlm.models.config import EncoderConfig
from helixlm.models.encoder import Embeddings, Layer
from helixlm.models.heads import MaskedHead, SequenceHead
from helixlm.models.hyena import HyenaLayer
from helixlm.models.hyena_config import HyenaConfig

SELF_SCORE = 20.0
"""Score that a head gives the token at its offset at the start, before softmax, by positions
alone; the tokens beside that one have 12 less."""
LETTERS = 4
"""Letters at each end of a token that its embedding begins from."""
LETTER_DECAY = 0.7
"""Weight of a letter over that of the one nearer to the token's end."""
LETTER_SHARE = 0.8
"""Share of an embedding's variance that comes from its letters."""


@torch.no_grad()
def initialise(
    model: nn.Module,
    config: EncoderConfig | HyenaConfig,
    generator: torch.Generator,
    spelling: Sequence[str] = (),
) -> None:
    """Fill a model with fresh weights, in place.

    Parameters
    ----------
    model : nn.Module
        An encoder, a model with a head, or a head alone.
    config : EncoderConfig or HyenaConfig
        `initializer_range` and `initialisation` are read.
    generator : torch.Generator
        A generator on the CPU. Numbers are drawn there in float32 and then moved, so the weights do
        not depend on the model's device.
    spelling : sequence of str, optional
        Letters of each token, "" for special tokens; "local" reads it. Tokens with other letters
        than A, C, G and T, and all if it is left out, begin at random.

    Notes
    -----
    The constants of "local" were found by trial on yeast, see ``dev/LOG.md``.

    References
    ----------
    Devlin et al. (2019), google-research/bert ``create_initializer``, without its truncation at two
    standard deviations; transformers `PreTrainedModel._init_weights`. For "local": Vaswani et al.
    (2017), Attention is all you need, section 3.5; Cordonnier et al. (2020), On the relationship
    between self-attention and convolutional layers, ICLR; Trockman & Kolter (2023), Mimetic
    initialization of self-attention layers, ICML. For "modernbert": transformers
    `ModernBertPreTrainedModel._init_weights`. For HyenaDNA: `_init_weights` of
    HazyResearch/hyena-dna, `standalone_hyenadna.py`.
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
    if isinstance(config, HyenaConfig):
        _begin_hyena(model, config, generator)
    elif config.initialisation == "modernbert":
        _begin_modernbert(model, config, generator)
    elif config.initialisation == "local":
        layers = 0
        for module in model.modules():
            if isinstance(module, Embeddings):
                _spell(module.word, config, spelling, generator)
                _begin_with_waves(module, config)
            elif isinstance(module, Layer):
                _look_at_neighbours(module, config, first_offset=1 if layers % 2 else -1)
                layers += 1
            elif isinstance(module, MaskedHead):
                nn.init.eye_(module.dense.weight)


def _begin_hyena(model: nn.Module, config: HyenaConfig, generator: torch.Generator) -> None:
    """Set what HyenaDNA begins otherwise.

    What leaves a layer is lower by the square root of the number of parts, as in GPT-2; short
    filters are as PyTorch draws a convolution, the values that pass by the long ones normal.
    """

    def draw_(weight: Tensor, std: float) -> None:
        weight.copy_(torch.empty(weight.shape).normal_(0.0, std, generator=generator))

    for module in model.modules():
        if isinstance(module, HyenaLayer):
            for layer in (module.operator_output, module.down):
                draw_(layer.weight, config.initializer_range / math.sqrt(2 * config.num_layers))
            short = module.short_filter
            reach = 1 / math.sqrt(short.kernel_size[0])
            for parameter in short.parameters():
                fresh = torch.empty(parameter.shape).uniform_(-reach, reach, generator=generator)
                parameter.copy_(fresh)
            draw_(module.filter.skip, 1.0)
            module.filter.frequency.fill_(config.filter_frequency)


def _begin_modernbert(model: nn.Module, config: EncoderConfig, generator: torch.Generator) -> None:
    """Draw all matrices again, cut at two standard deviations; what leaves a layer is lower."""
    usual = config.initializer_range
    low = usual / math.sqrt(2 * config.num_layers)
    for module in model.modules():
        stds: dict[nn.Module, float] = {}
        if isinstance(module, Embeddings):
            stds = {module.word: usual}
        elif isinstance(module, Layer):
            stds = {module.qkv: usual, module.up: usual}
            stds |= {module.attention_output: low, module.down: low}
        elif isinstance(module, MaskedHead):
            stds = {module.dense: low}
        elif isinstance(module, SequenceHead):
            stds = {module.dense: low, module.output: config.hidden_size**-0.5}
        for layer, std in stds.items():
            weight = layer.get_parameter("weight")
            fresh = torch.empty(weight.shape)
            nn.init.trunc_normal_(fresh, 0.0, std, -2 * std, 2 * std, generator=generator)
            weight.copy_(fresh)


@torch.no_grad()
def begin_at_frequencies(head: MaskedHead, counts_V: NDArray[np.int64]) -> None:
    """Set the decoder's bias so that a head that knows nothing predicts token frequencies.

    Parameters
    ----------
    head : MaskedHead
        Changed in place.
    counts_V : np.ndarray, int64, shape (V,)
        How often each token occurs in training. One is added to each.
    """
    share_V = (counts_V + 1.0) / (counts_V + 1.0).sum()
    head.bias.copy_(torch.from_numpy(np.log(share_V)))


def _wave_frequencies(config: EncoderConfig) -> Tensor:
    """Return the frequencies of local positions, radians a token, float64.

    They take a quarter of the width, or what one head can read. Squares up to pi: many slow waves,
    and enough fast ones to tell a token from the next. The likeness of two positions, the mean of
    cos(frequency * distance), is 0.4 for neighbours and falls as one over the square root of the
    distance (a Fresnel integral).
    """
    pairs = max(1, min(config.hidden_size // 4, config.hidden_size // config.num_heads) // 2)
    return math.pi * ((torch.arange(pairs, dtype=torch.float64) + 1) / pairs) ** 2


def _begin_with_waves(embeddings: Embeddings, config: EncoderConfig) -> None:
    """Write positions into the first dimensions and keep tokens out of them, equally strong."""
    frequency = _wave_frequencies(config)
    taken = 2 * len(frequency)
    position = embeddings.position
    angle = torch.arange(len(position.weight), dtype=torch.float64)[:, None] * frequency
    waves = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1)
    # Summed over the width, tokens have (C - taken) std^2, and waves of height h have h^2 taken/2.
    left = config.hidden_size - taken
    height = config.initializer_range * math.sqrt(2 * left / taken)
    embeddings.word.weight[:, :taken] = 0.0
    position.weight.zero_()
    position.weight[:, :taken] = (height * waves).float()
    if position.padding_idx is not None:
        position.weight[position.padding_idx].zero_()


def _look_at_neighbours(layer: Layer, config: EncoderConfig, first_offset: int) -> None:
    """Let head 0, 1, 2, 3, ... look at offsets f, -f, 2f, -2f, ... where f is `first_offset`.

    With a query [sin wt, cos wt] and a key [sin w(t-o), cos w(t-o)] the score is the sum of
    cos w(t' - o - t): highest where the key stands o tokens after the query.
    """
    frequency = _wave_frequencies(config)
    taken, width = 2 * len(frequency), config.hidden_size
    head_width = width // config.num_heads
    # After LayerNorm a vector has a squared length of `width`, and half of it is position.
    scale = math.sqrt(SELF_SCORE * math.sqrt(head_width) / (width / 2))
    query, key = layer.qkv.weight[:width], layer.qkv.weight[width : 2 * width]
    for head in range(config.num_heads):
        offset = first_offset * (head // 2 + 1) * (1 if head % 2 == 0 else -1)
        cos, sin = (frequency * offset).cos(), (frequency * offset).sin()
        turn = torch.zeros(len(frequency), 2, len(frequency), 2, dtype=torch.float64)
        pair = torch.arange(len(frequency))
        turn[pair, 0, pair, 0], turn[pair, 0, pair, 1] = cos, -sin
        turn[pair, 1, pair, 0], turn[pair, 1, pair, 1] = sin, cos
        rows = slice(head * head_width, head * head_width + taken)
        query[rows, :taken] = scale * torch.eye(taken)
        key[rows, :taken] = (scale * turn.reshape(taken, taken)).float()


def _spell(
    word: nn.Embedding, config: EncoderConfig, spelling: Sequence[str], generator: torch.Generator
) -> None:
    """Mix into each row the vectors of the first and last letters of its token."""
    vectors = torch.empty(2, LETTERS, 4, config.hidden_size).normal_(generator=generator)
    for token, letters in enumerate(spelling):
        if not letters or set(letters) - set("ACGT"):
            continue
        ends = (letters[:LETTERS], letters[::-1][:LETTERS])
        row = torch.zeros(config.hidden_size)
        variance = 0.0
        for side, end in enumerate(ends):
            for place, letter in enumerate(end):
                weight = LETTER_DECAY**place
                row += weight * vectors[side, place, "ACGT".index(letter)]
                variance += weight**2
        row *= config.initializer_range * math.sqrt(LETTER_SHARE / variance)
        word.weight[token] *= math.sqrt(1 - LETTER_SHARE)
        word.weight[token] += row.to(word.weight)
