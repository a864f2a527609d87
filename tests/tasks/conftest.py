"""A task that a tiny model can learn, a tiny model, and files of labelled sequences."""

import csv

import pytest
import torch

from helixlm.models.config import EncoderConfig
from helixlm.models.heads import MaskedLM
from helixlm.models.hf import save_model
from helixlm.models.init import initialise
from helixlm.rng import CounterRng
from helixlm.tokenizers.char import char_tokenizer


def make_examples(count, seed):
    """Sequences of 6 to 20 bases; those of class "gc" have more G and C."""
    rng = CounterRng("examples", count, seed)
    rows = []
    for label in rng.integers(0, 2, count).tolist():
        weights = [10, 10 + 30 * label, 10 + 30 * label, 10]
        letters = rng.choice(weights, rng.integer(6, 21))
        rows.append(("".join("ACGT"[i] for i in letters), ("at", "gc")[label]))
    return rows


def write_rows(path, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("sequence", "label"), *rows])
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Train, dev and test of the task."""
    folder = tmp_path_factory.mktemp("gc_or_at")
    sizes = {"train": 256, "dev": 60, "test": 80}
    return {
        split: write_rows(folder / f"{split}.csv", make_examples(size, i))
        for i, (split, size) in enumerate(sizes.items())
    }


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A masked language model with one token a letter, up to 22 letters."""
    tokenizer = char_tokenizer()
    pad = tokenizer.special.pad
    config = EncoderConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_layers=1,
        num_heads=2,
        intermediate_size=32,
        max_positions=24 + pad + 1,
        pad_token_id=pad,
        initializer_range=0.1,
    )
    model = MaskedLM(config)
    initialise(model, config, torch.Generator().manual_seed(5))
    folder = tmp_path_factory.mktemp("tiny") / "model"
    save_model(model, folder)
    tokenizer.save(folder, max_tokens=config.max_tokens)
    return folder
