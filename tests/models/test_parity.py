"""Every stock class of transformers against ours: hidden states, logits, gradients, in all types.

Weights are random in all parameters; rows are padded and hold masked tokens.
"""

import pytest
import torch
import torch.nn.functional as F

from helixlm.models.convert import from_hf, tensors_to_hf

CLOSE = {"rtol": 1e-5, "atol": 1e-5}
LENGTHS = [20, 13, 7]
MASK, PAD = 4, 1

# name: family, settings in words of transformers
KINDS = {
    "roberta": ("roberta", {}),
    "bert": ("bert", {"pad_token_id": PAD}),
    "modernbert": ("modernbert", {}),
    "modernbert-biases": (
        "modernbert",
        {"norm_bias": True, "attention_bias": True, "mlp_bias": True, "classifier_bias": True},
    ),
    "modernbert-untied": ("modernbert", {"tie_word_embeddings": False, "norm_eps": 1e-3}),
    "modernbert-global": ("modernbert", {"global_attn_every_n_layers": 1}),
    "esm": ("esm", {}),
    "esm-untied-token-dropout": (  # as Nucleotide Transformer v1
        "esm",
        {"tie_word_embeddings": False, "token_dropout": True, "layer_norm_eps": 1e-5},
    ),
    "esm-rotary-token-dropout": (  # as ESM-2
        "esm",
        {"position_embedding_type": "rotary", "token_dropout": True},
    ),
    "esm-embedding-norm": ("esm", {"emb_layer_norm_before": True}),
}


@pytest.fixture
def rows():
    """Three padded rows: ids with a masked token in each, and the attention mask."""
    ids = torch.randint(5, 37, (3, max(LENGTHS)), generator=torch.Generator().manual_seed(2))
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    ids[:, 3] = ids[0, 9] = MASK
    return ids.where(mask, PAD), mask.long()


@pytest.fixture(params=KINDS)
def pair(request, tiny_hf):
    """A model of transformers, and ours with its weights."""
    family, settings = KINDS[request.param]
    hf_model = tiny_hf(family, **settings)
    return hf_model, from_hf(hf_model)


def hidden_of(hf_model, ids, mask):
    return hf_model.base_model(input_ids=ids, attention_mask=mask).last_hidden_state


@pytest.mark.parametrize("path", ["sdpa", "reference"])
def test_hidden_states_logits_and_gradients(pair, rows, path):
    hf_model, ours = pair
    ours.encoder.attention_path = path
    ids, mask = rows
    real = mask.bool()
    torch.testing.assert_close(
        ours.encoder(ids, attention_mask_BL=mask)[real], hidden_of(hf_model, ids, mask)[real],
        **CLOSE,
    )  # fmt: skip
    expected = hf_model(input_ids=ids, attention_mask=mask).logits[real]
    logits = ours(ids, attention_mask_BL=mask)[real]
    torch.testing.assert_close(logits, expected, **CLOSE)

    labels = torch.arange(len(logits)) % 37
    F.cross_entropy(expected, labels).backward()
    F.cross_entropy(logits, labels).backward()
    found = tensors_to_hf(
        {name: tensor.grad for name, tensor in ours.named_parameters()},
        ours.config.family, "masked",
    )  # fmt: skip
    theirs = {
        name: tensor.grad
        for name, tensor in hf_model.named_parameters()
        if "contact_head" not in name
    }
    assert found.keys() == theirs.keys()
    for name, gradient in theirs.items():
        torch.testing.assert_close(
            found[name], gradient, **CLOSE, msg=lambda m, n=name: f"{n}: {m}"
        )
    assert sum(gradient.abs().max() > 1e-4 for gradient in theirs.values()) > len(theirs) / 2


def test_in_float64_the_difference_is_that_of_what_is_float32(pair, rows):
    """Angles and token dropout are float32 in both; all else agrees to the last digits."""
    hf_model, ours = (model.double() for model in pair)
    ids, mask = rows
    config = ours.config
    in_float32 = config.positions == "rotary" or config.token_dropout
    real = mask.bool()
    torch.testing.assert_close(
        ours.encoder(ids, attention_mask_BL=mask)[real], hidden_of(hf_model, ids, mask)[real],
        rtol=0, atol=2e-6 if in_float32 else 1e-12,
    )  # fmt: skip


@pytest.mark.parametrize("path", ["sdpa", "reference"])
def test_in_bfloat16_the_difference_is_that_of_the_reference(pair, rows, path):
    hf_model, ours = pair
    ids, mask = rows
    real = mask.bool()
    exact = hf_model(input_ids=ids, attention_mask=mask).logits[real]
    ours.encoder.attention_path = path
    theirs = hf_model.bfloat16()(input_ids=ids, attention_mask=mask).logits[real].float() - exact
    found = ours.bfloat16()(ids, attention_mask_BL=mask)[real] - exact
    ratio = (found.square().mean() / theirs.square().mean()).sqrt().item()
    assert 0.5 < ratio < 1.25  # the reference also rounds the angles of rotary positions


@pytest.mark.parametrize("kind", KINDS)
def test_sequence_classifiers(tiny_hf, rows, kind):
    family, settings = KINDS[kind]
    hf_model = tiny_hf(family, "sequence", **settings)
    ids, mask = rows
    expected = hf_model(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(from_hf(hf_model)(ids, attention_mask_BL=mask), expected, **CLOSE)


def test_a_modernbert_that_pools_the_mean(tiny_hf, rows):
    hf_model = tiny_hf("modernbert", "sequence", classifier_pooling="mean")
    ids, mask = rows
    ours = from_hf(hf_model)
    assert ours.config.pooling == "mean"
    expected = hf_model(input_ids=ids, attention_mask=mask).logits
    torch.testing.assert_close(ours(ids, attention_mask_BL=mask), expected, **CLOSE)
