"""Files that appear whole: what a full disk leaves, and what is synced."""

import errno
import os

import pytest

from helixlm.errors import StateError
from helixlm.files import replace_file, sync_tree


def test_a_full_disk_is_said(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    message = r"out\.csv: cannot be written: No space left on device; nothing was replaced: make"
    with pytest.raises(StateError, match=message) as caught, replace_file(path) as temporary:
        temporary.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_new_file_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    path = tmp_path / "new" / "out"
    seen = []

    def sync(descriptor):
        seen.append((os.fstat(descriptor).st_ino, path.exists()))

    monkeypatch.setattr(os, "fsync", sync)
    with replace_file(path) as temporary:
        temporary.write_text("new")
    assert seen == [(path.stat().st_ino, False)]
    assert list(path.parent.iterdir()) == [path]


def test_a_tree_is_synced_to_its_leaves(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "x").touch()
    (tmp_path / "y").touch()
    seen = set()
    every = [tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "x"]
    every.append(tmp_path / "y")
    monkeypatch.setattr(os, "fsync", lambda handle: seen.add(os.fstat(handle).st_ino))
    sync_tree(tmp_path)
    assert seen == {path.stat().st_ino for path in every}
