"""The loop: what it learns, that it resumes bit for bit, and how it stops."""

import errno
import json
import math
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import AutoModelForMaskedLM

from helixlm.errors import StateError
from helixlm.train import checkpoint
from helixlm.train.batches import BatchConfig
from helixlm.train.checkpoint import CheckpointError, latest_checkpoint
from helixlm.train.loop import NonFiniteError, seed_of_pass
from helixlm.train.loss import summed_loss
from helixlm.train.masking import MaskingConfig
from helixlm.train.metrics import read_lines
from helixlm.train.packing import RowPlan
from helixlm.train.stream import TrainingStream

from . import toy
from .toy import VOCABULARY, make_documents, toy_fit, toy_model

TIMES = ("tokens_per_second", "mfu", "seconds")


def losses(folder):
    return [
        {key: value for key, value in record.items() if key not in TIMES}
        for record in read_lines(folder / "metrics.jsonl")
    ]


def weights(folder, step=12):
    return load_file(folder / "checkpoints" / f"step-{step:08d}" / "model.safetensors")


def assert_same_run(one, two, step=12):
    assert losses(one) == losses(two)
    a, b = weights(one, step), weights(two, step)
    assert a.keys() == b.keys()
    for name, tensor in a.items():
        assert torch.equal(tensor, b[name]), name


def run_process(folder, *arguments, status=0):
    script = Path(__file__).with_name("run_toy.py")
    done = subprocess.run(
        [sys.executable, script, folder, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        start_new_session=True,  # A signal to its group is not one to us.
    )
    assert done.returncode == status, done.stderr
    return done


def test_it_learns_more_than_counting_and_writes_what_it_promises(tmp_path):
    result = toy_fit(
        tmp_path, steps=150, lr=0.02, validate_every=50, checkpoint_every=50, keep_checkpoints=1
    )
    assert result.finished
    assert result.stopped_by is None
    assert result.best_loss < result.baselines.unigram.loss
    records = losses(tmp_path)
    assert [r["step"] for r in records if r["kind"] == "validation"] == [0, 50, 100, 150]
    assert [r["step"] for r in records if r["kind"] == "train"] == list(range(2, 151, 2))
    first = records[0]
    assert first["loss"] == pytest.approx(math.log(17), abs=0.05)  # untrained: any of 17 tokens
    assert first["unigram_loss"] == result.baselines.unigram.loss
    assert result.best_loss == min(r["loss"] for r in records if r["kind"] == "validation")
    assert result.checkpoint.name == f"step-{result.best_step:08d}"
    kept = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert kept == {"step-00000150", result.checkpoint.name}
    AutoModelForMaskedLM.from_pretrained(result.checkpoint)  # plain transformers reads it


def test_the_first_losses_are_those_of_a_plain_loop(tmp_path):
    """The definition: one big batch, one mean over masked tokens, torch's AdamW."""
    toy_fit(tmp_path, steps=3, warmup_steps=0, log_every=1, micro_rows=4, clip_norm=1e9)
    model = toy_model()
    decayed = [p for n, p in model.named_parameters() if not ("norm" in n or n.endswith("bias"))]
    other = [p for n, p in model.named_parameters() if "norm" in n or n.endswith("bias")]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 1e-5}, {"params": other, "weight_decay": 0.0}]
    )
    plan = RowPlan(make_documents(300), BatchConfig(row_tokens=32, rows=8), VOCABULARY, 0)
    stream = TrainingStream(plan, MaskingConfig(), seed=3, micro_rows=4)
    found = [r["loss"] for r in losses(tmp_path) if r["kind"] == "train"]
    for step in range(3):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * (1 - step / 3)
        total, count = 0.0, 0
        model.train()
        for number, micro in enumerate(stream[step].micro):
            seed = torch.tensor(seed_of_pass(3, step, number, 0))
            logits = model(
                micro.input_ids_BL,
                document_ids_BL=micro.document_ids_BL,
                masked_index_M=micro.masked_index_M,
                dropout_seed=seed,
            )
            total = total + summed_loss(logits, micro.labels_M)
            count += int((micro.labels_M >= 0).sum())
        (total / count).backward()
        assert found[step] == pytest.approx(total.item() / count, rel=1e-5)
        optimizer.step()
        optimizer.zero_grad()


