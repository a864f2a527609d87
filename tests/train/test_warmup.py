"""Sequence length warm-up: rows from short to long within species, and stages of length."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from helixlm.rng import CounterRng
from helixlm.train.batches import BatchConfig, LengthStage, Sample, Stage
from helixlm.train.drawn import DrawnRows
from helixlm.train.masking import MaskingConfig
from helixlm.train.packing import RowPlan
from helixlm.train.stream import TrainingStream

from .toy import (
    TOY_BPE,
    VOCABULARY,
    ToyDocuments,
    make_documents,
    make_pieces,
    make_texts,
    toy_fit,
    toy_plan,
)


def stream_of(plan, **changes):
    return TrainingStream(plan, MaskingConfig(), **{"seed": 3, "micro_rows": 4, **changes})


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=40), st.booleans())
def test_single_rows_hold_one_document_or_a_part_of_one(lengths, bare):
    vocabulary = VOCABULARY._replace(bos=None, eos=None) if bare else VOCABULARY
    documents = ToyDocuments([np.arange(n) % 12 + 5 for n in lengths])
    config = BatchConfig(packing="single", row_tokens=32, rows=4)
    plan = RowPlan(documents, config, vocabulary, 0)
    room = 32 if bare else 30
    pieces = []
    for index in range(len(lengths)):
        ids = documents.document(index)
        pieces += [ids[at : at + room].tolist() for at in range(0, len(ids), room)]
    assert plan.num_rows == len(pieces)
    assert plan.tokens_of_rows().tolist() == [len(piece) for piece in pieces]
    for index, piece in enumerate(pieces):
        row = plan.row(index)
        wrapped = piece if bare else [0, *piece, 2]
        assert row.ids_L.tolist() == wrapped + [1] * (32 - len(wrapped))
        assert row.document_L.tolist() == [1] * len(wrapped) + [0] * (32 - len(wrapped))


@pytest.mark.parametrize("packing", ["single", "drawn"])
def test_rows_ascend_within_each_species_in_every_epoch(packing):
    config = BatchConfig(
        packing=packing, row_tokens=32, rows=4, drawn_bp=60, jitter_bp=1, order="ascending"
    )
    plan = toy_plan(100, "toy", config)
    stream = stream_of(plan)
    tokens, species = plan.tokens_of_rows(), plan.species
    assert len(set(tokens.tolist())) > 10
    orders = []
    for epoch in range(3):
        samples = range(epoch * plan.num_rows, (epoch + 1) * plan.num_rows)
        order = [stream._row_of_sample(sample) for sample in samples]
        assert sorted(order) == list(range(plan.num_rows))
        keys = [(species[row], tokens[row]) for row in order]
        assert keys == sorted(keys)
        orders.append(order)
    assert orders[0] != orders[1] != orders[2]  # rows with as many tokens are shuffled
    if packing == "drawn":  # with a single start the count is that of the row itself
        for row in range(plan.num_rows):
            ids = plan.row(row, Sample("train", 0, row)).ids_L
            assert min(30, tokens[row]) == (ids != VOCABULARY.pad).sum() - 2


def test_without_species_all_rows_ascend():
    config = BatchConfig(packing="single", row_tokens=64, rows=4, order="ascending")
    plan = RowPlan(make_documents(50), config, VOCABULARY, 0)
    stream = stream_of(plan)
    tokens = plan.tokens_of_rows()
    found = [tokens[stream._row_of_sample(sample)] for sample in range(50)]
    assert found == sorted(tokens)


@pytest.mark.parametrize("masking", [MaskingConfig(), None], ids=["masked", "causal"])
@pytest.mark.parametrize("packing", ["single", "drawn"])
def test_rows_that_are_padded_less_are_the_same_rows(packing, masking):
    given = {"packing": packing, "row_tokens": 32, "rows": 8, "drawn_bp": 40, "jitter_bp": 5}
    plans = [toy_plan(40, "toy", BatchConfig(**given, pad_multiple=m)) for m in (None, 4)]
    whole, cut = (TrainingStream(plan, masking, seed=1, micro_rows=2) for plan in plans)
    sizes = set()
    for step in range(6):
        for one, two in zip(whole[step].micro, cut[step].micro, strict=True):
            size = two.input_ids_BL.shape[1]
            sizes.add(size)
            longest = int((one.document_ids_BL > 0).sum(1).max())
            assert size == min(32, -(-longest // 4) * 4)
            assert torch.equal(one.input_ids_BL[:, :size], two.input_ids_BL)
            assert torch.equal(one.document_ids_BL[:, :size], two.document_ids_BL)
            asked = []
            for micro, length in ((one, 32), (two, size)):
                used = micro.labels_M >= 0
                row, at = np.divmod(micro.masked_index_M[used].numpy(), length)
                asked.append(list(zip(row, at, micro.labels_M[used].tolist(), strict=True)))
            assert asked[0] == asked[1]
        assert whole[step][2:] == cut[step][2:]
    assert len(sizes) > 1


def test_ascending_rows_have_less_padding_than_random_ones(tmp_path):
    shares = {}
    for order in ("random", "ascending"):
        batch = {"order": order, "pad_multiple": 1}
        given = {"packing": "single", "masking": {"rate": 0.5}, "steps": 30, "log_every": 30}
        toy_fit(tmp_path / order, batch=batch, **given)
        lines = (tmp_path / order / "metrics.jsonl").read_text().splitlines()
        shares[order] = next(json.loads(line)["padding"] for line in lines if '"train"' in line)
    assert shares["ascending"] < 0.4 * shares["random"]


def test_published_stages_hold_the_batch_in_tokens():
    """HyenaDNA's: 1,024 letters with a batch of 256 to 32,768 with 8."""
    lengths = [2**k for k in range(10, 15)]
    config = BatchConfig(
        packing="single",
        row_tokens=32_770,
        rows=8,
        stages=[{"row_tokens": n + 2, "steps": 5} for n in lengths],
    )
    assert [config.at_stage(s).rows for s in config.stages] == [256, 128, 64, 32, 16]
    assert all(config.at_stage(s).stages == () for s in config.stages)


