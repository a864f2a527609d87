"""Models: an encoder with a head for masked tokens, for the next token, or for whole sequences.

Comes in: token ids and masks, as in `encoder.py`. Goes out: logits in float32. Losses are
computed by whoever trains.

Shape letters: B rows, L tokens in a row, C width of the model, V vocabulary size, M selected
tokens, K labels.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helixlm.models.config import EncoderConfig
from helixlm.models.dropout import draw_seed
from helixlm.models.dropout import dropout as drop
from helixlm.models.encoder import Encoder, make_norm
from helixlm.models.hyena import Hyena
from helixlm.models.hyena_config import HyenaConfig


class MaskedLM(nn.Module):
    """Encoder that predicts the token at every asked position.

    The decoder is the token embedding itself, one weight used twice, unless `tied_decoder` is off.

    Parameters
    ----------
    config : EncoderConfig
        Shape of the encoder.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.head = MaskedHead(config)

    def forward(
        self,
        input_ids_BL: Tensor,
        *,
        attention_mask_BL: Tensor | None = None,
        document_ids_BL: Tensor | None = None,
        token_type_ids_BL: Tensor | None = None,
        masked_index_M: Tensor | None = None,
        dropout_seed: Tensor | None = None,
    ) -> Tensor:
        """Predict tokens.

        Parameters
        ----------
        input_ids_BL, attention_mask_BL, document_ids_BL, token_type_ids_BL, dropout_seed : Tensor
            As in `Encoder.forward`.
        masked_index_M : Tensor, int64, shape (M,), optional
            Flat positions ``b * L + l`` to predict; only these pass through the head and through
            the feed-forward part of the last layer. A position may come more than once.

        Returns
        -------
        Tensor, float32, shape (B, L, V), or (M, V) with `masked_index_M`
            Logits over the vocabulary.
        """
        hidden = self.encoder(
            input_ids_BL,
            attention_mask_BL=attention_mask_BL,
            document_ids_BL=document_ids_BL,
            token_type_ids_BL=token_type_ids_BL,
            select_index_M=masked_index_M,
            dropout_seed=dropout_seed,
        )
        return self.head(hidden, self.encoder.embeddings.word.weight)


