"""The encoder: token ids in, one vector a token out.

BERT and RoBERTa, from top to bottom: `Encoder` adds up embeddings of token, position and type and
sends them through `Layer`s, in which every token first looks at the others (attention) and is
then worked on alone (feed-forward). Each part's output is added to the stream of hidden vectors,
and LayerNorm follows the sum.

Rows may be padded (`attention_mask_BL`) or packed with several documents (`document_ids_BL`);
either way each document gets the output that it gets alone. All shapes are static, so the
module compiles into one graph. Weights are set by `init.initialise` or by `convert`, heads are in
`heads.py`.

Shape letters: B rows, L tokens in a row, C width of the model, H heads, D width of a head,
M selected tokens.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helixlm.errors import InputError
from helixlm.models.attention import Path, attention, document_mask, padding_mask
from helixlm.models.config import EncoderConfig
from helixlm.models.dropout import draw_seed, dropout
from helixlm.models.lookup import Lookup


class LengthError(InputError):
    """A row is longer than the positions of the model reach."""


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
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.num_layers))

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
        if document_ids_BL is None and num_tokens > self.config.max_tokens:
            raise LengthError(
                f"a row has {num_tokens} tokens, special tokens included, but the model has "
                f"positions for {self.config.max_tokens}: cut it, or use a model with more"
            )
        if attention_mask_BL is not None and document_ids_BL is not None:
            raise ValueError(
                "give attention_mask_BL or document_ids_BL, not both: a packed row marks its "
                "padding with document 0"
            )
        mask = None  # One full document a row needs none, and the fastest kernels take none.
        if attention_mask_BL is not None:
            mask = padding_mask(attention_mask_BL)
        elif document_ids_BL is not None:
            mask = document_mask(document_ids_BL)

        seed = None
        if self.training:
            seed = draw_seed(input_ids_BL.device) if dropout_seed is None else dropout_seed
        hidden = self.embeddings(input_ids_BL, document_ids_BL, token_type_ids_BL, seed)
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            select = select_index_M if index == last else None
            # A seed for each layer, so that compiled layers have one code and share it.
            layer_seed = None if seed is None else seed + 1 + index
            hidden = layer(hidden, mask, self.attention_path, layer_seed, select)
        return hidden


def compile_layers(encoder: Encoder) -> None:
    """Let torch.compile fuse each layer, in place; shapes must not change afterwards.

    All layers have the same code, so it is compiled once for all but the last (which may be asked
    for selected tokens only), in a fraction of the time that the whole model would take.
    """
    for layer in encoder.layers:
        layer.compile(dynamic=False)


class Layer(nn.Module):
    """Attention and a feed-forward part, each added to the stream and normalised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.num_heads = config.num_heads
        self.attention_dropout = config.attention_dropout
        self.hidden_dropout = config.hidden_dropout
        self.qkv = nn.Linear(width, 3 * width)  # rows: all queries, all keys, all values
        self.attention_output = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=config.norm_eps)
        self.up = nn.Linear(width, config.intermediate_size)
        self.down = nn.Linear(config.intermediate_size, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=config.norm_eps)

    def forward(
        self,
        hidden_BLC: Tensor,
        mask: Tensor | None,
        path: Path,
        seed: Tensor | None,
        select_index_M: Tensor | None = None,
    ) -> Tensor:
        """Return the stream after this layer, (B, L, C), or (M, C) for selected tokens."""
        hidden, mixed = hidden_BLC, self._attend(hidden_BLC, mask, path, seed)
        if select_index_M is not None:
            # All tokens were looked at; from here on every token is on its own.
            hidden = select_tokens(hidden, select_index_M)
            mixed = select_tokens(mixed, select_index_M)
        update = dropout(self.attention_output(mixed), self.hidden_dropout, seed, 1)
        hidden = self.attention_norm(hidden + update)
        update = dropout(self._feed_forward(hidden), self.hidden_dropout, seed, 2)
        return self.feed_forward_norm(hidden + update)

    def _attend(
        self, hidden_BLC: Tensor, mask: Tensor | None, path: Path, seed: Tensor | None
    ) -> Tensor:
        q_BHLD, k_BHLD, v_BHLD = (
            part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for part in self.qkv(hidden_BLC).chunk(3, dim=-1)
        )
        mixed_BHLD = attention(
            q_BHLD,
            k_BHLD,
            v_BHLD,
            mask=mask,
            dropout_p=self.attention_dropout,
            dropout_seed=seed,
            dropout_place=0,
            path=path,
        )
        return mixed_BHLD.transpose(1, 2).flatten(2)

    def _feed_forward(self, hidden: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(hidden)))