def staged(packing="single", **given):
    config = BatchConfig(
        packing=packing,
        row_tokens=32,
        rows=4,
        drawn_bp=40,
        jitter_bp=5,
        stages=[{"row_tokens": 8, "steps": 3}, {"row_tokens": 16, "steps": 5}],
    )
    stages = [Stage(toy_plan(90, "toy", config.at_stage(s)), s.steps) for s in config.stages]
    return TrainingStream(
        toy_plan(90, "toy", config), MaskingConfig(), stages=stages, **{"seed": 3, **given}
    ), stages


@pytest.mark.parametrize("packing", ["single", "drawn", "documents", "concatenate"])
def test_stages_have_their_lengths_at_their_steps_and_go_through_all_rows(packing):
    stream, stages = staged(packing, micro_rows=2)
    shapes = [[tuple(m.input_ids_BL.shape) for m in stream[step].micro] for step in range(12)]
    assert shapes == [[(8, 8)] * 2] * 3 + [[(4, 16)] * 2] * 5 + [[(2, 32)] * 2] * 4
    samples = [0, 3 * 16, 3 * 16 + 5 * 8]  # where each phase begins
    for first, plan in zip(samples, [s.plan for s in stages], strict=False):
        count = min(plan.num_rows, samples[samples.index(first) + 1] - first)
        rows = [stream._row_of_sample(first + n) for n in range(count)]
        assert len(set(rows)) == count
    expected = 3 * 16 / stages[0].plan.num_rows + 5 * 8 / stages[1].plan.num_rows
    assert stream.epochs(8) == pytest.approx(expected)
    assert stream.epochs(2) == pytest.approx(2 * 16 / stages[0].plan.num_rows)


def test_shapes_are_lengths_times_rates():
    stream, stages = staged(micro_rows=4)
    assert stream.num_shapes == 3
    changes = MaskingConfig(rate_changes=[{"from_step": 5, "rate": 0.3}])
    assert TrainingStream(stages[0].plan, changes, seed=0, micro_rows=4).num_shapes == 2
    config = BatchConfig(packing="single", row_tokens=32, rows=4, pad_multiple=5)
    assert stream_of(toy_plan(20, "toy", config)).num_shapes == 7  # 5, 10, ... 30, 32


def test_devices_share_the_rows_of_stages():
    whole, _ = staged(micro_rows=4)
    parts = [staged(micro_rows=2, rank=rank, world_size=2)[0] for rank in range(2)]
    for step in (0, 4, 9):
        ids = torch.cat([m.input_ids_BL for part in parts for m in part[step].micro])
        assert torch.equal(ids, torch.cat([m.input_ids_BL for m in whole[step].micro]))


def test_drawn_windows_of_a_stage_are_shorter_and_lie_anywhere():
    texts = [text.upper() for text in make_texts(3, low=44, high=45)]
    config = BatchConfig(packing="drawn", row_tokens=32, rows=4, drawn_bp=40, jitter_bp=5)
    short = config.at_stage(LengthStage(row_tokens=8, steps=1))
    assert (short.drawn_bp, short.jitter_bp) == (10, 35)
    vocabulary = VOCABULARY._replace(token_bp=TOY_BPE.token_bp)
    plan = DrawnRows(make_pieces(texts), short, vocabulary, TOY_BPE, 0)
    windows = {plan.window(0, Sample("train", 0, n)) for n in range(2000)}
    assert windows == {texts[0][start : start + 10] for start in range(35)}


def test_a_run_without_stages_is_as_it_was():
    """The key of the order of rows knows nothing of stages."""
    plan = toy_plan(50, "toy", BatchConfig(row_tokens=32, rows=4))
    order = CounterRng("rows", "train", 3, 1).permutation(plan.num_rows)
    stream = stream_of(plan)
    found = [stream._row_of_sample(plan.num_rows + n) for n in range(plan.num_rows)]
    assert found == order.tolist()


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"order": "ascending"}, "order 'ascending' is for rows of one document each, and packing"),
        ({"pad_multiple": 64}, "pad_multiple 64 is for rows of one document each"),
        (
            {"stages": [{"row_tokens": 512, "steps": 3}]},
            r"stages with row_tokens \[512\] before row_tokens 512: expected each longer",
        ),
        (
            {"stages": [{"row_tokens": 64, "steps": 3}, {"row_tokens": 32, "steps": 3}]},
            "expected each longer than the one before",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused(settings_, message):
    with pytest.raises(ValidationError, match=message):
        BatchConfig(**settings_)
