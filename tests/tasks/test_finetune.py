"""Fine-tuning against transformers, step for step; what it learns, writes, repeats and refuses."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    get_linear_schedule_with_warmup,
)

from helixlm import load
from helixlm.errors import InputError, StateError
from helixlm.inference import classify, encode_rows
from helixlm.models.hf import save_model
from helixlm.tasks import finetune as module
from helixlm.tasks.config import FinetuneConfig
from helixlm.tasks.data import read_labelled
from helixlm.tasks.finetune import NonFiniteError, finetune, model_label, task_name
from helixlm.tasks.metrics import METRICS, score
from helixlm.tasks.order import BatchOrder
from helixlm.tasks.outputs import read_predictions
from helixlm.tasks.state import load_state, save_state, saved_step
from helixlm.tasks.table import read_table
from helixlm.train.metrics import read_lines

FAST = FinetuneConfig(
    max_steps=60, batch_size=32, lr=1e-2, warmup_steps=5, eval_every=20, log_every=7
)
SHORT = FAST.model_copy(update={"max_steps": 12, "eval_every": 4, "log_every": 3})


def same_weights(a, b):
    first, second = a.model.state_dict(), b.model.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


def metrics_of(folder):
    lines = read_lines(folder / "metrics.jsonl")
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def finished(model_folder, files, tmp_path_factory):
    """One run with everything, for all tests that only read it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return finetune(model_folder, **files, output=folder, config=FAST, seed=3, device="cpu")


def test_it_learns(finished):

    assert finished.test.mcc > 0.7
    assert finished.dev.mcc > 0.7
    assert finished.best_step in (20, 40, 60)


def test_scores_are_those_of_the_probabilities(finished, files):
    data = read_labelled(files["test"], label_names=("at", "gc"))
    assert finished.test == score(data.labels, finished.test_probabilities_NC)
    found = {(r.split, r.metric): r.value for r in finished.rows}
    assert found == {
        (split, metric): getattr(getattr(finished, split), metric)
        for split in ("dev", "test")
        for metric in METRICS
    }
    row = finished.rows[0]
    assert (row.suite, row.method, row.seed, row.lr) == ("", "pretrained", 3, 1e-2)
    assert row.model.startswith("tiny")
    assert "full fine-tuning, 60 steps of 32, best of 3 evaluations by dev MCC" in row.protocol


def test_the_best_on_dev_is_kept(finished):
    lines = [line for line in metrics_of(finished.output) if line["kind"] == "dev"]
    assert [line["step"] for line in lines] == [20, 40, 60]
    best = max(lines, key=lambda line: (line["mcc"], -line["loss"]))
    assert (best["step"], best["mcc"]) == (finished.best_step, finished.dev.mcc)


def test_metrics_lines(finished):
    lines = [line for line in metrics_of(finished.output) if line["kind"] == "train"]
    assert [line["step"] for line in lines] == [*range(7, 60, 7), 60]
    assert lines[0]["lr"] == pytest.approx(1e-2 * (60 - 6) / 55)
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=0.15)  # two classes, untrained
    assert lines[-1]["epoch"] == 60 / 8


def test_the_folder_loads_in_transformers_and_predicts_the_same(finished, files):
    folder = finished.output / "model"
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert model.config.id2label == {0: "at", 1: "gc"}
    data = read_labelled(files["test"], label_names=("at", "gc"))
    with torch.no_grad():
        found = [
            model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1)
            for text in data.sequences
        ]
    written = read_predictions(finished.output / "predictions.csv", ("at", "gc"))
    np.testing.assert_allclose(written, torch.stack(found), atol=1e-5)
    np.testing.assert_array_equal(written, finished.test_probabilities_NC)


def test_our_loader_reads_the_run(finished, files):
    loaded = load(finished.output)
    assert (loaded.kind, loaded.labels) == ("classifier", ("at", "gc"))
    assert same_weights(loaded, finished.classifier)
    data = read_labelled(files["test"], label_names=("at", "gc"))
    rows, _ = encode_rows(loaded, data.sequences, 80 * [""])
    np.testing.assert_allclose(classify(loaded, rows), finished.test_probabilities_NC, atol=1e-6)


