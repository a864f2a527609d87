"""Checkpoints: every way in which one can be unusable, and what is kept."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from helixlm.train.checkpoint import (
    CheckpointError,
    checkpoint_name,
    latest_checkpoint,
    load_checkpoint,
    read_checkpoint,
    remove_old,
    save_checkpoint,
)
from helixlm.train.optim import build_optimizer

from .toy import toy_model

SETTINGS = {"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}


def trained(**changes):
    model = toy_model(hidden_dropout=0.0, attention_dropout=0.0, **changes)
    optimizer = build_optimizer(model, **SETTINGS)
    model(torch.arange(5, 15)[None]).sum().backward()
    optimizer.step()
    return model, optimizer


def save(folder, step, **changes):
    model, optimizer = trained(**changes)
    return save_checkpoint(
        folder,
        step=step,
        model=model,
        optimizer=optimizer,
        state={"tokens": 7},
        save_tokenizer=lambda path: (path / "tokenizer.json").write_text("{}"),
    )


def test_what_is_saved_is_what_is_loaded(tmp_path):
    save(tmp_path, 3)
    found = latest_checkpoint(tmp_path)
    assert (found.step, found.state) == (3, {"tokens": 7})
    model, optimizer = trained()
    other = toy_model()
    fresh = build_optimizer(other, **SETTINGS)
    load_checkpoint(found, other, fresh)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        for key, value in optimizer.state[one].items():
            assert torch.equal(value, fresh.state[two][key])


def test_an_unknown_format_is_refused(tmp_path):
    state = save(tmp_path, 3) / "state.json"
    record = json.loads(state.read_text())
    state.write_text(json.dumps({**record, "format_version": 9}))
    with pytest.raises(CheckpointError, match="format version 9, expected 1: written by helixlm"):
        read_checkpoint(state.parent)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_state_that_is_no_state_is_refused(tmp_path, text):
    state = save(tmp_path, 3) / "state.json"
    state.write_text(text)
    with pytest.raises(CheckpointError, match=r"cannot be read as a checkpoint's state"):
        read_checkpoint(state.parent)


def test_missing_short_and_changed_files_are_told(tmp_path):
    path = save(tmp_path, 3) / "model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CheckpointError, match=r"its sha256 is not the one in state\.json"):
        read_checkpoint(path.parent)
    path.write_bytes(whole[:100])
    with pytest.raises(
        CheckpointError, match=r"100 bytes, expected .* the checkpoint is cut short"
    ):
        read_checkpoint(path.parent)
    path.unlink()
    with pytest.raises(CheckpointError, match="missing, expected"):
        read_checkpoint(path.parent)


def test_the_newest_intact_one_is_taken(tmp_path, caplog):
    save(tmp_path, 3)
    (save(tmp_path, 6) / "optimizer.safetensors").write_bytes(b"")
    assert latest_checkpoint(tmp_path).step == 3
    assert "checkpoint passed over" in caplog.text
    (tmp_path / checkpoint_name(3) / "state.json").unlink()
    with pytest.raises(CheckpointError, match=r"no usable checkpoint among 2\. The newest"):
        latest_checkpoint(tmp_path)
    assert latest_checkpoint(tmp_path / "none") is None


def test_moments_of_another_model_are_refused(tmp_path):
    found = read_checkpoint(save(tmp_path, 3))
    other = toy_model()
    optimizer = build_optimizer(other, **SETTINGS)
    wrong = found.path / "optimizer.safetensors"
    tensors = load_file(wrong)
    tensors.pop(next(key for key in tensors if key.startswith("step/")))
    kept = {k: v for k, v in tensors.items() if "head.bias" not in k}
    save_file(kept, wrong)
    with pytest.raises(CheckpointError, match=r"parameter 'head\.bias' is in only one of"):
        load_checkpoint(found, other, optimizer)


def test_the_newest_and_the_best_are_kept(tmp_path):
    for step in (1, 2, 3, 4):
        save(tmp_path, step)
    (tmp_path / ".step-00000005.partial").mkdir()
    remove_old(tmp_path, keep=2, best_step=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        checkpoint_name(step) for step in (1, 3, 4)
    ]
