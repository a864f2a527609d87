"""The encoder: token ids in, one vector a token out.

From top to bottom: `Encoder` adds up embeddings of token, position and type and sends them through
`Layer`s, in which every token first looks at the others (attention) and is then worked on alone
(feed-forward). Each part's output is added to the stream of hidden vectors; LayerNorm follows the
sum (BERT, RoBERTa, DNABERT-2, dnaGrinder) or comes before the part (ESM, Nucleotide Transformer,
ModernBERT). What else the published encoders differ in is a setting of `EncoderConfig`.

Rows may be padded (`attention_mask_BL`) or packed with several documents (`document_ids_BL`);
either way each document gets the output that it gets alone. All shapes are static, so the
module compiles into one graph. Weights are set by `init.initialise` or by `convert`, heads are in
`heads.py`.

Shape letters: B rows, L tokens in a row, C width of the model, H heads, D width of a head,
M selected tokens.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helixlm.errors import InputError
from helixlm.models.attention import Path, attention, bias_mask, document_mask, padding_mask
from helixlm.models.config import EncoderConfig
from helixlm.models.dropout import draw_seed, dropout
from helixlm.models.lookup import Lookup
from helixlm.models.positions import (
    alibi_bias,
    number_positions,
    rotary_tables,
    turn,
    window_mask,
)


class LengthError(InputError):
    """A row is longer than the positions of the model reach."""


class View(NamedTuple):
    """What the attention of a layer goes by, besides the tokens."""

    mask: Tensor | None
    """As `attention` takes it."""
    rotary_2LD: Tensor | None
    """Of `rotary_tables`, where positions are rotary."""


class Encoder(nn.Module):
    """Bidirectional transformer encoder.

    Parameters
    ----------
    config : EncoderConfig
        Sizes, rates and choices.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.attention_path: Path = "sdpa"
        self.embeddings = Embeddings(config)
        self.layers = nn.ModuleList(Layer(config, index) for index in range(config.num_layers))
        has_final_norm = config.norm == "pre" and config.final_norm
        self.final_norm = make_norm(config) if has_final_norm else nn.Identity()

    def forward(
        self,
        input_ids_BL: Tensor,
        *,
        attention_mask_BL: Tensor | None = None,
        document_ids_BL: Tensor | None = None,
        token_type_ids_BL: Tensor | None = None,
        select_index_M: Tensor | None = None,
        dropout_seed: Tensor | None = None,
    ) -> Tensor:
        """Encode rows of tokens.

        Parameters
        ----------
        input_ids_BL : Tensor, int64, shape (B, L)
            Token ids.
        attention_mask_BL : Tensor, bool or int, shape (B, L), optional
            Zero at padding. For rows that hold one document each.
        document_ids_BL : Tensor, int, shape (B, L), optional
            For packed rows: 0 at padding, 1, 2, ... at the row's documents, in order. Attention
            never crosses documents and positions restart at each. Without both masks every
            token sees every token.
        token_type_ids_BL : Tensor, int64, shape (B, L), optional
            Segment of each token; None is segment 0 everywhere.
        select_index_M : Tensor, int64, shape (M,), optional
            Flat positions ``b * L + l`` of the tokens that are asked for. The last layer then does
            all but its attention for these alone; the result is the same, the work is less.
        dropout_seed : Tensor, int64, scalar, on the CPU, optional
            Fixes what is dropped in training on a CPU. None draws it from PyTorch's global
            generator.

        Returns
        -------
        Tensor, float, shape (B, L, C), or (M, C) with `select_index_M`
            Hidden vectors after the last layer. Those of padding mean nothing.

        Raises
        ------
        LengthError
            If a row that is not packed is longer than the model takes.
        ValueError
            If both masks are given.
        """
        num_tokens = input_ids_BL.shape[1]
        most = self.config.max_tokens
        if document_ids_BL is None and most is not None and num_tokens > most:
            raise LengthError(
                f"a row has {num_tokens} tokens, special tokens included, but the model has "
                f"positions for {most}: cut it, or use a model with more"
            )
        if attention_mask_BL is not None and document_ids_BL is not None:
            raise ValueError(
                "give attention_mask_BL or document_ids_BL, not both: a packed row marks its "
                "padding with document 0"
            )
        sees = None  # One full document a row needs no mask, and the fastest kernels take none.
        if attention_mask_BL is not None:
            sees = padding_mask(attention_mask_BL)
        elif document_ids_BL is not None:
            sees = document_mask(document_ids_BL)

        seed = None
        if self.training:
            seed = draw_seed(input_ids_BL.device) if dropout_seed is None else dropout_seed
        hidden = self.embeddings(
            input_ids_BL, attention_mask_BL, document_ids_BL, token_type_ids_BL, seed
        )
        everywhere, nearby = self._views(num_tokens, sees, hidden)
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            view = everywhere if self.config.sees_all(index) else nearby
            select = select_index_M if index == last else None
            # A seed for each layer, so that compiled layers have one code and share it.
            layer_seed = None if seed is None else seed + 1 + index
            hidden = layer(hidden, view, self.attention_path, layer_seed, select)
        return self.final_norm(hidden)

    def _views(self, num_tokens: int, sees: Tensor | None, hidden: Tensor) -> tuple[View, View]:
        """Return what the attention of layers that see everything needs, and of the others."""
        config, device = self.config, hidden.device
        head_width = config.hidden_size // config.num_heads
        mask, rotary, near, near_rotary = sees, None, sees, None
        if config.window is not None:
            near = window_mask(num_tokens, config.window, device)
            near = near if sees is None else near & sees
        if config.positions == "alibi":
            bias_HLL = alibi_bias(num_tokens, config.num_heads, device)
            mask = bias_mask(bias_HLL, sees)
            near = bias_mask(bias_HLL, near) if config.window is not None else mask
        elif config.positions == "rotary":
            rotary = rotary_tables(num_tokens, head_width, config.rotary_base, device)
            if config.window is not None:
                near_rotary = rotary_tables(
                    num_tokens, head_width, config.local_rotary_base, device
                )
        return View(mask, rotary), View(near, near_rotary)