def test_files_of_a_run(finished):
    names = sorted(path.name for path in finished.output.iterdir())
    assert names == [
        "finetune.json",
        "metrics.jsonl",
        "model",
        "predictions.csv",
        "results.csv",
        "results.parquet",
        "summary.json",
    ]
    assert read_table(finished.output / "results.csv") == finished.rows
    summary = json.loads((finished.output / "summary.json").read_text())
    assert summary["examples"] == {"train": 256, "dev": 60, "test": 80}
    assert summary["test"]["mcc"] == finished.test.mcc
    assert summary["best_step"] == finished.best_step
    settings = json.loads((finished.output / "finetune.json").read_text())
    assert FinetuneConfig(**settings["config"]) == FAST


def test_a_finished_run_is_read_back(finished, model_folder, files):
    def never(done, total):
        raise AssertionError("nothing is left to train")

    again = finetune(
        model_folder,
        **files,
        output=finished.output,
        config=FAST,
        seed=3,
        device="cpu",
        progress=never,
    )
    assert same_weights(again.classifier, finished.classifier)
    np.testing.assert_array_equal(again.test_probabilities_NC, finished.test_probabilities_NC)
    assert again[1:4] == finished[1:4]
    assert again.rows == finished.rows


def test_the_same_seed_gives_the_same_run(model_folder, files, tmp_path):
    runs = []
    for name in "ab":
        runs.append(
            finetune(
                model_folder, **files, output=tmp_path / name, config=SHORT, seed=1, device="cpu"
            )
        )
        torch.rand(3)  # the state of the global generator must not matter
    assert same_weights(runs[0].classifier, runs[1].classifier)
    assert metrics_of(tmp_path / "a") == metrics_of(tmp_path / "b")
    assert (tmp_path / "a/predictions.csv").read_bytes() == (
        tmp_path / "b/predictions.csv"
    ).read_bytes()
    other = finetune(model_folder, **files, config=SHORT, seed=2, device="cpu")
    assert not same_weights(runs[0].classifier, other.classifier)


@pytest.mark.parametrize("stop_at", [5, 8, 11])
def test_a_run_that_is_killed_goes_on_as_if_it_had_not(
    model_folder, files, tmp_path, monkeypatch, stop_at
):
    monkeypatch.setattr(module, "SAVE_SECONDS", 0.0)
    options = {"config": SHORT, "seed": 1, "device": "cpu"}
    whole = finetune(model_folder, **files, output=tmp_path / "whole", **options)

    def stop(done, total):
        assert total == 12
        if done == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finetune(model_folder, **files, output=tmp_path / "cut", **options, progress=stop)
    steps = []
    resumed = finetune(
        model_folder,
        **files,
        output=tmp_path / "cut",
        **options,
        progress=lambda done, _: steps.append(done),
    )
    assert steps[0] == stop_at // 4 * 4 + 1
    assert same_weights(resumed.classifier, whole.classifier)
    assert resumed.rows == whole.rows
    assert metrics_of(tmp_path / "cut") == metrics_of(tmp_path / "whole")
    assert not (tmp_path / "cut" / "state.safetensors").exists()


def test_agrees_with_a_plain_loop_over_transformers(model_folder, files):
    """Same start, same batches, no dropout: our steps and transformers' model, step for step."""
    loaded = load(model_folder)
    for part in loaded.model.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
    plain = loaded.model.config.model_copy(update={"hidden_dropout": 0.0, "attention_dropout": 0.0})
    loaded.model.config = plain
    config = SHORT.model_copy(update={"lr": 1e-3, "weight_decay": 0.01, "eval_every": 12})
    task = {name: files[name] for name in ("train", "dev")}
    start_config = config.model_copy(update={"max_steps": 1, "warmup_steps": 0, "lr": 1e-30})
    start = finetune(loaded, **task, config=start_config, seed=1, device="cpu").classifier
    ours = finetune(loaded, **task, config=config, seed=1, device="cpu").classifier

    folder = model_folder.parent / "start"
    save_model(start.model, folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    data = read_labelled(files["train"])
    rows, _ = encode_rows(loaded, data.sequences, len(data.labels) * [""])
    order = BatchOrder([len(row) for row in rows], batch_size=32, seed=1)
    slow = [p for n, p in model.named_parameters() if "LayerNorm" in n or n.endswith(".bias")]
    quick = [p for n, p in model.named_parameters() if not any(p is q for q in slow)]
    optimizer = torch.optim.AdamW(
        [{"params": quick, "weight_decay": 0.01}, {"params": slow, "weight_decay": 0.0}], lr=1e-3
    )
    schedule = get_linear_schedule_with_warmup(optimizer, 5, 12)
    for step in range(12):
        index = order.rows(step)
        width = max(len(rows[i]) for i in index)
        ids = torch.full((len(index), width), loaded.tokenizer.special.pad)
        mask = torch.zeros_like(ids)
        for b, i in enumerate(index):
            ids[b, : len(rows[i])] = torch.from_numpy(rows[i])
            mask[b, : len(rows[i])] = 1
        logits = model(input_ids=ids, attention_mask=mask).logits
        nn.functional.cross_entropy(logits, torch.from_numpy(data.labels[index])).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    with torch.no_grad():
        expected = [
            model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1)
            for text in data.sequences[:20]
        ]
    found = classify(ours, rows[:20])
    before = classify(start, rows[:20])
    np.testing.assert_allclose(found, torch.stack(expected), atol=2e-5)
    assert np.abs(found - before).max() > 0.02  # the steps did something


