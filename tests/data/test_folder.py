"""Folders that appear whole or not at all: errors, kills and full disks; and their manifests."""

import hashlib
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from pydantic import Field

from helixlm.data.folder import (
    FileRecord,
    Manifest,
    check_files,
    file_sha256,
    new_folder,
    read_manifest,
    refuse_differences,
    refuse_existing,
    write_manifest,
)
from helixlm.errors import StateError


class BoxManifest(Manifest):
    format: str = "box"
    format_version: int = 3
    count: int = Field(ge=0)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_folder_appears_at_the_end(tmp_path):
    output = tmp_path / "deep" / "box"
    with new_folder(output) as folder:
        assert folder.parent == output.parent
        (folder / "a").mkdir()
        (folder / "a" / "x.txt").write_text("x")
        assert not output.exists()
    assert (output / "a" / "x.txt").read_text() == "x"
    assert names(output.parent) == ["box"]
    assert output.stat().st_mode & 0o777 == 0o755


def test_an_empty_folder_may_be_there(tmp_path):
    (tmp_path / "box").mkdir()
    with new_folder(tmp_path / "box") as folder:
        (folder / "x").touch()
    assert names(tmp_path / "box") == ["x"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_error_nothing_is_left(tmp_path, error):
    with pytest.raises(error), new_folder(tmp_path / "box") as folder:
        (folder / "x").touch()
        raise error
    assert names(tmp_path) == []


def test_what_is_there_is_not_touched(tmp_path):
    (tmp_path / "box").mkdir()
    (tmp_path / "box" / "mine").touch()
    with pytest.raises(StateError, match=r"the folder is not empty \(it holds mine\): delete it"):
        new_folder(tmp_path / "box").__enter__()
    (tmp_path / "many").mkdir()
    for name in "ecbda":
        (tmp_path / "many" / name).touch()
    with pytest.raises(StateError, match=r"\(it holds a, b, c and 2 more\)"):
        refuse_existing(tmp_path / "many")
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="expected a folder to write, found a file"):
        new_folder(tmp_path / "file").__enter__()
    assert names(tmp_path) == ["box", "file", "many"]


def test_another_run_that_finishes_first_wins(tmp_path):
    with (
        pytest.raises(StateError, match="the folder is not empty"),
        new_folder(tmp_path / "box") as folder,
    ):
        (folder / "x").touch()
        with new_folder(tmp_path / "box") as other:  # the living one is not taken for a dead one
            assert folder.exists()
            (other / "y").touch()
    assert names(tmp_path / "box") == ["y"]
    assert names(tmp_path) == ["box"]


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match=r"no folder can be made here: (File exists|Not a dir)"):
        new_folder(tmp_path / "file" / "box").__enter__()


def test_a_full_disk(tmp_path, small_files):
    with (
        pytest.raises(StateError, match=r"box: the disk or a quota is full .* nothing was written"),
        new_folder(tmp_path / "box") as folder,
    ):
        small_files(1000)
        (folder / "x").write_bytes(bytes(5000))
    assert names(tmp_path) == []


def test_another_error_of_the_system_passes(tmp_path):
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "box"):
        (tmp_path / "nothing").read_text()


def test_a_kill_leaves_nothing_under_the_name_and_the_next_run_cleans_up(tmp_path):
    script = """
        import os, signal, sys
        from pathlib import Path
        from helixlm.data.folder import new_folder
        with new_folder(Path(sys.argv[1])) as folder:
            (folder / "x").write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "box")]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (left,) = names(tmp_path)
    assert left.startswith(".box.partial-")
    (tmp_path / ".box.partial-file").touch()  # not a folder: not ours
    with new_folder(tmp_path / "box") as folder:
        (folder / "x").write_text("whole")
    assert names(tmp_path) == [".box.partial-file", "box"]
    assert (tmp_path / "box" / "x").read_text() == "whole"


def test_manifests_are_read_as_they_were_written(tmp_path):
    manifest = BoxManifest(count=2)
    write_manifest(tmp_path, manifest)
    assert read_manifest(tmp_path, BoxManifest) == manifest


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "manifest.json: expected the manifest of a box, found a folder without it"),
        ("{", "not a JSON text .*: make the box anew"),
        ("[]", "expected a box, found 'list'"),
        ('{"format": "bag"}', "expected a box, found 'bag'"),
        (
            '{"format": "box", "format_version": 4}',
            "box of format version 4, this helixlm reads version 3",
        ),
        (
            '{"format": "box", "format_version": 3, "count": -1}',
            "count: Input should be greater than or equal to 0: make the box anew",
        ),
    ],
)
def test_manifests_that_cannot_be_read(tmp_path, content, message):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(StateError, match=message):
        read_manifest(tmp_path, BoxManifest)


def test_no_folder_to_read(tmp_path):
    with pytest.raises(StateError, match="expected the manifest of a box, found no such folder"):
        read_manifest(tmp_path / "box", BoxManifest)
    (tmp_path / "box").touch()
    with pytest.raises(StateError, match="expected the folder of a box, found a file"):
        read_manifest(tmp_path / "box", BoxManifest)


def test_files_are_checked_by_size_and_by_contents(tmp_path):
    data = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    assert file_sha256(tmp_path / "a") == digest
    records = [FileRecord(file="a", bytes=len(data), sha256=digest)]
    check_files(tmp_path, records, contents=True)
    (tmp_path / "a").write_bytes(bytes(len(data)))
    check_files(tmp_path, records)
    with pytest.raises(StateError, match="the contents are not those that were written"):
        check_files(tmp_path, records, contents=True)
    (tmp_path / "a").write_bytes(data[:-1])
    with pytest.raises(
        StateError, match=r"2,999,999 bytes, manifest.json says 3,000,000: the file"
    ):
        check_files(tmp_path, records)
    (tmp_path / "a").unlink()
    with pytest.raises(StateError, match=r"the file is missing, though manifest.json names it"):
        check_files(tmp_path, records)


def test_differences_are_all_named(tmp_path):
    refuse_differences(tmp_path, {"seed": (1, 1)})
    message = r"other inputs or settings: seed \(1 there, 2 now\), kind \('a' there, 'b' now\)"
    with pytest.raises(StateError, match=message):
        refuse_differences(tmp_path, {"seed": (1, 2), "count": (3, 3), "kind": ("a", "b")})
