"""Rows and batches: every token once, document by document; a pure function of (seed, step)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from helixlm.data.store import open_store, write_store
from helixlm.errors import InputError
from helixlm.rng import CounterRng
from helixlm.tokenizers.bpe import row_dropout
from helixlm.train.batches import BatchConfig, Vocabulary
from helixlm.train.masking import MaskingConfig
from helixlm.train.packing import RowPlan
from helixlm.train.stream import TrainingStream

from .toy import TOY_BPE, VOCABULARY, ToyDocuments, make_documents

BARE = VOCABULARY._replace(bos=None, eos=None)


def plan(documents, packing="documents", row_tokens=32, rows=8, vocabulary=VOCABULARY, seed=0):
    config = BatchConfig(packing=packing, row_tokens=row_tokens, rows=rows)
    return RowPlan(documents, config, vocabulary, seed)


def stream(a_plan, **changes):
    settings = {"seed": 3, "micro_rows": 4, **changes}
    return TrainingStream(a_plan, MaskingConfig(), **settings)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=60),
    st.sampled_from([VOCABULARY, BARE]),
    st.integers(0, 99),
)
def test_packing_holds_every_document_once(lengths, vocabulary, seed):
    starts = np.cumsum(lengths) - lengths
    documents = ToyDocuments(
        [(start + np.arange(n)) % 60_000 + 5 for start, n in zip(starts, lengths, strict=True)]
    )
    a_plan = plan(documents, vocabulary=vocabulary, seed=seed)
    room = 32 - (2 if vocabulary.bos is not None else 0)
    expected = []
    for index in range(len(lengths)):
        ids = documents.document(index)
        expected += [tuple(ids[at : at + room]) for at in range(0, len(ids), room)]
    found = []
    for index in range(a_plan.num_rows):
        row = a_plan.row(index)
        assert row.ids_L.shape == row.document_L.shape == (32,)
        assert (row.ids_L[row.document_L == 0] == vocabulary.pad).all()
        for number in range(1, row.document_L.max() + 1):
            at = np.flatnonzero(row.document_L == number)
            assert (np.diff(at) == 1).all()
            piece = row.ids_L[at].tolist()
            if vocabulary.bos is not None:
                assert (piece[0], piece[-1]) == (vocabulary.bos, vocabulary.eos)
                piece = piece[1:-1]
            found.append(tuple(piece))
    assert sorted(found) == sorted(expected)


def test_packing_leaves_little_room():
    documents = make_documents(3000, low=10, high=200)
    a_plan = plan(documents, row_tokens=512)
    used = documents.lengths.sum() + 2 * len(documents.lengths)
    assert used / (a_plan.num_rows * 512) > 0.97


def slow_group_texts(documents, row_tokens):
    """`group_texts` of the published script, over map batches of 1,000 lines."""
    rows = []
    for first in range(0, len(documents.lengths), 1000):
        joined = []
        for index in range(first, min(first + 1000, len(documents.lengths))):
            joined += [0, *documents.document(index).tolist(), 2]
        total = len(joined) // row_tokens * row_tokens
        rows += [joined[at : at + row_tokens] for at in range(0, total, row_tokens)]
    return rows


@pytest.mark.parametrize("count", [1, 40, 999, 1000, 1001, 2300])
def test_concatenate_is_group_texts_of_the_published_script(count):
    documents = make_documents(count, low=20, high=40)
    expected = slow_group_texts(documents, 16)
    a_plan = plan(documents, "concatenate", row_tokens=16)
    assert a_plan.num_rows == len(expected)
    assert [a_plan.row(i).ids_L.tolist() for i in range(a_plan.num_rows)] == expected
    assert a_plan.row(0).document_L is None


@pytest.mark.parametrize("packing", ["documents", "concatenate"])
def test_every_epoch_holds_every_row_once_in_another_order(packing):
    a_plan = plan(make_documents(100), packing)
    a_stream = stream(a_plan)
    order = [
        [a_stream._row_of_sample(e * a_plan.num_rows + i) for i in range(a_plan.num_rows)]
        for e in range(3)
    ]
    assert all(sorted(x) == list(range(a_plan.num_rows)) for x in order)
    assert order[0] != order[1] != order[2]


def same(one, two):
    for a, b in zip(one.micro, two.micro, strict=True):
        for x, y in zip(a, b, strict=True):
            assert (x is None and y is None) or torch.equal(x, y)
    assert one[2:] == two[2:]


DROPOUTS = [None, row_dropout(TOY_BPE, 0.3)]


@pytest.mark.parametrize("dropout", DROPOUTS, ids=["plain", "dropout"])
def test_a_step_does_not_depend_on_the_steps_before(dropout):
    fresh = stream(plan(make_documents(100)), dropout=dropout)
    used = stream(plan(make_documents(100)), dropout=dropout)
    for step in range(30):
        used[step]
    same(fresh[29], used[29])


@pytest.mark.parametrize("dropout", DROPOUTS, ids=["plain", "dropout"])
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_with_any_number_of_workers(workers, dropout, tmp_path):
    toy = make_documents(60)
    written = (toy.document(index) for index in range(60))
    hashes = {"tokenizer_sha256": "0" * 64, "corpus_sha256": "1" * 64}
    write_store(tmp_path / "store", {"train": written}, vocab_size=17, **hashes)
    a_stream = stream(plan(open_store(tmp_path / "store").split("train")), dropout=dropout)
    same(a_stream[4], stream(plan(toy), dropout=dropout)[4])
    loader = torch.utils.data.DataLoader(
        a_stream,
        batch_size=None,
        sampler=range(3, 7),
        num_workers=workers,
        multiprocessing_context="spawn" if workers else None,
    )
    for step, batch in zip(range(3, 7), loader, strict=True):
        assert batch.step == step
        same(batch, a_stream[step])


@pytest.mark.parametrize("dropout", DROPOUTS, ids=["plain", "dropout"])
@pytest.mark.parametrize("packing", ["documents", "concatenate"])
def test_devices_and_micro_batches_share_the_same_rows(packing, dropout):
    a_plan = plan(make_documents(100), packing)
    whole = stream(a_plan, micro_rows=8, dropout=dropout)[5]
    for world_size, micro_rows in ((1, 2), (2, 4), (4, 1)):
        parts = [
            stream(
                a_plan, micro_rows=micro_rows, rank=rank, world_size=world_size, dropout=dropout
            )[5]
            for rank in range(world_size)
        ]
        ids = torch.cat([micro.input_ids_BL for part in parts for micro in part.micro])
        assert torch.equal(ids, whole.micro[0].input_ids_BL)
        for count in ("num_masked", "masked_bp", "num_tokens"):
            assert sum(getattr(part, count) for part in parts) == getattr(whole, count)
        labels = torch.cat([m.labels_M[m.labels_M >= 0] for p in parts for m in p.micro])
        assert torch.equal(labels, whole.micro[0].labels_M[whole.micro[0].labels_M >= 0])


def test_labels_are_the_tokens_under_the_mask_and_counts_add_up():
    documents = make_documents(100)
    a_plan = plan(documents)
    batch = stream(a_plan)[2]
    true = np.stack([a_plan.row(stream(a_plan)._row_of_sample(16 + i)).ids_L for i in range(8)])
    labels = []
    for number, micro in enumerate(batch.micro):
        used = micro.labels_M >= 0
        flat = true[number * 4 : number * 4 + 4].ravel()
        assert (flat[micro.masked_index_M[used]] == micro.labels_M[used].numpy()).all()
        labels += micro.labels_M[used].tolist()
        untouched = np.ones(flat.size, dtype=bool)
        untouched[micro.masked_index_M[used]] = False
        assert (micro.input_ids_BL.numpy().ravel()[untouched] == flat[untouched]).all()
    assert min(labels) >= 5
    assert batch.num_masked == len(labels)
    assert batch.masked_bp == sum(int(VOCABULARY.token_bp[x]) for x in labels)
    assert batch.num_tokens == (true != VOCABULARY.pad).sum()


def test_training_and_validation_draw_different_masks():
    a_plan = plan(make_documents(100))
    one, two = stream(a_plan)[0], stream(a_plan, purpose="validation")[0]
    assert not torch.equal(one.micro[0].masked_index_M, two.micro[0].masked_index_M)


def test_the_published_special_order_works_too():
    vocabulary = Vocabulary(17, 0, 1, 3, 4, (0, 1, 2, 3, 4), VOCABULARY.token_bp)
    row = plan(make_documents(20), vocabulary=vocabulary).row(0)
    assert (row.ids_L[row.document_L == 0] == 3).all()


def test_too_few_tokens_are_refused():
    with pytest.raises(InputError, match="3 tokens in 1 documents do not fill one row of 32"):
        plan(ToyDocuments([np.array([5, 6, 7])]), "concatenate")


def test_rows_that_cannot_be_shared_out_are_refused():
    with pytest.raises(InputError, match=r"8 rows a step do not divide over 1 device\(s\) with"):
        stream(plan(make_documents(30)), micro_rows=3)


def dna_documents(count=60):
    """Documents of random bases, some of them unknown, as byte pairs; and their text."""
    texts = []
    for number, length in enumerate(CounterRng("dna").integers(5, 120, count)):
        codes = CounterRng("dna", number).choice([5, 4, 4, 5, 1], int(length))
        texts.append("".join("ACGTN"[i] for i in codes))
    return ToyDocuments(TOY_BPE.encode_batch(texts)), texts


def rows_of(a_stream, step):
    """The rows of a step with the labels put back where tokens were hidden."""
    rows = []
    for micro in a_stream[step].micro:
        ids = micro.input_ids_BL.clone()
        used = micro.labels_M >= 0
        ids.view(-1)[micro.masked_index_M[used]] = micro.labels_M[used]
        rows.append(ids.numpy())
    return np.concatenate(rows)


@pytest.mark.parametrize("p", [0.1, 0.5])
@pytest.mark.parametrize("packing", ["documents", "concatenate"])
def test_dropout_keeps_rows_and_special_tokens_and_shows_stretches_of_documents(packing, p):
    documents, texts = dna_documents()
    a_plan = plan(documents, packing)
    plain, dropped = stream(a_plan), stream(a_plan, dropout=row_dropout(TOY_BPE, p))
    marks = [0, 1, 2]  # <s> <pad> </s>; <unk> is a base
    same_pieces = pieces = 0
    for step in range(8):
        before, after = rows_of(plain, step), rows_of(dropped, step)
        assert ((before == after) | ~np.isin(before, marks)).all()
        assert (np.isin(before, marks) == np.isin(after, marks)).all()
        for one, two in zip(before, after, strict=True):
            edges = np.flatnonzero(np.diff(np.isin(one, marks))) + 1
            for was, now in zip(np.split(one, edges), np.split(two, edges), strict=True):
                if was[0] in marks:
                    continue
                assert TOY_BPE.decode(now) in TOY_BPE.decode(was)
                assert any(TOY_BPE.decode(was) in text for text in texts)
                pieces += 1
                same_pieces += (was == now).all()
        for micro, other in zip(plain[step].micro, dropped[step].micro, strict=True):
            if packing == "documents":
                assert torch.equal(micro.document_ids_BL, other.document_ids_BL)
    assert same_pieces < 0.7 * pieces


def test_dropout_differs_between_the_epochs_of_a_row_and_between_its_copies():
    text = "ACAGTCTTACGAACGT" * 3
    documents = ToyDocuments(TOY_BPE.encode_batch([text] * 16))
    a_stream = stream(plan(documents, row_tokens=32), dropout=row_dropout(TOY_BPE, 0.3))
    rows = {tuple(row) for step in range(4) for row in rows_of(a_stream, step).tolist()}
    assert len(rows) > 28  # of 32


def test_the_counts_of_a_step_are_those_of_what_is_shown():
    documents, _ = dna_documents()
    vocabulary = VOCABULARY._replace(token_bp=TOY_BPE.token_bp)
    a_plan = plan(documents, vocabulary=vocabulary)
    batch = stream(a_plan, dropout=row_dropout(TOY_BPE, 0.5))[0]
    labels = torch.cat([m.labels_M[m.labels_M >= 0] for m in batch.micro]).tolist()
    assert batch.num_masked == len(labels)
    assert batch.masked_bp == len(TOY_BPE.decode(labels))


def test_dropout_without_borders_between_documents_is_refused():
    documents, _ = dna_documents()
    dropout = row_dropout(TOY_BPE, 0.1)
    stream(plan(documents, vocabulary=BARE), dropout=dropout)
    with pytest.raises(InputError, match="would merge across documents: set batches"):
        stream(plan(documents, "concatenate", vocabulary=BARE), dropout=dropout)