KILLS = [3, 5, 9]
DRAWN = ["packing=drawn", "reverse_complement=0.5"]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(["num_workers=0", "rows=8"], id="plain"),
        pytest.param(["packing=concatenate", "rows=4"], id="concatenate"),
        pytest.param(["bpe_dropout=0.3"], id="bpe-dropout"),
        pytest.param(
            [
                "packing=single",
                "masking={kind: spans, rate: 0.5, rate_changes: [{from_step: 6, rate: 0.3}]}",
                "batch={order: ascending, pad_multiple: 4, stages: [{row_tokens: 8, steps: 4}]}",
            ],
            id="spans-rates-both-warm-ups",
        ),
        pytest.param([*DRAWN, "rows=32"], id="drawn"),  # 300 pieces: from step 10 on drawn again
        pytest.param(
            ["compile=true", "precision=bf16", "rows=4"],
            id="bf16-compiled",
            marks=pytest.mark.skipif(
                not shutil.which("g++"), reason="generating code for the CPU needs g++"
            ),
        ),
    ],
)
def test_a_run_killed_three_times_is_the_run_that_was_not(tmp_path, settings):
    run_process(tmp_path / "whole", *settings)
    kills = KILLS[:1] if "compile=true" in settings else KILLS  # compiling takes its time
    for step in kills:
        run_process(tmp_path / "killed", f"--kill-at={step}", *settings, status=-signal.SIGKILL)
    run_process(tmp_path / "killed", *settings)
    assert_same_run(tmp_path / "whole", tmp_path / "killed")


def leave_at(last):
    """What stands for a kill: nothing is written after it."""

    def progress(step, steps, metrics):
        if step == last:
            raise InterruptedError

    return progress


ASCENDING = {"order": "ascending", "pad_multiple": 4}
STAGES = {"stages": [{"row_tokens": 8, "steps": 4}, {"row_tokens": 16, "steps": 4}]}
SOFT = {"softmask_weight": 0.1}
SPANS = {"kind": "spans", "rate_changes": [{"from_step": 6, "rate": 0.3}]}


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"masking": SPANS}, id="spans-rates"),
        pytest.param({"masking": None}, id="causal"),
        pytest.param({"packing": "drawn", "rows": 32, "batch": ASCENDING}, id="ascending"),
        pytest.param({"packing": "single", "batch": {**STAGES, **SOFT}}, id="stages-softmask"),
        pytest.param({"packing": "drawn", "batch": {**STAGES, **SOFT}}, id="drawn-stages"),
    ],
)
def test_a_run_left_three_times_is_the_run_that_was_not(tmp_path, settings):
    toy_fit(tmp_path / "whole", **settings)
    for step in KILLS:
        with pytest.raises(InterruptedError):
            toy_fit(tmp_path / "left", **settings, progress=leave_at(step))
    toy_fit(tmp_path / "left", **settings)
    assert_same_run(tmp_path / "whole", tmp_path / "left")


@pytest.mark.parametrize("drawn", [[], DRAWN], ids=["documents", "drawn"])
@pytest.mark.parametrize("p", [0.0, 0.3])
def test_workers_change_nothing_also_across_a_kill(tmp_path, p, drawn):
    given = (f"bpe_dropout={p}", *drawn)
    run_process(tmp_path / "none", *given)
    run_process(tmp_path / "two", "--kill-at=6", "num_workers=2", *given, status=-signal.SIGKILL)
    run_process(tmp_path / "two", "num_workers=0", *given)
    assert_same_run(tmp_path / "none", tmp_path / "two")


