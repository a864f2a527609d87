"""Heads: the masked rows only, float32 logits, tied weights, names of labels."""

import pytest
import torch

from helixlm.models.heads import MaskedLM, SequenceClassifier
from helixlm.models.init import initialise

IDS = torch.randint(2, 37, (2, 20), generator=torch.Generator().manual_seed(1))


def make(kind, config, *args, **kwargs):
    model = kind(config, *args, **kwargs)
    initialise(model, config, torch.Generator().manual_seed(0))
    return model.eval()


def test_asked_positions_give_the_same_logits(tiny_config):
    model = make(MaskedLM, tiny_config(initializer_range=0.3))
    every = model(IDS)
    assert every.shape == (2, 20, 37)
    index = torch.tensor([0, 3, 19, 20, 39, 0, 0])
    some = model(IDS, masked_index_M=index)
    torch.testing.assert_close(some, every.flatten(0, 1)[index], rtol=0, atol=1e-5)


def test_the_decoder_is_the_embedding(tiny_config):
    model = make(MaskedLM, tiny_config())
    assert sum(p.shape == (37, 24) for p in model.parameters()) == 1
    model(IDS, masked_index_M=torch.tensor([3])).logsumexp(1).sum().backward()
    unused = sorted(set(range(37)) - set(IDS.flatten().tolist()))
    gradient = model.encoder.embeddings.word.weight.grad
    # Rows that no token of the batch uses are reached through the decoder: the padding row too.
    assert (gradient[unused].abs().sum(1) > 0).all()
    assert model.config.pad_token_id in unused


@pytest.mark.parametrize("family", ["roberta", "bert"])
def test_logits_are_float32_under_autocast(tiny_config, family):
    config = tiny_config(family)
    for model in (make(MaskedLM, config), make(SequenceClassifier, config, 3)):
        exact = model(IDS)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = model(IDS)
        assert rounded.dtype == torch.float32
        assert not torch.equal(rounded, exact)
        torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.02)


def test_the_first_token_is_classified(tiny_config):
    model = make(SequenceClassifier, tiny_config(initializer_range=0.3), 3)
    logits = model(IDS)
    hidden = model.encoder(IDS)[:, 0]
    torch.testing.assert_close(logits, model.head(hidden))
    assert logits.shape == (2, 3)


@pytest.mark.parametrize(("family", "where"), [("roberta", 2), ("bert", 1)])
def test_dropout_of_the_classifier(tiny_config, family, where):
    model = make(SequenceClassifier, tiny_config(family, hidden_dropout=0.2), 3)
    assert model.dropout == 0.2
    model = make(SequenceClassifier, tiny_config(family), 3, 0.5)
    assert (model.head.input_dropout, model.head.output_dropout).count(0.5) == where
    seeds = torch.tensor([1, 1, 2])
    assert torch.equal(model(IDS), model(IDS, dropout_seed=seeds[0]))
    model.train()
    one, same, other = (model(IDS, dropout_seed=seed) for seed in seeds)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(model(IDS), model(IDS))


def test_names_of_labels(tiny_config):
    assert SequenceClassifier(tiny_config(), 2).labels == ("LABEL_0", "LABEL_1")
    assert SequenceClassifier(tiny_config(), 2, labels=["no", "yes"]).labels == ("no", "yes")
    with pytest.raises(ValueError, match="3 label names for 2 labels"):
        SequenceClassifier(tiny_config(), 2, labels=["a", "b", "c"])