def test_scratch_differs_from_pretrained_in_the_encoder_alone(model_folder, files):
    config = SHORT.model_copy(update={"max_steps": 1, "warmup_steps": 0, "lr": 1e-30})
    loaded = load(model_folder)
    pretrained, scratch, other = (
        finetune(
            loaded, train=files["train"], dev=files["dev"], config=config, device="cpu", **choice
        ).classifier.model.state_dict()
        for choice in ({"seed": 1}, {"seed": 1, "method": "scratch"}, {"seed": 2})
    )
    encoder = loaded.model.encoder.state_dict()
    for name, weight in encoder.items():
        torch.testing.assert_close(pretrained[f"encoder.{name}"], weight, rtol=0, atol=1e-20)
    word = "encoder.embeddings.word.weight"
    assert not torch.allclose(pretrained[word], scratch[word], atol=1e-3)
    head = "head.dense.weight"
    torch.testing.assert_close(pretrained[head], scratch[head], rtol=0, atol=1e-20)
    assert not torch.equal(pretrained[head], other[head])


def test_neither_the_model_nor_the_global_generator_is_changed(model_folder, files):
    loaded = load(model_folder)
    before = {k: v.clone() for k, v in loaded.model.state_dict().items()}
    random_state = torch.random.get_rng_state()
    finetune(loaded, **files, config=SHORT, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert all(torch.equal(before[k], v) for k, v in loaded.model.state_dict().items())
    assert not loaded.model.training


def test_without_dev_and_test(model_folder, files, tmp_path):
    result = finetune(
        model_folder, train=files["train"], config=SHORT, output=tmp_path / "run", device="cpu"
    )
    assert result.test is None
    assert result.test_probabilities_NC is None
    assert {row.split for row in result.rows} == {"dev"}
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["examples"] == {"train": 230, "dev": 26, "test": None}
    assert not (tmp_path / "run/predictions.csv").exists()
    again = finetune(
        model_folder, train=files["train"], config=SHORT, output=tmp_path / "run", device="cpu"
    )
    assert again[1:4] == result[1:4]


def test_a_classifier_can_be_tuned_further(finished, files):
    config = SHORT.model_copy(update={"max_steps": 1, "warmup_steps": 0, "lr": 1e-30})
    result = finetune(finished.output, **files, config=config, device="cpu")
    word = result.classifier.model.encoder.embeddings.word.weight
    expected = finished.classifier.model.encoder.embeddings.word.weight
    torch.testing.assert_close(word, expected, rtol=0, atol=1e-20)


def test_dropout(model_folder, files):
    loaded = load(model_folder)
    assert loaded.model.config.hidden_dropout == 0.1
    without, other = (
        finetune(loaded, **files, config=SHORT.model_copy(update={"dropout": p}), device="cpu")
        for p in (0.0, 0.5)
    )
    assert without.classifier.model.config.hidden_dropout == 0.0
    assert not same_weights(without.classifier, other.classifier)


def test_bf16(model_folder, files):
    config = FAST.model_copy(update={"precision": "bf16"})
    result = finetune(model_folder, **files, config=config, device="cpu")
    assert result.test.auroc > 0.9
    assert {p.dtype for p in result.classifier.model.parameters()} == {torch.float32}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(model_folder, files, tmp_path):
    result = finetune(model_folder, **files, output=tmp_path / "run", config=FAST, device="cuda")
    assert result.test.mcc > 0.7
    assert next(result.classifier.model.parameters()).device.type == "cpu"


def test_sequences_that_are_too_long(model_folder, files, caplog):
    config = SHORT.model_copy(update={"max_tokens": 15})
    with pytest.raises(InputError, match=r"train\.csv:\d+: the sequence has \d+ tokens .* most 15"):
        finetune(model_folder, **files, config=config, device="cpu")
    cut = config.model_copy(update={"truncate": True})
    finetune(model_folder, **files, config=cut, device="cpu")
    assert "sequences were cut to 15 tokens" in caplog.text


def test_test_sequences_that_stand_in_train_are_said(model_folder, files, tmp_path, caplog):
    task = {"train": files["train"], "dev": files["dev"], "test": files["train"]}
    finetune(model_folder, **task, config=SHORT, output=tmp_path / "run", device="cpu")
    assert "256 of 256 test sequences also stand in" in caplog.text
    summary = json.loads((tmp_path / "run/summary.json").read_text())
    assert summary["test_sequences_in_train"] == 256


def test_a_loss_that_is_not_finite(model_folder, files, tmp_path):
    loaded = load(model_folder)
    with torch.no_grad():
        loaded.model.encoder.embeddings.word.weight[6] = math.inf
    with pytest.raises(NonFiniteError, match=r"step 1: the loss is nan .* Lower lr, lengthen"):
        finetune(loaded, **files, config=SHORT, output=tmp_path / "run", device="cpu")
    assert not (tmp_path / "run" / "model").exists()


def test_folders_of_others(model_folder, files, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "thesis.txt").touch()
    with pytest.raises(StateError, match=r"is not empty \(it holds thesis\.txt\): delete it"):
        finetune(model_folder, **files, config=SHORT, output=folder, device="cpu")
    assert [path.name for path in folder.iterdir()] == ["thesis.txt"]
    other = tmp_path / "other"
    finetune(model_folder, **files, config=SHORT, output=other, device="cpu")
    changed = SHORT.model_copy(update={"lr": 0.02})
    message = r"made before with other inputs or settings: .*config\.lr \(0\.01 there, 0\.02 now\)"
    with pytest.raises(StateError, match=message):
        finetune(model_folder, **files, config=changed, output=other, device="cpu")
    swapped = files | {"test": files["dev"]}
    with pytest.raises(StateError, match="test_sha256"):
        finetune(model_folder, **swapped, config=SHORT, output=other, device="cpu")
    (other / "finetune.json").write_text("{")
    with pytest.raises(StateError, match=r"finetune\.json: not JSON .*delete the folder"):
        finetune(model_folder, **files, config=SHORT, output=other, device="cpu")


def test_warm_up_must_end(files):
    with pytest.raises(ValueError, match="warmup_steps 500 is not below max_steps 100"):
        FinetuneConfig(max_steps=100)


def test_a_damaged_state_is_refused(tmp_path):
    model = nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters())
    path = tmp_path / "state.safetensors"
    save_state(path, model, optimizer, {}, {"step": 1})
    assert load_state(path, model, optimizer) == ({"step": 1}, {})
    assert saved_step(path) == 1
    path.write_bytes(path.read_bytes()[:-3])
    assert saved_step(path) == saved_step(tmp_path / "none") == 0
    with pytest.raises(StateError, match=r"state\.safetensors: damaged .*: delete it, and the run"):
        load_state(path, model, optimizer)
    with pytest.raises(StateError, match="cannot be written"):
        save_state(tmp_path, model, optimizer, {}, {})


