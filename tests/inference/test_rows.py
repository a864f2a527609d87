"""Class probabilities against transformers; padding, order and batch size change nothing."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from helixlm.inference import classify, encode_rows, evaluating, load, pad_rows
from helixlm.inference.rows import TooLongError
from helixlm.rng import CounterRng
from helixlm.tokenizers.char import book_tokenizer


def sequences(count, longest):
    rng = CounterRng("sequences", count)
    return [
        "".join("ACGTNacgt"[i] for i in rng.integers(0, 9, int(n)))
        for n in rng.integers(1, longest + 1, count)
    ]


def encode(loaded, texts, **options):
    return encode_rows(loaded, texts, [f"t.csv:{i + 2}" for i in range(len(texts))], **options)


@torch.no_grad()
def by_transformers(folder, texts):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    rows = [model(**tokenizer(text, return_tensors="pt")).logits[0] for text in texts]
    return torch.stack(rows).softmax(-1).numpy()


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_agrees_with_transformers_one_by_one(classifier_folder, batch_size, device):
    texts = sequences(40, 20)
    loaded = load(classifier_folder)
    rows, num_cut = encode(loaded, texts)
    seen = []
    found = classify(
        loaded,
        rows,
        batch_size=batch_size,
        device=device,
        progress=lambda done, total: seen.append((done, total)),
    )
    np.testing.assert_allclose(found, by_transformers(classifier_folder, texts), atol=1e-5)
    assert found.std(0).max() > 0.02  # or else the test would see nothing
    assert num_cut == 0
    assert seen[-1] == (40, 40)


def test_a_model_comes_back_as_it_was(classifier_folder, device):
    model = load(classifier_folder).model.train()
    with pytest.raises(KeyError), evaluating(model, device) as where:
        assert not model.training
        assert {p.device.type for p in model.parameters()} == {where.type} == {device}
        raise KeyError
    assert model.training
    assert next(model.parameters()).device.type == "cpu"


def test_too_long(classifier_folder):
    loaded = load(classifier_folder)
    texts = ["ACGT", "N" * 30]
    message = (
        r"^t\.csv:3: the sequence has 32 tokens \(2 of them special\), expected at most 24: .*"
    )
    with pytest.raises(TooLongError, match=message + r"allow cutting .*\(--truncate\)"):
        encode(loaded, texts)
    with pytest.raises(TooLongError, match="expected at most 10"):
        encode(loaded, texts, max_tokens=10)
    rows, num_cut = encode(loaded, texts, truncate=True)
    assert num_cut == 1
    unk = loaded.tokenizer.special.unk
    bos, *middle, eos = rows[1].tolist()
    assert (bos, eos) == loaded.tokenizer.special[:2]
    assert middle == 22 * [unk]
    fits = "N" * 22
    assert encode(loaded, [fits])[0][0].tolist() == rows[1].tolist()


def test_padding():
    rows = [np.arange(5), np.arange(9)]
    ids, mask = pad_rows(rows, pad_id=7, max_tokens=24)
    assert ids.shape == mask.shape == (2, 9)
    assert ids[0].tolist() == [0, 1, 2, 3, 4, 7, 7, 7, 7]
    assert mask.sum(1).tolist() == [5, 9]
    assert pad_rows(rows, pad_id=7, max_tokens=24, multiple=8)[0].shape == (2, 16)
    assert pad_rows(rows, pad_id=7, max_tokens=10, multiple=8)[0].shape == (2, 10)
    ids, mask = pad_rows([rows[0], rows[0]], pad_id=7, max_tokens=24, multiple=8)
    assert ids.shape == (2, 5)
    assert mask is None


def test_soft_masked_bases_are_read_by_a_tokenizer_that_keeps_case(classifier_folder):
    loaded = load(classifier_folder)
    loaded = loaded._replace(tokenizer=book_tokenizer())
    rows, _ = encode_rows(loaded, ["ACgtn", "acGT"], ["a", "b"])
    assert [row.tolist() for row in rows] == [[0, 2, 3, 1, 4], [0, 2, 3, 1]]  # A T C G N are 0 to 4