class Embeddings(nn.Module):
    """Sum of token, position and type embeddings, normalised."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        width, pad = config.hidden_size, config.pad_token_id
        self.word = Lookup(config.vocab_size, width, padding_idx=pad)
        self.position = Lookup(
            config.max_positions, width, padding_idx=pad if config.family == "roberta" else None
        )
        self.token_type = Lookup(config.type_vocab_size, width)
        self.norm = nn.LayerNorm(width, eps=config.norm_eps)

    def forward(
        self,
        input_ids_BL: Tensor,
        document_ids_BL: Tensor | None,
        token_type_ids_BL: Tensor | None,
        seed: Tensor | None,
    ) -> Tensor:
        """Return the first hidden vectors, (B, L, C)."""
        position_BL = number_positions(input_ids_BL, document_ids_BL, self.config)
        if token_type_ids_BL is None:
            token_type = self.token_type.weight[0]
        else:
            token_type = self.token_type(token_type_ids_BL)
        hidden_BLC = self.word(input_ids_BL) + token_type + self.position(position_BL)
        return dropout(self.norm(hidden_BLC), self.config.hidden_dropout, seed, 0)


def number_positions(
    input_ids_BL: Tensor, document_ids_BL: Tensor | None, config: EncoderConfig
) -> Tensor:
    """Return the position row of every token.

    BERT numbers the tokens of a document from 0. RoBERTa leaves out tokens with the id
    `pad_token_id`, numbers the others from ``pad_token_id + 1``, and gives those left out the row
    `pad_token_id`. Where that id is a real token, as ``</s>`` in the published TinyDNABERT, the
    rule holds all the same.

    Parameters
    ----------
    input_ids_BL : Tensor, int64, shape (B, L)
        Token ids.
    document_ids_BL : Tensor, int, shape (B, L), optional
        Documents of packed rows, in order; positions restart at each. None: one a row.
    config : EncoderConfig
        `family` and `pad_token_id` are read.

    Returns
    -------
    Tensor, int64, shape (B, L)
        Rows of the position embedding.

    References
    ----------
    transformers `RobertaEmbeddings.create_position_ids_from_input_ids`, after fairseq.
    """
    if config.family == "roberta":
        counted_BL = (input_ids_BL != config.pad_token_id).long()
    else:
        counted_BL = torch.ones_like(input_ids_BL)
    count_BL = counted_BL.cumsum(1)  # tokens counted so far, this one included
    if document_ids_BL is not None:
        before = F.pad(document_ids_BL[:, :-1], (1, 0), value=-1)
        earlier_BL = (count_BL - counted_BL) * (document_ids_BL != before)
        # The count at a document's start holds until the next start, as it never falls.
        count_BL = count_BL - earlier_BL.cummax(1).values
        counted_BL = counted_BL * (document_ids_BL > 0)
    if config.family == "roberta":
        return count_BL * counted_BL + config.pad_token_id
    return (count_BL - 1) * counted_BL


def select_tokens(hidden_BLC: Tensor, index_M: Tensor) -> Tensor:
    """Return the hidden vectors at flat positions ``b * L + l``, shape (M, C)."""
    return hidden_BLC.flatten(0, 1).index_select(0, index_M)