def test_a_saved_state_is_restored_beside_the_parameters(tmp_path):
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    best = {"weight": torch.eye(2)}
    save_state(tmp_path / "state", model, optimizer, best, {"step": 1})
    fresh = torch.optim.AdamW(other.parameters(), fused=True)
    record, found = load_state(tmp_path / "state", other, fresh)
    assert record == {"step": 1}
    assert torch.equal(found["weight"], torch.eye(2))
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        assert optimizer.state[one].keys() == fresh.state[two].keys()
        for key, value in optimizer.state[one].items():
            assert torch.equal(value, fresh.state[two][key])
    # Where the parameters lie elsewhere, as on a GPU, all moments do, `step` too.
    meta = nn.Linear(2, 2, device="meta")
    meta.load_state_dict = lambda values: None
    elsewhere = torch.optim.AdamW(meta.parameters())
    load_state(tmp_path / "state", meta, elsewhere)
    for parameter in meta.parameters():
        devices = {kind: value.device.type for kind, value in elsewhere.state[parameter].items()}
        assert devices == {"step": "meta", "exp_avg": "meta", "exp_avg_sq": "meta"}


def test_names(tmp_path):
    assert task_name(tmp_path / "splice" / "train.csv.gz") == "splice"
    assert task_name(tmp_path / "promoters.tsv") == "promoters"
    assert model_label(tmp_path / "yeast" / "model") == "yeast"
    assert model_label(tmp_path / "yeast") == "yeast"
