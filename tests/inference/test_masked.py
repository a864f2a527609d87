"""Masked probabilities against transformers, one token at a time, by the definition."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForMaskedLM

from helixlm.errors import StateError
from helixlm.inference import LoadedModel, load, masked_probabilities
from helixlm.inference.masked import masked_many
from helixlm.models.config import EncoderConfig
from helixlm.models.heads import MaskedLM
from helixlm.rng import CounterRng
from helixlm.tokenizers.char import book_tokenizer
from helixlm.tokenizers.kmer_overlapping import dnabert_tokenizer


def dna(length, *key):
    return "".join("ACGTN"[i] for i in CounterRng("masked", *key).integers(0, 5, length))


@torch.no_grad()
def slow(folder, tokenizer, sequence, max_tokens):
    """Hide each token in a row of its own, with the most context on either side."""
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    special = tokenizer.special
    ids = tokenizer.encode(sequence).tolist()
    room = max_tokens - 2
    table = []
    for i, true in enumerate(ids):
        first, last = 0, len(ids)
        while last - first > room:  # drop the token that is further away, the right one of equals
            if i - first > last - 1 - i:
                first += 1
            else:
                last -= 1
        row = [special.bos, *ids[first:i], special.mask, *ids[i + 1 : last], special.eos]
        logits = model(torch.tensor([row])).logits[0, i - first + 1]
        p = logits.softmax(-1)
        table.append((float(p[true]), int(p.argmax()), float(p.max())))
    return table


@pytest.mark.parametrize(("length", "batch_size"), [(1, 4), (12, 5), (90, 32)])
def test_agrees_with_the_definition(masked_folder, length, batch_size, device):
    loaded = load(masked_folder)
    sequence = dna(length, length)
    found = masked_probabilities(loaded, sequence, batch_size=batch_size, device=device)
    assert length < 90 or len(found.token_ids) > 24  # more than the model takes at once
    p_true, best, p_best = zip(*slow(masked_folder, loaded.tokenizer, sequence, 24), strict=True)
    np.testing.assert_allclose(found.probability, p_true, atol=1e-5)
    np.testing.assert_allclose(found.best_probability, p_best, atol=1e-5)
    assert found.best_ids.tolist() == list(best)
    assert found.token_ids.tolist() == loaded.tokenizer.encode(sequence).tolist()
    assert found.starts.tolist() == [0, *found.ends[:-1].tolist()]
    assert found.ends[-1] == length


def test_sequences_that_share_batches_get_what_they_get_alone(masked_folder):
    loaded = load(masked_folder)
    texts = [dna(n, "many", n) for n in (30, 3, 60, 3, 17)]
    seen = []
    together = masked_many(
        loaded, texts, batch_size=11, progress=lambda done, total: seen.append((done, total))
    )
    for text, found in zip(texts, together, strict=True):
        alone = masked_probabilities(loaded, text)
        for name, a, b in zip(found._fields, found, alone, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5, err_msg=name)
    total = sum(len(found.token_ids) for found in together)
    assert seen[-1] == (total, total)


def test_the_model_keeps_mode_and_device(masked_folder, device):
    loaded = load(masked_folder)
    loaded.model.train()
    masked_probabilities(loaded, "ACGT", device=device)
    assert loaded.model.training
    assert next(loaded.model.parameters()).device.type == "cpu"


def test_a_tokenizer_without_special_tokens_around(tmp_path):
    """The book's: position p of the sequence is token p."""
    tokenizer = book_tokenizer()
    assert tokenizer.special.bos is None
    config = EncoderConfig(
        family="bert",
        vocab_size=tokenizer.vocab_size,
        hidden_size=8,
        num_layers=1,
        num_heads=2,
        intermediate_size=8,
        max_positions=20,
        pad_token_id=tokenizer.special.pad,
    )
    torch.manual_seed(0)
    model = MaskedLM(config).eval()
    loaded = LoadedModel(model, tokenizer, "masked", (), tmp_path)
    ids = tokenizer.encode("ACGTTG")
    found = masked_probabilities(loaded, "acGTtG")  # soft-masked bases are no unknown letters
    assert found.token_ids.tolist() == ids.tolist() == [0, 2, 3, 1, 1, 3]
    for i in range(6):
        row = torch.from_numpy(ids.astype(np.int64))[None].clone()
        row[0, i] = tokenizer.special.mask
        with torch.no_grad():
            p = model(row)[0, i].softmax(-1)
        assert found.probability[i] == pytest.approx(float(p[ids[i]]), abs=1e-6)


def test_tokens_that_overlap(masked_folder):
    loaded = load(masked_folder)
    with pytest.raises(StateError, match="its tokens overlap by 2 bases, so the neighbours of a"):
        masked_probabilities(loaded._replace(tokenizer=dnabert_tokenizer(3)), "ACGT")


def test_no_mask_token(masked_folder):
    loaded = load(masked_folder)

    class Unmasked:
        special = loaded.tokenizer.special._replace(mask=None)

    with pytest.raises(StateError, match="its tokenizer has no mask token: nothing can be hidden"):
        masked_probabilities(loaded._replace(tokenizer=Unmasked()), "ACGT")
