"""Byte-pair encoding on real genomes: the merges and the ids of the `tokenizers` library."""

import gzip
import json
import re

import numpy as np
import pytest
from tokenizers import Tokenizer, models, trainers

from helixlm.tokenizers.bpe_train import train_bpe
from helixlm.tokenizers.hf import load_tokenizer


def records(path):
    """Sequences of a FASTA file, with nothing but gzip and split."""
    text = gzip.decompress(path.read_bytes()).decode()
    return [record.partition("\n")[2].replace("\n", "") for record in text.split(">")[1:]]


@pytest.fixture(scope="module")
def genomes(data):
    human = sorted((data / "human").glob("*.fa.gz"))
    assert len(human) == 6
    return {
        "yeast": records(data / "yeast" / "sacCer3.fa.gz"),
        "human": [sequence for path in human for sequence in records(path)],
    }


def cut(sequences, line_bp):
    return [
        sequence[start : start + line_bp]
        for sequence in sequences
        for start in range(0, len(sequence), line_bp)
    ]


@pytest.mark.parametrize(
    ("genome", "line_bp", "vocab_size", "min_frequency"),
    [
        ("yeast", 12_000, 4096, 2),
        ("yeast", 1000, 1024, 50),
        ("yeast", 20_000, 64, 4),
        ("human", 1000, 4096, 4),
        ("human", 12_000, 256, 2),
        ("human", 12_000, 4096, 1000),
    ],
)
def test_merges_are_those_of_the_library(genomes, genome, line_bp, vocab_size, min_frequency):
    lines = cut(genomes[genome], line_bp)
    library = Tokenizer(models.BPE())
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 5,
        min_frequency=min_frequency,
        initial_alphabet=list("ACGT"),
        show_progress=False,
    )
    runs = (run for line in lines for run in re.findall("[ACGT]+", line.upper()))
    library.train_from_iterator(runs, trainer)
    model = json.loads(library.to_str())["model"]
    trained = train_bpe(lines, vocab_size=vocab_size, min_frequency=min_frequency)
    assert trained.merges == [tuple(pair) for pair in model["merges"]]
    assert trained.tokens[5:] == sorted(model["vocab"], key=model["vocab"].__getitem__)


@pytest.mark.parametrize("line_bp", [1000, 12_000, 2_000_000])
@pytest.mark.parametrize("upper", [True, False])
def test_the_published_tokenizer_on_all_human_pieces(published, genomes, line_bp, upper):
    """With lower-case letters and N as they come, which are unknown to it, and in upper case."""
    tokenizer = load_tokenizer(published)
    assert tokenizer._table is not None
    library = Tokenizer.from_file(str(published))
    lines = cut(genomes["human"], line_bp)
    if upper:
        lines = [line.upper() for line in lines]
    for start in range(0, len(lines), 512):
        some = lines[start : start + 512]
        expected = library.encode_batch_fast(some, add_special_tokens=False)
        for ids, encoding in zip(tokenizer.encode_batch(some), expected, strict=True):
            assert np.array_equal(ids, encoding.ids)
