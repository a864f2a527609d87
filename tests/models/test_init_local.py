"""Local initialisation: what attention sees at the start, and that BERT's rule is untouched."""

import pytest
import torch

from helixlm.models.config import EncoderConfig
from helixlm.models.convert import config_from_hf, config_to_hf
from helixlm.models.heads import MaskedLM
from helixlm.models.init import POSITION_SHARE, SELF_SCORE, initialise


def fresh(**changes):
    settings = {
        "vocab_size": 30,
        "hidden_size": 96,
        "num_layers": 2,
        "num_heads": 3,
        "intermediate_size": 64,
        "max_positions": 130,
        "pad_token_id": 1,
        "initialisation": "local",
    }
    config = EncoderConfig(**{**settings, **changes})
    model = MaskedLM(config)
    initialise(model, config, torch.Generator().manual_seed(0))
    return model.eval()


def attention_by_distance(model, ids_BL):
    """Mean attention weight of the first layer by distance, from its definition."""
    encoder = model.encoder
    with torch.no_grad():
        hidden = encoder.embeddings(ids_BL, None, None, None)
        q, k, _ = encoder.layers[0].qkv(hidden).chunk(3, dim=-1)
        q, k = (x.unflatten(-1, (3, 32)).transpose(1, 2) for x in (q, k))
        score = q @ k.transpose(-1, -2) / 32**0.5
    weight = score.softmax(-1).mean((0, 1))
    return score.diagonal(dim1=-2, dim2=-1).mean().item(), [
        weight.diagonal(d).mean().item() for d in range(40)
    ]


def test_attention_begins_at_the_nearest_tokens():
    ids = torch.randint(5, 30, (4, 120), generator=torch.Generator().manual_seed(1))
    own, local = attention_by_distance(fresh(), ids)
    assert own == pytest.approx(SELF_SCORE, rel=0.15)
    assert local[0] > local[1] > local[3] > local[10]
    assert local[0] + 2 * sum(local[1:4]) > 0.5
    _, uniform = attention_by_distance(fresh(initialisation="normal"), ids)
    assert max(uniform) < 2 / 120


def test_positions_are_larger_than_tokens_and_padding_stays_zero():
    embeddings = fresh().encoder.embeddings
    tokens, positions = (e.weight.detach() for e in (embeddings.word, embeddings.position))
    rms = positions[2:].pow(2).mean().sqrt() / tokens[2:].pow(2).mean().sqrt()
    assert rms.item() == pytest.approx(POSITION_SHARE, rel=0.1)
    assert positions[1].abs().max() == 0
    bert = fresh(family="bert").encoder.embeddings.position.weight
    assert bert.abs().sum(1).min() > 0


def test_the_same_seed_gives_the_same_weights_and_the_choice_is_kept():
    one, two = fresh().state_dict(), fresh().state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert config_from_hf(config_to_hf(fresh())).initialisation == "local"
