"""HyenaDNA: token ids in, one vector a token out, from that token and those before it.

In place of attention stands the Hyena operator: three projections of the stream, each blurred
over three tokens; two are multiplied, drawn through a convolution as long as the row, and
multiplied by the third. The filters of that convolution are not stored but made, by a small
network of the position within the longest row, so they cost the same for any length; by Fourier
transforms a row of L tokens takes L log L steps.

Rows hold one document each: a convolution would carry one into the next. Padding belongs at the
end of a row, where nothing before it sees it.

Shape letters: B rows, L tokens in a row, C width of the model, M selected tokens, E features of a
position, T longest row.

References
----------
Nguyen et al. (2023), HyenaDNA, NeurIPS; Poli et al. (2023), Hyena hierarchy, ICML;
HazyResearch/hyena-dna, `standalone_hyenadna.py`.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helixlm.models.dropout import draw_seed, dropout
from helixlm.models.encoder import LengthError, select_tokens
from helixlm.models.hyena_config import HyenaConfig
from helixlm.models.lookup import Lookup

SLOWEST_DECAY, FASTEST_DECAY = math.log(100) / 1.5, math.log(100) / 0.3
"""Filters of the first and of the last channel have fallen to a hundredth after 1.5 and 0.3 of the
longest row, but for `FLOOR`."""
FLOOR = 0.05
"""Share of a filter that no distance takes away."""


class Hyena(nn.Module):
    """Stack of Hyena operators and feed-forward parts, with LayerNorm before each and at the end.

    Parameters
    ----------
    config : HyenaConfig
        Sizes and rates.
    """

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        self.config = config
        self.word = Lookup(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(HyenaLayer(config) for _ in range(config.num_layers))
        self.final_norm = nn.LayerNorm(config.hidden_size, eps=config.norm_eps)

    def forward(
        self,
        input_ids_BL: Tensor,
        *,
        select_index_M: Tensor | None = None,
        dropout_seed: Tensor | None = None,
    ) -> Tensor:
        """Encode rows of tokens.

        Parameters
        ----------
        input_ids_BL : Tensor, int64, shape (B, L)
            Token ids; padding, if any, at the end of a row.
        select_index_M : Tensor, int64, shape (M,), optional
            Flat positions ``b * L + l`` of the tokens that are asked for.
        dropout_seed : Tensor, int64, scalar, on the CPU, optional
            Fixes what is dropped in training on a CPU. None draws it from PyTorch's global
            generator.

        Returns
        -------
        Tensor, float, shape (B, L, C), or (M, C) with `select_index_M`
            Hidden vectors after the last layer and its norm.

        Raises
        ------
        LengthError
            If rows are longer than the filters reach.
        """
        num_tokens = input_ids_BL.shape[1]
        if num_tokens > self.config.max_positions:
            raise LengthError(
                f"a row has {num_tokens} tokens, special tokens included, but the filters of the "
                f"model reach over {self.config.max_positions}: cut it, or use a model with more"
            )
        seed = None
        if self.training:
            seed = draw_seed(input_ids_BL.device) if dropout_seed is None else dropout_seed
        hidden = dropout(self.word(input_ids_BL), self.config.embedding_dropout, seed, 0)
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            hidden = layer(hidden, select_index_M if index == last else None)
        return self.final_norm(hidden)


class HyenaLayer(nn.Module):
    """A Hyena operator and a feed-forward part, each normalised before and added to the stream."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.operator_norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.projection = nn.Linear(width, 3 * width)
        # Each channel over three tokens: this one and the two before.
        self.short_filter = nn.Conv1d(3 * width, 3 * width, 3, padding=2, groups=3 * width)
        self.filter = HyenaFilter(config)
        self.operator_output = nn.Linear(width, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.up = nn.Linear(width, config.intermediate_size)
        self.down = nn.Linear(config.intermediate_size, width)

    def forward(self, hidden_BLC: Tensor, select_index_M: Tensor | None = None) -> Tensor:
        """Return the stream after this layer, (B, L, C), or (M, C) for selected tokens."""
        stream, mixed = hidden_BLC, self._mix(self.operator_norm(hidden_BLC))
        if select_index_M is not None:
            stream = select_tokens(stream, select_index_M)
            mixed = select_tokens(mixed, select_index_M)
        stream = stream + self.operator_output(mixed)
        inner = F.gelu(self.up(self.feed_forward_norm(stream)), approximate="tanh")
        return stream + self.down(inner)

    def _mix(self, hidden_BLC: Tensor) -> Tensor:
        num_tokens = hidden_BLC.shape[1]
        projected_BCL = self.projection(hidden_BLC).transpose(1, 2)
        short_BCL = self.short_filter(projected_BCL)[..., :num_tokens]
        outer_BCL, inner_BCL, value_BCL = short_BCL.chunk(3, dim=1)
        value_BCL = value_BCL * inner_BCL
        long_BCL = convolve(value_BCL, self.filter(num_tokens))
        mixed_BCL = long_BCL + value_BCL * self.filter.skip[:, None]
        return (mixed_BCL * outer_BCL).transpose(1, 2).to(hidden_BLC.dtype)


class HyenaFilter(nn.Module):
    """One filter for each channel, as long as asked for, from a network of the position.

    Attributes
    ----------
    skip : nn.Parameter, float, shape (C,)
        How much of each value passes by the filter.
    """

    undecayed = True
    """The optimiser leaves its weights alone, as the published training does."""

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        sizes = [config.filter_features] + (1 + config.filter_layers) * [config.filter_size]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.output = nn.Linear(config.filter_size, config.hidden_size, bias=False)
        # One set of frequencies, which all layers of the network share.
        self.frequency = nn.Parameter(torch.empty(config.filter_size))
        self.skip = nn.Parameter(torch.empty(config.hidden_size))
        self.config = config

    def forward(self, num_tokens: int) -> Tensor:
        """Return the filters at distances 0, 1, ..., in the weights' dtype, shape (C, L)."""
        config, device = self.config, self.skip.device
        with torch.autocast(device.type, enabled=False):
            features_LE, time_L = filter_positions(num_tokens, config, device)
            found_LS = features_LE.to(self.skip.dtype)
            for layer in self.layers:
                found_LS = torch.sin(self.frequency * layer(found_LS))
            found_LC: Tensor = self.output(found_LS)
            decay_C = torch.linspace(
                SLOWEST_DECAY, FASTEST_DECAY, config.hidden_size, device=device
            )
            fall_LC = torch.exp(-time_L[:, None] * decay_C) + FLOOR
            return (found_LC * fall_LC).transpose(0, 1)


def filter_positions(
    num_tokens: int, config: HyenaConfig, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return what a filter knows of the distances 0, 1, ...

    Of distance n in a row of at most T: its time ``n / (T - 1)``, and the cosines and negative
    sines of ``2 pi n f / T`` for (E - 1) / 2 frequencies f from 1e-4 on, a whole number apart or
    nearly.

    Returns
    -------
    features_LE : Tensor, float32, shape (L, E)
        Time, cosines, negative sines.
    time_L : Tensor, float32, shape (L,)
        Time alone.
    """
    longest, bands = config.max_positions, (config.filter_features - 1) // 2
    time_L = torch.linspace(0, 1, longest, device=device)[:num_tokens]
    place_L = torch.arange(num_tokens, dtype=torch.float32, device=device)
    frequency = torch.linspace(1e-4, bands - 1, bands, device=device)
    angle = (2 * math.pi * place_L / longest)[:, None] * frequency
    return torch.cat([time_L[:, None], angle.cos(), -angle.sin()], dim=1), time_L


def convolve(values_BCL: Tensor, filters_CL: Tensor) -> Tensor:
    """Return the causal convolution of each channel with its filter, (B, C, L).

    ``out[l] = sum over d from 0 to l of filter[d] * value[l - d]``, by Fourier transforms of twice
    the length, so that the end does not run into the beginning; in float32 or, with filters of
    float64, in that, as half precision would lose what is far.
    """
    num_tokens = values_BCL.shape[-1]
    dtype = torch.promote_types(filters_CL.dtype, torch.float32)
    spectrum = torch.fft.rfft(values_BCL.to(dtype), n=2 * num_tokens)
    spectrum = spectrum * torch.fft.rfft(filters_CL.to(dtype), n=2 * num_tokens)
    return torch.fft.irfft(spectrum, n=2 * num_tokens)[..., :num_tokens]