def test_validation_and_baselines_know_nothing_of_bpe_dropout(tmp_path):
    """Both begin with the same weights: the first validation is the same, what follows is not."""
    plain = toy_fit(tmp_path / "plain")
    dropped = toy_fit(tmp_path / "dropped", bpe_dropout=0.5)
    assert plain.baselines == dropped.baselines
    (first, *rest), (first_too, *rest_too) = (
        losses(tmp_path / "plain"),
        losses(tmp_path / "dropped"),
    )
    assert first == first_too
    assert all(one["loss"] != two["loss"] for one, two in zip(rest, rest_too, strict=True))
    last, last_too = rest[-1], rest_too[-1]
    assert (last["kind"], last["masked_tokens"]) == ("validation", last_too["masked_tokens"])
    for name in ("unigram", "neighbour"):
        assert last[f"{name}_bits_per_base"] == last_too[f"{name}_bits_per_base"]


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_stops_after_the_step_and_saves_first(tmp_path, name):
    done = run_process(tmp_path / "stopped", "--kill-at=5", f"--signal={name}")
    assert done.stdout.split() == ["5", name]
    found = latest_checkpoint(tmp_path / "stopped" / "checkpoints")
    assert found is not None
    assert found.step == 5
    run_process(tmp_path / "stopped")
    run_process(tmp_path / "whole")
    assert_same_run(tmp_path / "stopped", tmp_path / "whole")


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_to_the_group_leaves_the_workers_to_the_loop(tmp_path, name):
    signals = ("--kill-at=5", f"--signal={name}", "--group")
    done = run_process(tmp_path / "stopped", *signals, "num_workers=2")
    assert done.stdout.split() == ["5", name]
    assert latest_checkpoint(tmp_path / "stopped" / "checkpoints").step == 5


def test_the_best_step_is_kept_wherever_it_falls(tmp_path):
    def spoil(step, steps, metrics):
        if step == 7:
            with torch.no_grad():
                model.head.bias.mul_(-1.0).add_(torch.arange(17.0))

    model = toy_model()
    found = toy_fit(
        tmp_path, model=model, progress=spoil, validate_every=3, checkpoint_every=5, lr=1e-5
    )
    by_step = {
        r["step"]: r["loss"]
        for r in read_lines(tmp_path / "metrics.jsonl")
        if r["kind"] == "validation" and r["step"] > 0
    }
    best = min(by_step, key=by_step.get)
    assert best in (3, 6)  # No multiple of 5.
    assert (found.best_step, found.best_loss) == (best, by_step[best])
    assert found.checkpoint.name == f"step-{best:08d}"
    kept = load_file(found.checkpoint / "model.safetensors")["lm_head.bias"]
    assert kept.abs().max() < 1


def test_a_change_of_rate_falls_at_its_step_and_leaves_validation_as_it_is(tmp_path):
    changed = {"rate_changes": [{"from_step": 6, "rate": 0.5}]}
    toy_fit(tmp_path / "one", validate_every=5, log_every=1)
    toy_fit(tmp_path / "two", validate_every=5, log_every=1, masking=changed)
    masked = [
        {r["step"]: r["masked_tokens"] for r in losses(tmp_path / name) if r["kind"] == kind}
        for kind in ("train", "validation")
        for name in ("one", "two")
    ]
    assert [step for step in range(1, 13) if masked[1][step] != masked[0][step]] == list(
        range(7, 13)
    )
    assert masked[1][7] > 2 * masked[0][7]
    assert masked[2] == masked[3]


def test_a_causal_run_asks_for_all_tokens_but_the_first_of_documents(tmp_path):
    toy_fit(tmp_path, masking=None, steps=4, log_every=1)
    first = next(r for r in losses(tmp_path) if r["kind"] == "train")
    plan = RowPlan(make_documents(300), BatchConfig(row_tokens=32, rows=8), VOCABULARY, 0)
    batch = TrainingStream(plan, None, seed=3, micro_rows=8)[0]
    ids = batch.micro[0].input_ids_BL
    assert first["masked_tokens"] == (ids > 4).sum()  # each follows <s> or another


def test_a_step_without_a_masked_token_is_told(tmp_path):
    with pytest.raises(StateError, match=r"no token was masked, .*raise masking\.rate"):
        toy_fit(tmp_path / "all", masking=MaskingConfig(rate=1e-9))
    with pytest.raises(StateError, match=r"step \d+: none of \d+ tokens was masked"):
        toy_fit(tmp_path / "one", masking=MaskingConfig(rate=0.02), rows=1, micro_rows=1)


@pytest.mark.parametrize("split", ["toy", "check"])
def test_text_of_unknown_letters_alone_is_told(tmp_path, monkeypatch, split):
    """No rate helps where each token is <unk>, as of a run of N."""
    real = toy.toy_plan

    def plan(count, key, config):
        if key != split:
            return real(count, key, config)
        unknown = toy.ToyDocuments([np.full(20, 3)] * 40)
        return RowPlan(unknown, config, toy.VOCABULARY, 0)

    monkeypatch.setattr(toy, "toy_plan", plan)
    message = r"only letters that the tokenizer does not know, such as N.*windows\.n=drop"
    with pytest.raises(StateError, match=message) as caught:
        toy.toy_fit(tmp_path, masking=MaskingConfig(rate=0.5))
    assert "masking.rate" not in str(caught.value)


