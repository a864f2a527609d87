"""Published kinds without a class in transformers, against their formula; and traps of the field.

Checkpoints are tiny ones under the published names, see `published.py`; the formulas are in
`slow_encoders.py`.
"""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tests.models import slow_encoders
from tests.models.published import CONFIGS, weights_of
from transformers import BertConfig, BertForMaskedLM, EsmConfig, EsmForMaskedLM

from helixlm.models.config import EncoderConfig
from helixlm.models.convert import from_hf, tensors_to_hf
from helixlm.models.settings import ConversionError, config_from_hf, dialect_of

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
FORMULAS = {
    "dnabert2": slow_encoders.dnabert2,
    "gena": slow_encoders.gena,
    "gena-lastln": slow_encoders.gena,
    "nt-v2": slow_encoders.nt_v2,
}
LENGTHS = [11, 7]


def ids_and_mask(padding):
    ids = torch.randint(5, 37, (2, max(LENGTHS)), generator=torch.Generator().manual_seed(3))
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    return ids.where(mask, padding), mask.long()


def as_numpy(weights):
    return {name: tensor.numpy().astype(np.float64) for name, tensor in weights.items()}


@pytest.mark.parametrize("path", ["sdpa", "reference"])
@pytest.mark.parametrize("kind", FORMULAS)
def test_what_has_no_class_in_transformers_follows_its_formula(kind, path):
    weights = weights_of(kind)
    ours = from_hf(weights, CONFIGS[kind])
    ours.encoder.attention_path = path
    ids, mask = ids_and_mask(padding=3)
    hidden = ours.encoder(ids, attention_mask_BL=mask)
    logits = ours(ids, attention_mask_BL=mask)
    for row, length in enumerate(LENGTHS):
        expected = FORMULAS[kind](as_numpy(weights), ids[row, :length].numpy(), CONFIGS[kind])
        for found, value in zip((hidden, logits), expected, strict=True):
            value = torch.from_numpy(value).float()
            torch.testing.assert_close(found[row, :length].detach(), value, **CLOSE)


@pytest.mark.parametrize("kind", ["dnabert", "nt-v1"])
def test_what_has_a_class_in_transformers_agrees_with_it(kind):
    weights = weights_of(kind)
    settings = {name: x for name, x in CONFIGS[kind].items() if name != "auto_map"}
    config_class, model_class = {
        "dnabert": (BertConfig, BertForMaskedLM),
        "nt-v1": (EsmConfig, EsmForMaskedLM),
    }[kind]
    hf_model = model_class(config_class(**settings)).eval()
    missing = hf_model.load_state_dict(weights, strict=False).missing_keys
    assert not missing
    ids, mask = ids_and_mask(padding=settings["pad_token_id"])
    ids[:, 2] = 2  # the mask of Nucleotide Transformer
    expected = hf_model(input_ids=ids, attention_mask=mask).logits[mask.bool()]
    logits = from_hf(weights, CONFIGS[kind])(ids, attention_mask_BL=mask)[mask.bool()]
    torch.testing.assert_close(logits, expected, **CLOSE)


@pytest.mark.parametrize("kind", CONFIGS)
def test_there_and_back_is_exact(kind):
    weights = weights_of(kind)
    ours = from_hf(weights, CONFIGS[kind])
    back = tensors_to_hf(ours.state_dict(), dialect_of(CONFIGS[kind]), "masked")
    assert back.keys() <= weights.keys()
    for name, tensor in back.items():
        assert torch.equal(tensor, weights[name]), name
    again = from_hf(back, CONFIGS[kind])
    assert again.config == ours.config
    for name, tensor in ours.state_dict().items():
        assert torch.equal(again.state_dict()[name], tensor), name


