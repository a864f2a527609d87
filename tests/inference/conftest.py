"""A tiny tokenizer, and tiny models of both kinds with weights that make them opinionated."""

import pytest
import torch

from helixlm.models.config import EncoderConfig
from helixlm.models.heads import MaskedLM, SequenceClassifier
from helixlm.models.hf import save_model
from helixlm.models.init import initialise
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe_train import train_bpe

LABELS = ("exon", "intron, long", "other")


def dna(length, *key):
    return "".join("ACGT"[i] for i in CounterRng("dna", *key).integers(0, 4, length))


@pytest.fixture(scope="session")
def tokenizer():
    return train_bpe([dna(400, i) for i in range(5)], vocab_size=24, min_frequency=2)


def build(kind, tokenizer, *, family="roberta", max_tokens=24):
    pad = tokenizer.special.pad
    config = EncoderConfig(
        family=family,
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        intermediate_size=32,
        max_positions=max_tokens + (pad + 1 if family == "roberta" else 0),
        pad_token_id=pad,
        initializer_range=0.6,
    )
    model = MaskedLM(config) if kind == "masked" else SequenceClassifier(config, 3, labels=LABELS)
    initialise(model, config, torch.Generator().manual_seed(1))
    return model.eval()


def write(folder, model, tokenizer):
    save_model(model, folder)
    tokenizer.save(folder, max_tokens=model.config.max_tokens)
    return folder


@pytest.fixture(scope="session", params=["roberta", "bert"])
def masked_folder(request, tokenizer, tmp_path_factory):
    model = build("masked", tokenizer, family=request.param)
    return write(tmp_path_factory.mktemp(request.param) / "masked", model, tokenizer)


@pytest.fixture(scope="session", params=["roberta", "bert"])
def classifier_folder(request, tokenizer, tmp_path_factory):
    model = build("classifier", tokenizer, family=request.param)
    return write(tmp_path_factory.mktemp(request.param) / "classifier", model, tokenizer)


@pytest.fixture(params=["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"])
def device(request):
    return request.param
