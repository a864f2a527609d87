"""Folders that are made in parts: what is finished outlives errors and kills."""

import errno
import os
import shutil
import signal
import subprocess
import sys

import pytest
from pydantic import BaseModel

from helixlm.data.unfinished import PLAN, SCRATCH, unfinished_folder
from helixlm.errors import StateError
from helixlm.files import PART, own_name


class Plan(BaseModel):
    what: str


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_folder_appears_with_its_parts_and_nothing_else(tmp_path):
    output = tmp_path / "deep" / "out"
    with unfinished_folder(output, Plan(what="a")) as work:
        (work / SCRATCH / "rough").write_text("x")
        (work / "part").write_text("1")
        assert not output.exists()
    assert names(output) == ["part"]
    assert names(tmp_path / "deep") == ["out", "out/part"]


def test_parts_outlive_an_error_if_the_plan_is_the_same(tmp_path):
    with pytest.raises(RuntimeError), unfinished_folder(tmp_path / "out", Plan(what="a")) as work:
        (work / "part").write_text("1")
        (work / SCRATCH / "done").write_text("1")
        raise RuntimeError
    assert not (tmp_path / "out").exists()
    with unfinished_folder(tmp_path / "out", Plan(what="a")) as work:
        assert names(work) == ["part", PLAN, SCRATCH, f"{SCRATCH}/done"]
    assert names(tmp_path / "out") == ["part"]


def test_parts_of_another_plan_are_removed(tmp_path, caplog):
    with pytest.raises(RuntimeError), unfinished_folder(tmp_path / "out", Plan(what="a")) as work:
        (work / "train").mkdir()
        (work / "train" / "part").write_text("1")
        raise RuntimeError
    caplog.clear()
    with unfinished_folder(tmp_path / "out", Plan(what="b")) as work:
        assert names(work) == [PLAN, SCRATCH]
    assert caplog.messages == [
        f"{tmp_path}/.out.unfinished: an earlier run did not end, and had other inputs or "
        "settings: what ('a' there, 'b' now); what it had finished is removed"
    ]


class Settings(BaseModel):
    files: tuple[str, ...] = ("a.fa",)
    sizes: dict[str, int | None]


@pytest.mark.parametrize(("files", "stays"), [(("a.fa",), True), (("b.fa",), False)])
def test_what_depends_on_equal_fields_stays(tmp_path, caplog, files, stays):
    kept = {"letters": ("files",), "never": ("sizes",), "absent": ()}
    first = Settings(sizes={"a": 1, "b": 2})
    output = tmp_path / "out"
    with pytest.raises(RuntimeError), unfinished_folder(output, first, kept) as work:
        for name in ("train", f"{SCRATCH}/letters", f"{SCRATCH}/never"):
            (work / name).mkdir()
            (work / name / "part").write_text("1")
        raise RuntimeError
    caplog.clear()
    with unfinished_folder(output, Settings(files=files, sizes={"a": 1, "c": 3}), kept) as work:
        letters = [f"{SCRATCH}/letters", f"{SCRATCH}/letters/part"] if stays else []
        assert names(work) == [PLAN, SCRATCH, *letters]
    differing = "sizes.b (2 there, None now), sizes.c (None there, 3 now)"
    assert (differing if stays else f"files, {differing}") in caplog.text
    assert ("but for letters" in caplog.text) == stays


def test_a_kill_while_another_plan_is_removed_leaves_no_plan(tmp_path, monkeypatch):
    output, work = tmp_path / "out", tmp_path / ".out.unfinished"
    with pytest.raises(RuntimeError), unfinished_folder(output, Plan(what="a")):
        raise RuntimeError
    monkeypatch.setattr(shutil, "rmtree", lambda path: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt), unfinished_folder(output, Plan(what="b")):
        pass
    assert names(work) == [SCRATCH]


def test_parts_outlive_a_kill(tmp_path):
    script = f"""
import os, signal
from pathlib import Path
from pydantic import BaseModel
from helixlm.data.unfinished import unfinished_folder
class Plan(BaseModel):
    what: str
with unfinished_folder(Path({str(tmp_path / "out")!r}), Plan(what="a")) as work:
    (work / "part").write_text("1")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -signal.SIGKILL
    with unfinished_folder(tmp_path / "out", Plan(what="a")) as work:
        assert (work / "part").read_text() == "1"


def test_what_dead_processes_left_half_written_is_removed(tmp_path):
    output = tmp_path / "out"
    with pytest.raises(RuntimeError), unfinished_folder(output, Plan(what="a")) as work:
        (work / "train").mkdir()
        own_name(work / "train" / "a.parquet", PART).write_text("1")
        raise RuntimeError
    with unfinished_folder(output, Plan(what="a")) as work:
        assert names(work) == [PLAN, SCRATCH, "train"]
        own_name(work / "train" / "a.parquet", PART).write_text("1")
    assert names(output) == ["train"]


def test_two_runs_cannot_work_on_one_folder(tmp_path):
    with unfinished_folder(tmp_path / "out", Plan(what="a")):
        second = unfinished_folder(tmp_path / "out", Plan(what="a"))
        with pytest.raises(StateError, match="another run is at work"):
            second.__enter__()


def test_a_full_disk_is_said_and_nothing_is_lost(tmp_path):
    with (
        pytest.raises(StateError, match=r"disk or a quota is full.*is kept in .*run the same"),
        unfinished_folder(tmp_path / "out", Plan(what="a")) as work,
    ):
        (work / "part").write_text("1")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert (tmp_path / ".out.unfinished" / "part").read_text() == "1"


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("x")
    with pytest.raises(StateError, match="not empty"):
        unfinished_folder(tmp_path / "out", Plan(what="a")).__enter__()
    assert names(tmp_path) == ["out", "out/mine"]