def test_a_tracker_that_is_not_installed_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(StateError, match="this needs the package 'wandb', which is not installed"):
        toy_fit(tmp_path, track=["wandb"])


def test_a_finished_run_takes_no_more_steps(tmp_path):
    toy_fit(tmp_path)
    before = (tmp_path / "metrics.jsonl").read_text()
    again = toy_fit(tmp_path)
    assert again.finished
    assert (tmp_path / "metrics.jsonl").read_text() == before


def test_micro_batches_change_rounding_only(tmp_path):
    settings = {"steps": 4, "checkpoint_every": 4}
    still = {"hidden_dropout": 0.0, "attention_dropout": 0.0}
    for rows in (8, 2):
        toy_fit(tmp_path / str(rows), model=toy_model(**still), micro_rows=rows, **settings)
    one, two = weights(tmp_path / "8", 4), weights(tmp_path / "2", 4)
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=0, atol=2e-4)


def test_a_loss_that_is_not_finite_stops_before_the_update(tmp_path):
    def poison(step, steps, metrics):
        if step == 5:
            with torch.no_grad():
                model.head.bias[5] = math.nan

    model = toy_model()
    expected = r"step 6: the loss is nan .*Training stopped before the update; last good .* step 4"
    with pytest.raises(NonFiniteError, match=expected):
        toy_fit(tmp_path, model=model, progress=poison)
    found = latest_checkpoint(tmp_path / "checkpoints")
    assert found is not None
    assert found.step == 4
    assert all(t.isfinite().all() for t in load_file(found.path / "model.safetensors").values())


def test_a_run_of_another_corpus_is_not_resumed(tmp_path):
    toy_fit(tmp_path, steps=4, identity={"corpus": "a" * 64})
    with pytest.raises(StateError, match=r"written with another corpus \(sha256 aaaaaaaaaaaa, exp"):
        toy_fit(tmp_path, steps=4, identity={"corpus": "b" * 64})


def test_a_full_disk_leaves_the_checkpoint_before_usable(tmp_path, monkeypatch):
    real = checkpoint.save_file

    def full(tensors, path):
        if "step-00000008" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device")
        real(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(
        CheckpointError, match=r"checkpoint of step 8: the disk is full. .*step-0000"
    ):
        toy_fit(tmp_path)
    assert not list((tmp_path / "checkpoints").glob(".*"))
    monkeypatch.undo()
    assert toy_fit(tmp_path).finished
    toy_fit(tmp_path / "whole")
    assert weights(tmp_path).keys() == weights(tmp_path / "whole").keys()
    assert_same_run(tmp_path, tmp_path / "whole")


def test_tensorboard_gets_the_figures(tmp_path):
    toy_fit(tmp_path, track=["tensorboard"])
    [events] = (tmp_path / "helixlm").rglob("events.*")
    found = EventAccumulator(str(events.parent))
    found.Reload()
    shown = {e.step: e.value for e in found.Scalars("train/loss")}
    records = [r for r in read_lines(tmp_path / "metrics.jsonl") if r["kind"] == "train"]
    assert shown == pytest.approx({r["step"]: r["loss"] for r in records})


def test_metrics_are_json_lines(tmp_path):
    toy_fit(tmp_path, steps=4)
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        assert json.loads(line)["kind"] in ("train", "validation")


def test_progress_shows_the_loss_of_training_never_of_validation(tmp_path):
    seen = []
    toy_fit(
        tmp_path,
        steps=12,
        log_every=4,
        validate_every=3,
        progress=lambda step, steps, newest: seen.append((step, newest)),
    )
    logged = {
        record["step"]: record["loss"]
        for line in (tmp_path / "metrics.jsonl").read_text().splitlines()
        if (record := json.loads(line)).get("kind") == "train"
    }
    assert seen[0] == (1, {})
    for step, newest in seen:
        assert newest.get("loss") == logged.get(step // 4 * 4)
