"""EncoderConfig: what it refuses; parameter counts against published ones and transformers."""

import pytest
import torch
from pydantic import ValidationError
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaForSequenceClassification,
)

from helixlm.models.config import EncoderConfig, num_parameters
from helixlm.models.heads import MaskedLM, SequenceClassifier

BASE = {"hidden_size": 768, "num_layers": 12, "num_heads": 12, "intermediate_size": 3072}


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())  # shared ones come once


@pytest.mark.parametrize(
    ("k", "published"), [(3, 86_095_941), (4, 86_243_589), (5, 86_834_181), (6, 89_196_549)]
)
def test_dnabert_sizes(k, published):
    vocab_size = 4**k + 5
    config = EncoderConfig(
        family="bert", vocab_size=vocab_size, max_positions=512, pad_token_id=0, **BASE
    )
    with torch.device("meta"):
        hf_model = BertForMaskedLM(BertConfig(vocab_size=vocab_size))
        ours = MaskedLM(config)
    assert num_parameters(config) == count(hf_model) == count(ours) == published


def test_tinydnabert_size():
    config = EncoderConfig(
        vocab_size=1024,
        hidden_size=512,
        num_layers=6,
        num_heads=8,
        intermediate_size=2048,
        max_positions=514,
        pad_token_id=1,
    )
    with torch.device("meta"):
        hf_model = RobertaForMaskedLM(
            RobertaConfig(
                vocab_size=1024,
                max_position_embeddings=514,
                hidden_size=512,
                num_hidden_layers=6,
                num_attention_heads=8,
                intermediate_size=2048,
            )
        )
        ours = MaskedLM(config)
    assert num_parameters(config) == count(hf_model) == count(ours) == 19_968_512


@pytest.mark.parametrize(
    ("family", "config_class", "model_class"),
    [
        ("roberta", RobertaConfig, RobertaForSequenceClassification),
        ("bert", BertConfig, BertForSequenceClassification),
    ],
)
def test_classifier_sizes(family, config_class, model_class):
    config = EncoderConfig(family=family, vocab_size=69, max_positions=512, pad_token_id=0, **BASE)
    with torch.device("meta"):
        hf_model = model_class(config_class(vocab_size=69, num_labels=5))
        ours = SequenceClassifier(config, 5)
    assert num_parameters(config, "sequence", 5) == count(hf_model) == count(ours)
    assert num_parameters(config, None) == count(ours.encoder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_heads": 5}, "hidden_size 24 is no multiple of num_heads 5"),
        ({"pad_token_id": 37}, "pad_token_id 37 is outside the vocabulary of 37"),
        ({"max_positions": 2}, "max_positions 2 leaves no row for a token"),
        ({"activation": "relu"}, "Input should be 'gelu'"),
        ({"norm": "pre"}, "family 'roberta' has norm 'post', found 'pre'"),
        ({"positions": "rotary"}, "family 'roberta' has positions 'learned'"),
        ({"hidden_dropout": 1.0}, "less than 1"),
        ({"layers": 3}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_fit_is_refused(tiny_config, changes, message):
    with pytest.raises(ValidationError, match=message):
        tiny_config(**changes)


def test_longest_document(tiny_config):
    assert tiny_config("roberta", max_positions=514).max_tokens == 512
    assert tiny_config("bert", max_positions=512).max_tokens == 512


def test_it_cannot_change(tiny_config):
    with pytest.raises(ValidationError, match="frozen"):
        tiny_config().num_layers = 3