class CausalLM(nn.Module):
    """HyenaDNA that predicts the token after every asked position.

    The decoder is the token embedding itself, one weight used twice.

    Parameters
    ----------
    config : HyenaConfig
        Shape of the model.
    """

    def __init__(self, config: HyenaConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Hyena(config)

    def forward(
        self,
        input_ids_BL: Tensor,
        *,
        attention_mask_BL: Tensor | None = None,
        document_ids_BL: Tensor | None = None,
        masked_index_M: Tensor | None = None,
        dropout_seed: Tensor | None = None,
    ) -> Tensor:
        """Predict the tokens that follow.

        Parameters
        ----------
        input_ids_BL, dropout_seed : Tensor
            As in `Hyena.forward`.
        attention_mask_BL, document_ids_BL : Tensor, optional
            Not read: a row holds one document, and padding stands at its end, where nothing before
            it sees it.
        masked_index_M : Tensor, int64, shape (M,), optional
            Flat positions ``b * L + l`` whose next token is asked for.

        Returns
        -------
        Tensor, float32, shape (B, L, V), or (M, V) with `masked_index_M`
            Logits over the vocabulary.
        """
        hidden = self.encoder(
            input_ids_BL, select_index_M=masked_index_M, dropout_seed=dropout_seed
        )
        return F.linear(hidden, self.encoder.word.weight).float()


LanguageModel = MaskedLM | CausalLM
"""What is pretrained."""


def build_language_model(config: EncoderConfig | HyenaConfig) -> LanguageModel:
    """Return the model that a configuration describes, its weights not yet set."""
    return CausalLM(config) if isinstance(config, HyenaConfig) else MaskedLM(config)


class MaskedHead(nn.Module):
    """Dense layer, GELU, LayerNorm, then likeness to every row of a matrix (V, C), and a bias."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size, bias=config.head_bias)
        self.norm = make_norm(config)
        self.decoder = None
        if not config.tied_decoder:
            self.decoder = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden: Tensor, embedding_VC: Tensor) -> Tensor:
        """Return logits, float32, (..., V), of hidden vectors (..., C)."""
        hidden = self.norm(F.gelu(self.dense(hidden)))
        matrix_VC = embedding_VC if self.decoder is None else self.decoder.weight
        return F.linear(hidden, matrix_VC, self.bias).float()


class SequenceClassifier(nn.Module):
    """Encoder that gives each sequence one of K labels, from one vector: see `pooling`.

    Parameters
    ----------
    config : EncoderConfig or HyenaConfig
        Shape of the encoder.
    num_labels : int
        K.
    dropout : float, optional
        Dropout in the head; None takes that of the hidden vectors, or of the embeddings.
    labels : sequence of str, optional
        Names of the labels, saved with the model; None names them LABEL_0, LABEL_1, ...

    Raises
    ------
    ValueError
        If `labels` are not as many as `num_labels`.
    """

    def __init__(
        self,
        config: EncoderConfig | HyenaConfig,
        num_labels: int,
        dropout: float | None = None,
        labels: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        self.num_labels = num_labels
        self.dropout = config.usual_dropout if dropout is None else dropout
        self.labels = tuple(labels or (f"LABEL_{k}" for k in range(num_labels)))
        if len(self.labels) != num_labels:
            raise ValueError(f"{len(self.labels)} label names for {num_labels} labels")
        self.encoder = Hyena(config) if isinstance(config, HyenaConfig) else Encoder(config)
        self.head = SequenceHead(config, num_labels, self.dropout)

    def forward(
        self,
        input_ids_BL: Tensor,
        *,
        attention_mask_BL: Tensor | None = None,
        token_type_ids_BL: Tensor | None = None,
        dropout_seed: Tensor | None = None,
    ) -> Tensor:
        """Classify sequences, one a row.

        Parameters
        ----------
        input_ids_BL, attention_mask_BL, token_type_ids_BL, dropout_seed : Tensor
            As in `Encoder.forward`.

        Returns
        -------
        Tensor, float32, shape (B, K)
            Logits of the labels.
        """
        if self.training and dropout_seed is None:
            dropout_seed = draw_seed(input_ids_BL.device)
        index_B = None
        if self.config.pooling != "mean":
            index_B = read_index(input_ids_BL, attention_mask_BL, self.config.pooling)
        if isinstance(self.encoder, Hyena):
            hidden = self.encoder(input_ids_BL, select_index_M=index_B, dropout_seed=dropout_seed)
        else:
            hidden = self.encoder(
                input_ids_BL,
                attention_mask_BL=attention_mask_BL,
                token_type_ids_BL=token_type_ids_BL,
                select_index_M=index_B,
                dropout_seed=dropout_seed,
            )
        if index_B is None:
            hidden = mean_of_tokens(hidden, attention_mask_BL)
        return self.head(hidden, dropout_seed if self.training else None)


def read_index(
    input_ids_BL: Tensor, attention_mask_BL: Tensor | None, pooling: Literal["first", "last"]
) -> Tensor:
    """Return the flat position of the token of each row that a sequence head reads, int64, (B,)."""
    num_rows, num_tokens = input_ids_BL.shape
    first_B = torch.arange(num_rows, device=input_ids_BL.device) * num_tokens
    if pooling == "first":
        return first_B
    if attention_mask_BL is None:
        return first_B + num_tokens - 1
    return first_B + attention_mask_BL.sum(1) - 1


def mean_of_tokens(hidden_BLC: Tensor, attention_mask_BL: Tensor | None) -> Tensor:
    """Return the mean hidden vector of the tokens that are no padding, (B, C)."""
    if attention_mask_BL is None:
        return hidden_BLC.mean(1)
    weight_BL1 = attention_mask_BL[:, :, None].to(hidden_BLC.dtype)
    return (hidden_BLC * weight_BL1).sum(1) / weight_BL1.sum(1)


class SequenceHead(nn.Module):
    """Dense layer, non-linearity, output; kinds differ in the middle and in what is dropped.

    HyenaDNA's has the output alone.

    ========== ======================================== ===========================
    kind       middle                                   dropout before
    ========== ======================================== ===========================
    roberta    tanh                                     the dense layer, the output
    bert       tanh (dense layer and tanh: the pooler)  the output
    modernbert GELU, LayerNorm                          the output
    dnagrinder LayerNorm, GELU                          the output
    ========== ======================================== ===========================
    """

    def __init__(
        self, config: EncoderConfig | HyenaConfig, num_labels: int, dropout: float
    ) -> None:
        super().__init__()
        self.kind = "linear" if isinstance(config, HyenaConfig) else config.sequence_head
        if isinstance(config, EncoderConfig):
            self.dense = nn.Linear(config.hidden_size, config.hidden_size, bias=config.head_bias)
        if isinstance(config, EncoderConfig) and self.kind in ("modernbert", "dnagrinder"):
            self.norm = make_norm(config)
        self.output = nn.Linear(config.hidden_size, num_labels)
        self.input_dropout = dropout if self.kind == "roberta" else 0.0
        self.output_dropout = dropout

    def forward(self, hidden_BC: Tensor, seed: Tensor | None = None) -> Tensor:
        """Return logits, float32, (B, K); with a seed, values are dropped."""
        if self.kind != "linear":
            hidden_BC = self.dense(drop(hidden_BC, self.input_dropout, seed, -1))
        if self.kind == "modernbert":
            hidden_BC = self.norm(F.gelu(hidden_BC))
        elif self.kind == "dnagrinder":
            hidden_BC = F.gelu(self.norm(hidden_BC))
        elif self.kind != "linear":
            hidden_BC = torch.tanh(hidden_BC)
        return self.output(drop(hidden_BC, self.output_dropout, seed, -2)).float()