@pytest.mark.parametrize("kind", CONFIGS)
def test_each_weight_is_needed_and_no_other_is_taken(kind):
    weights, config = weights_of(kind), CONFIGS[kind]
    needed = tensors_to_hf(from_hf(weights, config).state_dict(), dialect_of(config), "masked")
    copies = {"cls.predictions.bias", "cls.predictions.decoder.bias"} & weights.keys()
    for name in needed:
        less = {x: t for x, t in weights.items() if x != name}
        less.pop("cls.predictions.decoder.weight", None)
        if name in copies and len(copies) == 2:
            continue  # then the copy stands for it
        with pytest.raises(ConversionError, match=f"describes: missing: {name}$"):
            from_hf(less, config)
    for odd in ("bert.encoder.layer.1.odd.weight", "cls.predictions.odd", "lm_head.odd.bias"):
        with pytest.raises(ConversionError, match=f"describes: left over: {odd}$"):
            from_hf({**weights, odd: torch.zeros(1)}, config)


def test_a_classifier_of_each_kind_keeps_the_encoder():
    for kind, config in CONFIGS.items():
        source = from_hf(weights_of(kind), config)
        ours = from_hf(weights_of(kind), config, head="sequence", num_labels=3)
        assert ours(torch.tensor([[5, 6, 7]])).shape == (1, 3)
        for name, tensor in source.encoder.state_dict().items():
            assert torch.equal(ours.encoder.state_dict()[name], tensor), (kind, name)


def test_trap_1_which_half_is_activated_and_where_the_norm_stands():
    """The first half of the rows is activated: by GELU in DNABERT-2, by SiLU in NT v2.

    For ModernBERT, pre-norm with GELU first and no biases, see test_parity.py.
    """
    for kind, activate in (("dnabert2", F.gelu), ("nt-v2", F.silu)):
        ours = from_hf(weights_of(kind), CONFIGS[kind])
        assert ours.config.norm == ("post" if kind == "dnabert2" else "pre")
        layer = ours.encoder.layers[0].double()
        x = torch.randn(4, 24, dtype=torch.float64)
        first, second = (x @ layer.up.weight.T).chunk(2, dim=-1)
        torch.testing.assert_close(
            layer._feed_forward(x, None), layer.down(activate(first) * second), rtol=0, atol=1e-12
        )
    assert ours.config.up_bias is ours.config.down_bias is False


def test_trap_6_the_padding_id_of_dnabert2_makes_no_difference():
    """config.json says none or 0, the tokenizer 3; padding is left out by the mask."""
    config = CONFIGS["dnabert2"]
    assert config_from_hf(config).pad_token_id == 0
    ours = from_hf(weights_of("dnabert2"), config)
    other = from_hf(weights_of("dnabert2"), {**config, "pad_token_id": 3})
    for padding in (0, 3, 9):
        ids, mask = ids_and_mask(padding)
        found = [m(ids, attention_mask_BL=mask)[mask.bool()] for m in (ours, other)]
        assert torch.equal(*found)
        alone = ours(ids[1:, : LENGTHS[1]])[0]
        torch.testing.assert_close(found[0][LENGTHS[0] :], alone, **CLOSE)


@pytest.mark.parametrize("kind", CONFIGS)
@pytest.mark.parametrize("eps", [1e-12, 1e-5])
def test_trap_12_the_eps_of_layer_norm_is_that_of_config_json(kind, eps):
    ours = from_hf(weights_of(kind), {**CONFIGS[kind], "layer_norm_eps": eps})
    norms = [m for m in ours.modules() if isinstance(m, torch.nn.LayerNorm)]
    assert {m.eps for m in norms} == {eps}
    assert len(norms) >= 6


