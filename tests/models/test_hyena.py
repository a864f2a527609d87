"""HyenaDNA against its formula, written as loops over positions."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from helixlm.models.encoder import LengthError
from helixlm.models.heads import CausalLM, SequenceClassifier
from helixlm.models.hyena import Hyena, HyenaFilter, convolve
from helixlm.models.hyena_config import HyenaConfig, hyena_parameters_by_part
from helixlm.models.init import initialise
from helixlm.train.optim import parameter_groups


def config(**changes):
    sizes = {
        "vocab_size": 16, "hidden_size": 8, "num_layers": 2, "intermediate_size": 32,
        "max_positions": 20,
    }  # fmt: skip
    return HyenaConfig(**(sizes | changes))


def make(kind=CausalLM, *args, **changes):
    settings = config(**changes)
    model = kind(settings, *args)
    initialise(model, settings, torch.Generator().manual_seed(3))
    return model.double().eval()


def random_ids(rows, tokens):
    return torch.randint(7, 12, (rows, tokens), generator=torch.Generator().manual_seed(1))


def sigmoid_free_gelu(x):
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def norm(x, layer):
    weight, bias = (p.detach().numpy() for p in (layer.weight, layer.bias))
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weight + bias


def linear(x, layer):
    bias = 0 if layer.bias is None else layer.bias.detach().numpy()
    return layer.weight.detach().numpy() @ x + bias


def slow_filter(made, longest, num_tokens):
    """Filter values by distance, then channel, from section 7.2 of the facts."""
    width = made.output.weight.shape[0]
    slow, fast = math.log(0.01) / 1.5, math.log(0.01) / 0.3
    found = []
    for n in range(num_tokens):
        t = n / (longest - 1)
        w = 2 * math.pi * n / longest
        waves = [math.cos(1e-4 * w), math.cos(w), -math.sin(1e-4 * w), -math.sin(w)]
        x = np.array([t, *waves])
        for layer in made.layers:
            x = np.sin(made.frequency.detach().numpy() * linear(x, layer))
        x = linear(x, made.output)
        delta = [slow + (fast - slow) * c / (width - 1) for c in range(width)]
        found.append([x[c] * (math.exp(-t * abs(delta[c])) + 0.05) for c in range(width)])
    return np.array(found)


def slow_hyena(model, ids, longest):
    """Hidden vectors of one row, token by token and channel by channel."""
    x = [row.detach().numpy() for row in model.word.weight[ids]]
    tokens, width = len(x), len(x[0])
    for layer in model.layers:
        projected = [linear(norm(row, layer.operator_norm), layer.projection) for row in x]
        kernel = layer.short_filter.weight.detach().numpy()[:, 0]
        offset = layer.short_filter.bias.detach().numpy()
        short = [
            sum(kernel[:, 2 - d] * projected[n - d] for d in range(3) if n >= d) + offset
            for n in range(tokens)
        ]
        outer, inner, value = (
            [row[part * width : (part + 1) * width] for row in short] for part in range(3)
        )
        value = [a * b for a, b in zip(value, inner, strict=True)]
        filters = slow_filter(layer.filter, longest, tokens)
        skip = layer.filter.skip.detach().numpy()
        for n in range(tokens):
            long = sum(filters[d] * value[n - d] for d in range(n + 1)) + skip * value[n]
            x[n] = x[n] + linear(long * outer[n], layer.operator_output)
            up = linear(norm(x[n], layer.feed_forward_norm), layer.up)
            x[n] = x[n] + linear(sigmoid_free_gelu(up), layer.down)
    return np.array([norm(row, model.final_norm) for row in x])


@pytest.mark.parametrize("tokens", [1, 2, 13, 20])
def test_agrees_with_the_formula(tokens):
    model = make()
    ids = random_ids(2, tokens)
    with torch.no_grad():
        found = model.encoder(ids)
    for row, hidden in zip(ids, found, strict=True):
        # Filters are made in float32.
        np.testing.assert_allclose(hidden, slow_hyena(model.encoder, row, 20), atol=2e-6)


def test_a_model_of_another_length_is_another_model():
    short, long = make(max_positions=20), make(max_positions=30)
    long.load_state_dict(short.state_dict())
    ids = random_ids(1, 20)
    with torch.no_grad():
        assert not torch.allclose(short(ids), long(ids), atol=1e-3)


@given(st.integers(1, 40), st.integers(1, 3))
def test_the_convolution_is_causal_and_does_not_wrap(tokens, channels):
    generator = np.random.default_rng(tokens)
    values, filters = generator.normal(size=(2, 1, channels, tokens))
    found = convolve(torch.from_numpy(values), torch.from_numpy(filters[0]))
    expected = [np.convolve(v, f)[:tokens] for v, f in zip(values[0], filters[0], strict=True)]
    np.testing.assert_allclose(found[0], expected, atol=1e-4)


def test_no_token_sees_what_follows_or_another_row():
    model = make()
    ids = random_ids(2, 20)
    changed = ids.clone()
    changed[0, 12:] = 6
    with torch.no_grad():
        one, other = model(ids), model(changed)
    torch.testing.assert_close(one[0, :12], other[0, :12], rtol=0, atol=1e-9)
    torch.testing.assert_close(one[1], other[1], rtol=0, atol=0)
    assert not torch.allclose(one[0, 12], other[0, 12])


def test_asked_positions_give_the_same_logits_and_gradients():
    model = make()
    ids, asked = random_ids(2, 20), torch.tensor([0, 5, 25, 39])
    whole = model(ids).flatten(0, 1)[asked]
    whole.square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    part = model(ids, masked_index_M=asked)
    part.square().sum().backward()
    torch.testing.assert_close(part, whole)
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-4, atol=1e-6)


def test_bfloat16_differs_by_its_rounding():
    model = make().float()
    ids = random_ids(2, 20)
    with torch.no_grad():
        exact = model(ids)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(ids)
    assert rough.dtype == torch.float32
    assert 0 < (rough - exact).abs().max() < 0.05 * exact.abs().max()


@pytest.mark.parametrize(
    ("size", "layers", "longest", "published"),
    [
        (128, 2, 1026, 436_096),
        (128, 2, 16_386, 436_096),
        (256, 2, 1026, 1_641_088),
        (256, 4, 32_770, 3_277_568),
        (256, 8, 1_000_002, 6_550_528),
    ],
)
def test_published_sizes(size, layers, longest, published):
    settings = config(
        hidden_size=size, num_layers=layers, intermediate_size=4 * size, max_positions=longest
    )
    with torch.device("meta"):
        model = CausalLM(settings)
    assert sum(p.numel() for p in model.parameters()) == published
    assert sum(hyena_parameters_by_part(settings).values()) == published


def test_what_is_refused():
    with pytest.raises(LengthError, match=r"21 tokens, .* filters of the model reach over 20"):
        make()(random_ids(1, 21))
    with pytest.raises(ValueError, match="expected an odd number"):
        config(filter_features=4)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_the_classifier_does_not_read_padding(pooling):
    model = make(SequenceClassifier, 3, pooling=pooling)
    ids = random_ids(1, 12)
    padded = torch.cat([ids, torch.full((1, 5), 4)], dim=1)
    mask = (padded != 4).long()
    with torch.no_grad():
        torch.testing.assert_close(model(padded, attention_mask_BL=mask), model(ids))
        hidden = model.encoder(ids)[0]
        read = hidden[-1] if pooling == "last" else hidden.mean(0)
        torch.testing.assert_close(
            model(ids)[0].double(), model.head.output(read), rtol=1e-6, atol=1e-6
        )


def test_fresh_weights_are_as_published_training_has_them():
    settings = config(hidden_size=256, intermediate_size=1024, num_layers=4)
    model = Hyena(settings)
    initialise(model, settings, torch.Generator().manual_seed(0))
    layer = model.layers[0]
    low = 0.02 / math.sqrt(8)
    for weight, std in [
        (layer.projection.weight, 0.02), (layer.up.weight, 0.02), (model.word.weight, 0.02),
        (layer.filter.layers[1].weight, 0.02), (layer.filter.skip, 1.0),
        (layer.operator_output.weight, low), (layer.down.weight, low),
        (layer.short_filter.weight, 1 / 3),
    ]:  # fmt: skip
        assert weight.std().item() == pytest.approx(std, rel=0.12)
    assert (layer.filter.frequency == 10).all()
    assert layer.short_filter.weight.abs().max() <= 1 / math.sqrt(3)


def test_filters_do_not_decay():
    model = CausalLM(config())
    decayed = {id(p) for p in parameter_groups(model, 0.1)[0]["params"]}
    for module in model.modules():
        if isinstance(module, HyenaFilter):
            assert not decayed & {id(p) for p in module.parameters()}
    assert id(model.encoder.layers[0].projection.weight) in decayed
