"""metrics.jsonl: what a resumed run keeps, and a disk that is full."""

import errno
import json
import os
from pathlib import Path

import pytest

from helixlm.errors import StateError
from helixlm.train.metrics import MetricsLog, read_lines


def full(*arguments):
    raise OSError(errno.ENOSPC, "No space left on device")


def write(path, *steps, end=""):
    path.write_text("".join(json.dumps({"step": step}) + "\n" for step in steps) + end)
    return path


def test_steps_that_are_taken_again_are_cut_back(tmp_path):
    path = write(tmp_path / "metrics.jsonl", 2, 4, 6, end='{"step": 8, "lo')
    MetricsLog(path, step=4).append({"step": 6, "loss": 0.5})
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"step": 2},
        {"step": 4},
        {"step": 6, "loss": 0.5},
    ]
    MetricsLog(path, step=0)
    assert path.read_bytes() == b""
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("step", [0, 4])
def test_a_full_disk_at_the_start_leaves_the_old_file(tmp_path, monkeypatch, step):
    path = write(tmp_path / "metrics.jsonl", 2, 4, 6)
    before = path.read_bytes()
    monkeypatch.setattr(Path, "write_text", full)
    message = rf"metrics\.jsonl: cannot write metrics of step {step}: .*No space .*goes on from"
    with pytest.raises(StateError, match=message):
        MetricsLog(path, step=step)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_in_mid_run(tmp_path, monkeypatch):
    log = MetricsLog(tmp_path / "metrics.jsonl", step=0)
    log.append({"step": 2})
    monkeypatch.setattr(os, "fsync", full)
    message = r"metrics\.jsonl: cannot write metrics of step 4: .*No space .* Make room and run"
    with pytest.raises(StateError, match=message):
        log.append({"step": 4})


@pytest.mark.parametrize("line", ["{", "[4]", "4", "step 4"])
def test_a_line_that_is_no_record(tmp_path, line):
    path = write(tmp_path / "metrics.jsonl", 2, end=f'{line}\n{{"step": 6}}\n')
    message = r"metrics\.jsonl, line 2: found '.*', expected a JSON record; delete the line"
    with pytest.raises(StateError, match=message):
        read_lines(path)
    with pytest.raises(StateError, match=message):
        MetricsLog(path, step=2)
