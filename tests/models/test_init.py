"""Fresh weights: their distribution, their zeros, and that a seed fixes them."""

import pytest
import torch
from transformers import RobertaConfig, RobertaForMaskedLM

from helixlm.models.convert import state_to_hf
from helixlm.models.heads import MaskedLM, SequenceClassifier
from helixlm.models.init import initialise


def fresh(config, seed=0, dtype=torch.float32):
    model = MaskedLM(config).to(dtype)
    initialise(model, config, torch.Generator().manual_seed(seed))
    return model


@pytest.mark.parametrize("family", ["roberta", "bert"])
def test_every_parameter(tiny_config, family):
    config = tiny_config(family, vocab_size=400, hidden_size=60, initializer_range=0.05)
    for name, parameter in fresh(config).named_parameters():
        if name.endswith("norm.weight"):
            assert (parameter == 1).all(), name
        elif name.endswith("bias"):
            assert (parameter == 0).all(), name
        else:
            spread = parameter.std().item()
            assert spread == pytest.approx(0.05, rel=5 / parameter.numel() ** 0.5 + 0.04), name
            assert abs(parameter.mean().item()) < 6 * 0.05 / parameter.numel() ** 0.5, name
    word = fresh(config).encoder.embeddings.word.weight
    assert (word[config.pad_token_id] == 0).all()
    assert (word[config.pad_token_id + 1] != 0).any()
    position = fresh(config).encoder.embeddings.position.weight
    assert (position[config.pad_token_id] == 0).all().item() == (family == "roberta")


def test_zeros_and_ones_where_transformers_has_them(tiny_config):
    config = tiny_config()
    hf_model = RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=37,
            hidden_size=24,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=40,
            max_position_embeddings=34,
        )
    )
    ours = state_to_hf(fresh(config))
    for name, tensor in hf_model.named_parameters():
        for constant in (0.0, 1.0):
            assert torch.equal(ours[name] == constant, tensor == constant), name


def test_the_seed_fixes_the_weights(tiny_config):
    config = tiny_config()
    one, same, other = fresh(config), fresh(config), fresh(config, seed=1)
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter, same.get_parameter(name))
        if parameter.std() > 0:
            assert not torch.equal(parameter, other.get_parameter(name))
    half = fresh(config, dtype=torch.bfloat16)
    for name, parameter in one.named_parameters():
        assert torch.equal(parameter.bfloat16(), half.get_parameter(name))


def test_global_random_state_is_left_alone(tiny_config):
    model = SequenceClassifier(tiny_config(), 2)
    before = torch.get_rng_state()
    initialise(model, model.config, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.get_rng_state())