def compile_layers(layers: nn.ModuleList, *, num_shapes: int = 1) -> None:
    """Let torch.compile fuse each layer, in place.

    All layers have the same code, so it is compiled once for all but the last (which may be asked
    for selected tokens only), in a fraction of the time that the whole model would take; and once
    more for each shape that comes up.

    Parameters
    ----------
    layers : nn.ModuleList
        What to compile.
    num_shapes : int
        How many shapes of batches will come up. torch.compile gives up after 8 compilations of one
        function by default, and each shape needs some (in training and evaluation, with
        and without selected tokens).
    """
    limit = torch._dynamo.config.recompile_limit
    torch._dynamo.config.recompile_limit = max(limit, 8 * num_shapes)
    for layer in layers:
        layer.compile(dynamic=False)


class Layer(nn.Module):
    """Attention and a feed-forward part, each added to the stream and normalised."""

    def __init__(self, config: EncoderConfig, index: int) -> None:
        super().__init__()
        self.config = config
        width, inner = config.hidden_size, config.intermediate_size
        # Rows: all queries, all keys, all values.
        self.qkv = nn.Linear(width, 3 * width, bias=config.attention_bias)
        self.attention_output = nn.Linear(width, width, bias=config.attention_bias)
        has_norm = config.norm == "post" or config.first_norm or index > 0
        self.attention_norm = make_norm(config) if has_norm else nn.Identity()
        # Rows, where gated: the half that is activated, then the half that it multiplies.
        self.up = nn.Linear(width, inner * (1 + config.is_gated), bias=config.up_bias)
        self.down = nn.Linear(inner, width, bias=config.down_bias)
        self.feed_forward_norm = make_norm(config)

    def forward(
        self,
        hidden_BLC: Tensor,
        view: View,
        path: Path,
        seed: Tensor | None,
        select_index_M: Tensor | None = None,
    ) -> Tensor:
        """Return the stream after this layer, (B, L, C), or (M, C) for selected tokens."""
        pre = self.config.norm == "pre"
        stream = hidden_BLC
        mixed = self._attend(self.attention_norm(stream) if pre else stream, view, path, seed)
        if select_index_M is not None:
            # All tokens were looked at; from here on every token is on its own.
            stream = select_tokens(stream, select_index_M)
            mixed = select_tokens(mixed, select_index_M)
        rate = self.config.hidden_dropout
        stream = stream + dropout(self.attention_output(mixed), rate, seed, 1)
        if pre:
            return stream + self._feed_forward(self.feed_forward_norm(stream), seed)
        stream = self.attention_norm(stream)
        return self.feed_forward_norm(stream + self._feed_forward(stream, seed))

    def _attend(self, hidden_BLC: Tensor, view: View, path: Path, seed: Tensor | None) -> Tensor:
        q_BHLD, k_BHLD, v_BHLD = (
            part.unflatten(-1, (self.config.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(hidden_BLC).chunk(3, dim=-1)
        )
        if view.rotary_2LD is not None:
            q_BHLD, k_BHLD = turn(q_BHLD, view.rotary_2LD), turn(k_BHLD, view.rotary_2LD)
        mask = view.mask
        if mask is not None and mask.is_floating_point():
            mask = mask.to(q_BHLD.dtype)
        mixed_BHLD = attention(
            q_BHLD,
            k_BHLD,
            v_BHLD,
            mask=mask,
            dropout_p=self.config.attention_dropout,
            dropout_seed=seed,
            dropout_place=0,
            path=path,
        )
        return mixed_BHLD.transpose(1, 2).flatten(2)

    def _feed_forward(self, hidden: Tensor, seed: Tensor | None) -> Tensor:
        rate = self.config.hidden_dropout
        if not self.config.is_gated:
            return dropout(self.down(F.gelu(self.up(hidden))), rate, seed, 2)
        active, linear = self.up(hidden).chunk(2, dim=-1)
        active = F.gelu(active) if self.config.activation == "geglu" else F.silu(active)
        return self.down(dropout(active * linear, rate, seed, 2))


class Embeddings(nn.Module):
    """Sum of token, position and type embeddings, as far as there are these, normalised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        width, pad = config.hidden_size, config.pad_token_id
        self.word = Lookup(config.vocab_size, width, padding_idx=pad)
        if config.positions == "learned":
            skips_padding = config.family in ("roberta", "esm")
            self.position = Lookup(
                config.max_positions, width, padding_idx=pad if skips_padding else None
            )
        if config.type_vocab_size:
            self.token_type = Lookup(config.type_vocab_size, width)
        self.norm = make_norm(config) if config.embedding_norm else nn.Identity()

    def forward(
        self,
        input_ids_BL: Tensor,
        attention_mask_BL: Tensor | None,
        document_ids_BL: Tensor | None,
        token_type_ids_BL: Tensor | None,
        seed: Tensor | None,
    ) -> Tensor:
        """Return the first hidden vectors, (B, L, C)."""
        config = self.config
        hidden_BLC = self.word(input_ids_BL)
        if config.token_dropout:
            hidden_BLC = hidden_BLC * self._token_scale(
                input_ids_BL, attention_mask_BL, document_ids_BL
            )
        if config.type_vocab_size:
            if token_type_ids_BL is None:
                hidden_BLC = hidden_BLC + self.token_type.weight[0]
            else:
                hidden_BLC = hidden_BLC + self.token_type(token_type_ids_BL)
        if config.positions == "learned":
            position_BL = number_positions(input_ids_BL, document_ids_BL, config)
            hidden_BLC = hidden_BLC + self.position(position_BL)
        return dropout(self.norm(hidden_BLC), config.hidden_dropout, seed, 0)

    def _token_scale(
        self,
        input_ids_BL: Tensor,
        attention_mask_BL: Tensor | None,
        document_ids_BL: Tensor | None,
    ) -> Tensor:
        """Return what each token's embedding is multiplied by, (B, L, 1); masked ones by zero.

        The others are scaled by the share of tokens left in training, 1 - 0.15 * 0.8, over that
        in their document.

        References
        ----------
        facebookresearch/esm, `ESM1.forward`; transformers `EsmEmbeddings`.
        """
        is_mask_BL: Tensor = input_ids_BL == self.config.mask_token_id  # type: ignore[assignment]
        masked_BL = is_mask_BL.float()
        if document_ids_BL is None:
            counts = attention_mask_BL
            tokens_BL = torch.ones_like(masked_BL) if counts is None else counts.float()
            share = masked_BL.sum(1, keepdim=True) / tokens_BL.sum(1, keepdim=True)
        else:
            same_BLL = (document_ids_BL[:, :, None] == document_ids_BL[:, None, :]).float()
            share = (same_BLL @ masked_BL[:, :, None]).squeeze(-1) / same_BLL.sum(-1)
        left = (1 - 0.15 * 0.8) / (1 - share).clamp(min=1e-6)
        return ((1 - masked_BL) * left)[:, :, None].to(self.word.weight.dtype)


def make_norm(config: EncoderConfig) -> nn.LayerNorm:
    """Return a LayerNorm over the width of the model."""
    return nn.LayerNorm(config.hidden_size, eps=config.norm_eps, bias=config.norm_bias)


def select_tokens(hidden_BLC: Tensor, index_M: Tensor) -> Tensor:
    """Return the hidden vectors at flat positions ``b * L + l``, shape (M, C)."""
    return hidden_BLC.flatten(0, 1).index_select(0, index_M)
