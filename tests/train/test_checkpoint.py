"""Checkpoints: every way in which one can be unusable, and what is kept."""

import errno
import json
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from helixlm.models import hf
from helixlm.tokenizers.char import char_tokenizer
from helixlm.train import checkpoint as checkpoint_module
from helixlm.train.checkpoint import (
    CheckpointError,
    checkpoint_name,
    latest_checkpoint,
    load_checkpoint,
    read_checkpoint,
    remove_old,
    restore_moments,
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


def save(folder, step, made=None, save_tokenizer=None):
    model, optimizer = made or trained()
    return save_checkpoint(
        folder,
        step=step,
        model=model,
        optimizer=optimizer,
        state={"tokens": 7},
        save_tokenizer=save_tokenizer or (lambda path: (path / "tokenizer.json").write_text("{}")),
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


def kill(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def half_then_kill(write):
    """Write a file, cut it to half of its bytes, and die."""

    def killer(*arguments):
        write(*arguments)
        file = next(x for x in reversed(arguments) if isinstance(x, Path))
        file = file / "model.safetensors" if file.is_dir() else file
        os.truncate(file, file.stat().st_size // 2)
        kill()

    return killer


KILLS = {
    "in the weights": lambda module: setattr(
        module, "save_model", half_then_kill(module.save_model)
    ),
    "in the moments": lambda module: setattr(module, "save_file", half_then_kill(module.save_file)),
    "before the hashes": lambda module: setattr(module, "_fingerprint", kill),
    "before the sync": lambda module: setattr(module, "sync_tree", kill),
    "before the rename": lambda module: setattr(Path, "rename", kill),
    "after the rename": lambda module: setattr(module, "sync_path", kill),
}


@pytest.mark.parametrize("moment", KILLS)
def test_a_kill_while_writing_leaves_the_one_before_usable(tmp_path, moment):
    before = {path.name: path.read_bytes() for path in save(tmp_path, 3).iterdir()}
    made = trained()  # Not in the child: autograd does not work there.
    process = os.fork()
    if process == 0:  # The child; it dies where it is told to.
        try:
            if moment == "after the rename":
                checkpoint_module.sync_tree = lambda folder: None
            KILLS[moment](checkpoint_module)
            save(tmp_path, 6, made)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    left = {path.name for path in tmp_path.iterdir()}
    assert len(left) == 2, "the child died before or after it wrote"
    found = latest_checkpoint(tmp_path)
    assert found.step == (6 if moment == "after the rename" else 3)
    assert {path.name: path.read_bytes() for path in (tmp_path / checkpoint_name(3)).iterdir()} == (
        before
    )
    load_checkpoint(found, toy_model(), build_optimizer(toy_model(), **SETTINGS))
    save(tmp_path, 6)
    remove_old(tmp_path, newest_step=6, keep=2, best_step=None)
    assert {path.name for path in tmp_path.iterdir()} == {checkpoint_name(3), checkpoint_name(6)}


def failing(error, only=None, method=None):
    """Return a function that fails; a method of Path may do so for one name only."""

    def fail(first, *arguments, **settings):
        if only is None or first.name == only:
            raise error
        return method(first, *arguments, **settings)

    return fail


FULL = OSError(errno.ENOSPC, "No space left on device")
# How safetensors words it: with Rust's text for the system's error.
FULL_IN_RUST = SafetensorError("I/O error: No space left on device (os error 28)")
BROKEN = OSError(errno.EIO, "Input/output error")
UNWRITABLE = {
    "weights": (hf, "save_file", failing(FULL_IN_RUST)),
    "config": (Path, "write_text", failing(FULL, "config.json", Path.write_text)),
    "sync of the model": (hf, "sync_path", failing(FULL)),
    "tokenizer": (Path, "write_bytes", failing(FULL)),
    "moments": (checkpoint_module, "save_file", failing(FULL_IN_RUST)),
    "state": (Path, "write_text", failing(FULL, "state.json", Path.write_text)),
    "sync": (checkpoint_module, "sync_tree", failing(FULL)),
    "broken disk": (checkpoint_module, "sync_tree", failing(BROKEN)),
    "rename": (Path, "rename", failing(FULL, ".step-00000006.partial", Path.rename)),
}


@pytest.mark.parametrize("moment", UNWRITABLE)
def test_a_disk_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch, moment):
    save(tmp_path, 3)
    made = trained()
    reason = "Input/output error" if moment == "broken disk" else "step 6: the disk is full"
    with monkeypatch.context() as patch:
        patch.setattr(*UNWRITABLE[moment])
        message = rf"{reason}\. Checkpoints kept: step-00000003\. Make room, or choose another"
        with pytest.raises(CheckpointError, match=message):
            save(tmp_path, 6, made, char_tokenizer().save)
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint_name(3)]
    assert latest_checkpoint(tmp_path).step == 3


def test_moments_lie_where_pytorch_itself_would_put_them():
    # As on a GPU: `step` of a fused or capturable AdamW is on the parameter's device too.
    saved = torch.nn.Parameter(torch.ones(3))
    first = torch.optim.AdamW([saved], fused=True)
    saved.sum().backward()
    first.step()
    moments = dict(first.state[saved])
    parameter = torch.nn.Parameter(torch.ones(3, device="meta"))
    ours, theirs = (torch.optim.AdamW([parameter], capturable=True) for _ in range(2))
    restore_moments(ours, {"weight": parameter}, {"weight": moments})
    theirs.load_state_dict(theirs.state_dict() | {"state": first.state_dict()["state"]})
    expected = {kind: value.device.type for kind, value in theirs.state[parameter].items()}
    assert expected == {"step": "meta", "exp_avg": "meta", "exp_avg_sq": "meta"}
    found = ours.state[parameter]
    assert {kind: value.device.type for kind, value in found.items()} == expected


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
    (tmp_path / "..step-00000005.partial.partial").mkdir()  # save_model's, of a run that was killed
    remove_old(tmp_path, newest_step=4, keep=2, best_step=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        checkpoint_name(step) for step in (1, 3, 4)
    ]


def test_one_that_was_passed_over_goes_before_a_sound_one(tmp_path):
    for step in (1, 3):
        save(tmp_path, step)
    (tmp_path / checkpoint_name(3) / "model.safetensors").write_bytes(b"cut")
    assert latest_checkpoint(tmp_path).step == 1
    save(tmp_path, 2)
    remove_old(tmp_path, newest_step=2, keep=1, best_step=None)
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint_name(2)]
