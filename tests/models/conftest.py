"""Tiny models, ours and those of transformers, with weights that are all random."""

from collections.abc import Callable

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    EsmConfig,
    EsmForMaskedLM,
    EsmForSequenceClassification,
    ModernBertConfig,
    ModernBertForMaskedLM,
    ModernBertForSequenceClassification,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
)

from helixlm.models.config import EncoderConfig

CLASSES = {
    ("roberta", "masked"): (RobertaConfig, RobertaForMaskedLM),
    ("bert", "masked"): (BertConfig, BertForMaskedLM),
    ("roberta", "sequence"): (RobertaConfig, RobertaForSequenceClassification),
    ("bert", "sequence"): (BertConfig, BertForSequenceClassification),
    ("esm", "masked"): (EsmConfig, EsmForMaskedLM),
    ("esm", "sequence"): (EsmConfig, EsmForSequenceClassification),
    ("modernbert", "masked"): (ModernBertConfig, ModernBertForMaskedLM),
    ("modernbert", "sequence"): (ModernBertConfig, ModernBertForSequenceClassification),
}
ONLY = {
    "esm": {"pad_token_id": 1, "mask_token_id": 4},
    # Layers 0 and 2 see everything, 1 sees three tokens on each side.
    "modernbert": {
        "pad_token_id": 1,
        "num_hidden_layers": 3,
        "global_attn_every_n_layers": 2,
        "local_attention": 6,
    },
}
OURS = {
    "esm": {"norm": "pre", "type_vocab_size": 0, "embedding_norm": False, "tied_decoder": False},
    "modernbert": {
        "positions": "rotary",
        "norm": "pre",
        "first_norm": False,
        "activation": "geglu",
        "type_vocab_size": 0,
        "global_every": 2,
        "window": 3,
        "rotary_base": 160_000.0,
        "norm_bias": False,
        "head_bias": False,
    },
    "helixlm": {"positions": "alibi", "activation": "swiglu", "norm": "pre", "pooling": "mean"},
}


@pytest.fixture
def tiny_config() -> Callable[..., EncoderConfig]:
    """Make a configuration with 2 layers, 3 heads and 37 tokens; "helixlm" has no stock class."""

    def make(family: str = "roberta", **changes) -> EncoderConfig:
        pad = 0 if family == "bert" else 1
        return EncoderConfig(
            **{
                "family": family,
                "vocab_size": 37,
                "hidden_size": 24,
                "num_layers": 2,
                "num_heads": 3,
                "intermediate_size": 40,
                "max_positions": 34,
                "pad_token_id": pad,
                "hidden_dropout": 0.0,
                "attention_dropout": 0.0,
                **OURS.get(family, {}),
                **changes,
            }
        )

    return make


@pytest.fixture
def tiny_hf() -> Callable[..., PreTrainedModel]:
    """Make a stock model of transformers: biases, norms and padding rows random as well."""

    def make(family: str, head: str = "masked", **changes) -> PreTrainedModel:
        config_class, model_class = CLASSES[family, head]
        config = config_class(
            **{
                "vocab_size": 37,
                "hidden_size": 24,
                "num_hidden_layers": 2,
                "num_attention_heads": 3,
                "intermediate_size": 40,
                "max_position_embeddings": 34,
                "hidden_dropout_prob": 0.0,
                "attention_probs_dropout_prob": 0.0,
                "num_labels": 3,
                **ONLY.get(family, {}),
                **changes,
            }
        )
        model = model_class(config).eval()
        generator = torch.Generator().manual_seed(5)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.2)
        return model

    return make