def test_trap_12_eps_where_it_is_left_out():
    bert = {k: v for k, v in CONFIGS["dnabert2"].items() if k != "layer_norm_eps"}
    assert config_from_hf(bert).norm_eps == 1e-12
    book = {"model_type": "modernbert", "pad_token_id": 1, "max_position_embeddings": 9}
    sizes = {k: v for k, v in CONFIGS["nt-v2"].items() if k.endswith("_size") or "num_" in k}
    assert config_from_hf({**book, **sizes}).norm_eps == 1e-5


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (
            "gena",
            {"sparse_config_cls": "deepspeed.ops.sparse_attention:BigBirdSparsityConfig"},
            "sparse_config_cls 'deepspeed.*', expected None",
        ),
        ("gena", {"position_embedding_type": "rotary"}, "'rotary', expected 'absolute'"),
        ("dnabert2", {"hidden_act": "relu"}, "hidden_act 'relu', expected 'gelu'"),
        ("nt-v2", {"position_embedding_type": "absolute"}, "'absolute', expected 'rotary'"),
        ("nt-v1", {"position_embedding_type": "alibi"}, "'alibi', expected 'absolute' or 'rot"),
        ("nt-v1", {"is_folding_model": True}, "is_folding_model True, expected False"),
        ("nt-v1", {"pad_token_id": None}, "does not give pad_token_id"),
        (
            "dnabert",
            {"auto_map": {"AutoModel": "owner/name--modeling_bert.BertModel"}},
            r"code of its own \(modeling_bert.py in auto_map\), which is never run",
        ),
    ],
)
def test_settings_that_are_not_built_are_refused(kind, changes, message):
    with pytest.raises(ConversionError, match=message):
        config_from_hf({**CONFIGS[kind], **changes})


BOOK = {
    "model_type": "modernbert",
    "vocab_size": 23,
    "hidden_size": 32,
    "num_hidden_layers": 8,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 512,
    "pad_token_id": 19,
}
LAYERS = ["full_attention", "sliding_attention", "sliding_attention"] * 3


@pytest.mark.parametrize(
    ("settings", "every", "window", "bases"),
    [
        ({}, 3, 64, (160_000, 10_000)),
        (
            {
                "global_attn_every_n_layers": 4,
                "local_attention": 20,
                "global_rope_theta": 5e4,
                "local_rope_theta": 2e4,
            },
            4,
            10,
            (5e4, 2e4),
        ),
        ({"layer_types": LAYERS[:8], "global_attn_every_n_layers": 5}, 3, 64, (160_000, 10_000)),
        ({"layer_types": ["full_attention"] * 8}, 1, None, (160_000, 10_000)),
        ({"layer_types": ["full_attention"] + ["sliding_attention"] * 7}, 8, 64, (16e4, 1e4)),
        (
            {
                "rope_parameters": {
                    "full_attention": {"rope_type": "default", "rope_theta": 8e4},
                    "sliding_attention": {"rope_type": "default", "rope_theta": 3e3},
                }
            },
            3,
            64,
            (8e4, 3e3),
        ),
    ],
)
def test_layers_of_modernbert_in_old_and_new_words(settings, every, window, bases):
    config = config_from_hf({**BOOK, **settings})
    assert (config.global_every, config.window) == (every, window)
    assert (config.rotary_base, config.local_rotary_base) == bases
    assert isinstance(config, EncoderConfig)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer_types": LAYERS[1:]}, "layer_types .*full_attention in layers 0, n, 2n"),
        ({"layer_types": LAYERS}, "layer_types .*full_attention in layers 0, n, 2n"),
        ({"layer_types": []}, "layer_types .*full_attention in layers 0, n, 2n"),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "yarn"}}},
            "rope_type of full_attention 'yarn', expected 'default'",
        ),
        ({"mlp_dropout": 0.1}, "attention_dropout 0.0, expected 0.1, as mlp_dropout"),
        ({"local_attention": None}, "local_attention None, expected a whole number"),
        ({"classifier_pooling": "max"}, "classifier_pooling 'max', expected 'cls' or 'mean'"),
        ({"decoder_bias": False}, "decoder_bias False, expected True"),
        ({"hidden_activation": "silu"}, "hidden_activation 'silu', expected 'gelu'"),
    ],
)
def test_what_modernbert_may_not_say(settings, message):
    with pytest.raises(ConversionError, match=message):
        config_from_hf({**BOOK, **settings})
