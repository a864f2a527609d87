"""Operations against PyTorch's own counter, trained values against built models."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from helixlm.models.config import EncoderConfig
from helixlm.models.cost import count_parameters, multiply_adds, training_flops
from helixlm.models.heads import build_language_model
from helixlm.models.hyena_config import HyenaConfig
from helixlm.models.init import initialise

SIZES = {
    "vocab_size": 17, "hidden_size": 24, "num_heads": 3, "intermediate_size": 40,
    "max_positions": 64, "pad_token_id": 1, "hidden_dropout": 0.0, "attention_dropout": 0.0,
}  # fmt: skip
KINDS = {
    "roberta": {},
    "esm": {"family": "esm", "norm": "pre", "type_vocab_size": 0, "tied_decoder": False},
    "gated": {"family": "helixlm", "activation": "swiglu", "positions": "alibi", "up_bias": False},
    "bare": {
        "family": "modernbert", "norm": "pre", "first_norm": False, "activation": "geglu",
        "positions": "rotary", "type_vocab_size": 0, "attention_bias": False, "up_bias": False,
        "down_bias": False, "norm_bias": False, "head_bias": False,
    },
}  # fmt: skip


def make(config):
    model = build_language_model(config)
    initialise(model, config, torch.Generator().manual_seed(0))
    if isinstance(config, EncoderConfig):
        # PyTorch's counter does not know every fused kernel.
        model.encoder.attention_path = "reference"
    return model


@pytest.mark.parametrize("masked", [1, 9, 60])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_of_an_encoder(kind, layers, masked):
    config = EncoderConfig(num_layers=layers, **(SIZES | KINDS[kind]))
    model = make(config)
    rows, tokens = 3, 20
    ids = torch.randint(5, 17, (rows, tokens), generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter:
        model(ids, masked_index_M=torch.arange(masked)).sum().backward()
    ours = training_flops(config, num_rows=rows, row_tokens=tokens, num_masked=masked)
    assert counter.get_total_flops() == pytest.approx(ours, rel=1e-9)


@pytest.mark.parametrize("layers", [1, 3])
def test_a_forward_pass_of_hyenadna(layers):
    config = HyenaConfig(
        vocab_size=16, hidden_size=24, num_layers=layers, intermediate_size=96, max_positions=40
    )
    model = make(config).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 30, dtype=torch.int64))
    parts = multiply_adds(config, 30)
    parts.pop("long convolutions")  # the counter knows no Fourier transforms
    # The short filters run over two tokens more, which are cut off.
    extra = layers * 2 * 3 * 3 * 24
    assert counter.get_total_flops() == 2 * (sum(parts.values()) + extra)


@pytest.mark.parametrize(("tokens", "window"), [(5, 9), (30, 4), (30, 29), (9, 1)])
def test_pairs_within_a_window(tokens, window):
    shape = {"family": "helixlm", "positions": "rotary", "num_layers": 3} | SIZES
    all_seen = EncoderConfig(**shape)
    near = EncoderConfig(global_every=3, window=window, **shape)
    pairs = sum(abs(i - j) <= window for i in range(tokens) for j in range(tokens))
    found = multiply_adds(near, tokens)["scores"]
    assert found == 2 * 24 * (tokens * tokens + 2 * pairs)
    assert multiply_adds(all_seen, tokens)["scores"] == 2 * 24 * 3 * tokens * tokens


@pytest.mark.parametrize("kind", KINDS)
def test_trained_values(kind):
    config = EncoderConfig(num_layers=3, **(SIZES | KINDS[kind]))
    model = make(config)
    found = count_parameters(config)
    assert sum(found.values()) == sum(p.numel() for p in model.parameters())
    by_module = {
        "embeddings": model.encoder.embeddings, "head": model.head,
    }  # fmt: skip
    for part, module in by_module.items():
        assert found[part] == sum(p.numel() for p in module.parameters())
