"""Soft-masked tokens: which they are, where they are kept, and what their loss counts."""

import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data.softmask import SoftmaskBits, write_softmask
from helixlm.errors import StateError
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe import bpe_tokenizer, row_dropout
from helixlm.tokenizers.char import char_tokenizer
from helixlm.tokenizers.kmer import nt_tokenizer
from helixlm.tokenizers.kmer_overlapping import dnabert_tokenizer
from helixlm.train.batches import BatchConfig
from helixlm.train.drawn import DrawnRows
from helixlm.train.loop import seed_of_pass
from helixlm.train.loss import summed_loss
from helixlm.train.masking import MaskingConfig
from helixlm.train.packing import RowPlan
from helixlm.train.softmask import softmasked
from helixlm.train.stream import TrainingStream

from .test_loop import losses
from .toy import TOY_BPE, VOCABULARY, ToySoftmask, make_documents, make_pieces, toy_fit, toy_model

GENA = bpe_tokenizer([("A", "C"), ("G", "T")], special_order="gena-lm")
TOKENIZERS = {
    "bpe": TOY_BPE,
    "nt": nt_tokenizer(2, k=3),
    "char": char_tokenizer(),
    "dnabert": dnabert_tokenizer(3),
    "gena-lm": GENA,
}
HASHES = {"tokenizer_sha256": "a" * 64, "corpus_sha256": "b" * 64}


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(deadline=None, max_examples=60)
@given(st.text("ACGTacgtNn", min_size=3, max_size=60))
def test_a_token_is_soft_masked_if_half_of_its_letters_are(name, text):
    tokenizer = TOKENIZERS[name]
    shown = text.upper() if tokenizer.keeps_case else text
    found = softmasked(tokenizer, tokenizer.encode(shown), text)
    encoding = tokenizer.encode_with_offsets(shown)
    pieces = [text[a:b] for a, b in zip(encoding.starts, encoding.ends, strict=True)]
    assert found.tolist() == [2 * sum(map(str.islower, piece)) >= len(piece) for piece in pieces]


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.booleans(), min_size=1, max_size=40), min_size=1, max_size=12),
    st.data(),
)
def test_bits_are_read_as_they_were_written(tmp_path_factory, documents, data):
    folder = tmp_path_factory.mktemp("bits") / "softmask"
    written = [np.array(document) for document in documents]
    bits = write_softmask(folder, {"train": written}, **HASHES)["train"]
    flat = np.concatenate(written)
    assert bits.num_tokens == len(flat)
    assert (folder / "train.bin").stat().st_size == -(-len(flat) // 8)
    start = data.draw(st.integers(0, len(flat)))
    stop = data.draw(st.integers(start, len(flat)))
    assert bits.tokens(start, stop).tolist() == flat[start:stop].tolist()
    sent = pickle.loads(pickle.dumps(bits))
    assert sent.tokens(start, stop).tolist() == flat[start:stop].tolist()


def test_many_bits_and_another_store(tmp_path):
    documents = [CounterRng("bits", n).uniform(700_001) < 0.3 for n in range(4)]
    write_softmask(tmp_path / "a", {"train": documents}, **HASHES)
    again = write_softmask(tmp_path / "a", {"train": iter(())}, **HASHES)["train"]
    assert (again.tokens(0, again.num_tokens) == np.concatenate(documents)).all()
    with pytest.raises(StateError, match="corpus"):
        write_softmask(tmp_path / "a", {"train": []}, **{**HASHES, "corpus_sha256": "c" * 64})


def weights_of(stream, step, causal):
    """Row and position of each token that is asked for, with its weight."""
    found = {}
    for number, micro in enumerate(stream[step].micro):
        size = micro.input_ids_BL.shape[1]
        for at, label, weight in zip(
            micro.masked_index_M.tolist(),
            micro.labels_M.tolist(),
            micro.weight_M.tolist(),
            strict=True,
        ):
            if label >= 0:
                found[number * len(micro.input_ids_BL) * size + at + causal] = weight
            else:
                assert weight == 0
    return found


@pytest.mark.parametrize("packing", ["documents", "single", "concatenate"])
@pytest.mark.parametrize("masking", [MaskingConfig(), None], ids=["masked", "causal"])
def test_weights_are_those_of_the_tokens_of_the_store(packing, masking):
    documents = make_documents(60)
    # Each token is known by its place in the store: ids are replaced by places.
    places = make_documents(60)
    places._flat = np.arange(len(places._flat)) + 5
    config = BatchConfig(packing=packing, row_tokens=32, rows=8, softmask_weight=0.1)
    soft = ToySoftmask()
    plan = RowPlan(documents, config, VOCABULARY, 0, softmask=soft)
    numbered = RowPlan(places, config, VOCABULARY._replace(size=5000), 0, softmask=soft)
    stream = TrainingStream(plan, masking, seed=3, micro_rows=4)
    for step in range(3):
        rows = [numbered.row(stream._row_of_sample(8 * step + n)).ids_L for n in range(8)]
        place = np.concatenate(rows) - 5
        found = weights_of(stream, step, causal=masking is None)
        assert len(found) == stream[step].num_masked
        for at, weight in found.items():
            assert weight == pytest.approx(0.1 if place[at] % 10 < 3 else 1.0)
        assert stream[step].weight == pytest.approx(sum(found.values()))


@pytest.mark.parametrize("dropout", [None, row_dropout(TOY_BPE, 0.3)], ids=["plain", "dropout"])
def test_weights_of_drawn_windows_go_by_the_letters_that_are_drawn(dropout):
    """Lower-case letters are A, so that what is shown tells which tokens are soft-masked."""
    texts = ["".join("aCGT"[i] for i in CounterRng("w", n).integers(0, 4, 60)) for n in range(30)]
    vocabulary = VOCABULARY._replace(token_bp=TOY_BPE.token_bp)
    config = BatchConfig(
        packing="drawn", row_tokens=32, rows=8, drawn_bp=40, jitter_bp=9, softmask_weight=0.25
    )
    plan = DrawnRows(make_pieces(texts), config, vocabulary, TOY_BPE, 0)
    stream = TrainingStream(plan, MaskingConfig(), seed=3, micro_rows=4, dropout=dropout)
    names = TOY_BPE.tokens
    for step in range(4):
        for micro in stream[step].micro:
            for label, weight in zip(micro.labels_M.tolist(), micro.weight_M.tolist(), strict=True):
                if label >= 0:
                    soft = 2 * names[label].count("A") >= len(names[label])
                    assert weight == (0.25 if soft else 1.0)


def test_the_weighted_loss_is_that_of_a_slow_loop():
    logits = torch.randn(6, 7, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([3, -100, 0, 6, -100, 2])
    weights = [1.0, 0.0, 0.1, 0.1, 0.0, 1.0]
    expected = sum(
        -weight * F.log_softmax(row, 0)[label].item()
        for row, label, weight in zip(logits, labels.tolist(), weights, strict=True)
        if label >= 0
    )
    found = summed_loss(logits, labels, torch.tensor(weights))
    assert found.item() == pytest.approx(expected, rel=1e-6)
    ones = summed_loss(logits, labels, (labels >= 0).float())
    assert ones.item() == pytest.approx(summed_loss(logits, labels).item(), rel=1e-6)


def test_a_step_divides_by_the_sum_of_weights(tmp_path):
    """And validation weighs all tokens alike: the first one is that of a run without weights."""
    toy_fit(tmp_path / "soft", batch={"softmask_weight": 0.1}, steps=1, warmup_steps=0, log_every=1)
    toy_fit(tmp_path / "plain", steps=1, warmup_steps=0, log_every=1)
    (check, train, _), (check_too, train_too, _) = (
        losses(tmp_path / "soft"),
        losses(tmp_path / "plain"),
    )
    assert check == check_too
    config = BatchConfig(row_tokens=32, rows=8, softmask_weight=0.1)
    plan = RowPlan(make_documents(300), config, VOCABULARY, 0, softmask=ToySoftmask())
    model = toy_model().train()
    total = weight = 0.0
    batch = TrainingStream(plan, MaskingConfig(), seed=3, micro_rows=4)[0]
    for number, micro in enumerate(batch.micro):
        logits = model(
            micro.input_ids_BL,
            document_ids_BL=micro.document_ids_BL,
            masked_index_M=micro.masked_index_M,
            dropout_seed=torch.tensor(seed_of_pass(3, 0, number, 0)),
        )
        for row, label, w in zip(logits, micro.labels_M, micro.weight_M, strict=True):
            if label >= 0:
                total -= w.item() * F.log_softmax(row, 0)[label].item()
                weight += w.item()
    assert train["loss"] == pytest.approx(total / weight, rel=1e-5)
    assert train["masked_tokens"] == train_too["masked_tokens"]
    assert train["loss"] != pytest.approx(train_too["loss"], rel=1e-5)


def test_tokens_that_are_drawn_anew_have_no_stored_mask():
    with pytest.raises(ValueError, match=r"softmask_weight 0\.1 goes by the tokens of the store"):
        BatchConfig(softmask_weight=0.1, bpe_dropout=0.1)
    BatchConfig(softmask_weight=0.1, bpe_dropout=0.1, packing="drawn")


def test_only_the_path_of_bits_travels(tmp_path):
    bits = write_softmask(tmp_path / "a", {"train": [np.ones(10**6, bool)]}, **HASHES)["train"]
    bits.tokens(0, 10)
    assert isinstance(bits, SoftmaskBits)
    assert len(pickle.dumps(bits)) < 1000
