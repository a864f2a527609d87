"""Folders that appear whole or not at all, and the manifests that say what is in them.

A stage writes into a hidden folder beside its output; when all is written, synced and
described by a `manifest.json`, the folder gets its final name in one rename. A reader therefore
finds a complete folder or none, whenever the writer was killed and whether or not the disk was
full. What goes into the manifests belongs to `corpus/base.py` and `store.py`.
"""

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from helixlm.errors import StateError
from helixlm.files import DISK_FULL, sync_path, sync_tree

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_READ_BYTES = 1 << 20
_NAMES_SHOWN = 3


class FileRecord(BaseModel, frozen=True, extra="forbid"):
    """One data file of a folder, as its manifest names it."""

    file: str
    """Path inside the folder, with forward slashes."""
    bytes: int = Field(ge=0)
    sha256: str


class Manifest(BaseModel):
    """What every manifest begins with; `format` and `format_version` are checked on reading."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    format_version: int


AnyManifest = TypeVar("AnyManifest", bound=Manifest)


@contextlib.contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Write a folder under a hidden name and give it its final name at the end.

    Parameters
    ----------
    output : Path
        The final name. May exist only as an empty folder. Missing parents are created.

    Yields
    ------
    Path
        An empty folder beside `output` to write into. When the block ends without an error its
        files are synced to disk and it is renamed; after an error it is removed. What a killed
        run left behind is removed by the next one that writes the same `output`.

    Raises
    ------
    StateError
        If `output` exists and is not an empty folder, if no folder can be made there, or if
        the disk (or a quota) is full.
    """
    output = output.resolve()
    refuse_existing(output)
    prefix = f".{output.name}.partial-"
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(output.parent, prefix)
        partial = Path(tempfile.mkdtemp(prefix=prefix, dir=output.parent))
    except OSError as error:
        raise StateError(f"{output}: no folder can be made here: {error.strerror}") from error
    lock = os.open(partial, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # some network file systems have no locks
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            yield partial
            partial.chmod(0o755)  # mkdtemp makes 0o700
            sync_tree(partial)
            refuse_existing(output)
            partial.rename(output)
            sync_path(output.parent)
        except BaseException as error:
            shutil.rmtree(partial, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in DISK_FULL:
                free = shutil.disk_usage(output.parent).free
                raise StateError(
                    f"{output}: the disk or a quota is full ({os.strerror(error.errno or 0)}; "
                    f"{free / 1e9:.1f} GB free): nothing was written; make room, or choose "
                    "another disk, and run again"
                ) from error
            raise
    finally:
        os.close(lock)


def refuse_existing(output: Path) -> None:
    """Raise StateError if `output` exists and is not an empty folder."""
    if not output.exists() and not output.is_symlink():
        return
    if not output.is_dir():
        raise StateError(f"{output}: expected a folder to write, found a file: choose another name")
    found = sorted(path.name for path in output.iterdir())
    if found:
        more = len(found) - _NAMES_SHOWN
        names = ", ".join(found[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
        raise StateError(
            f"{output}: the folder is not empty (it holds {names}): delete it or choose another "
            "name"
        )


def _remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the hidden folders of dead runs: a living one holds a lock on its own."""
    for folder in parent.iterdir():
        if not (folder.name.startswith(prefix) and folder.is_dir()):
            continue
        with contextlib.suppress(OSError):
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                logger.info("removing %s, left by a run that was stopped", folder)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file, as 64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest` as indented JSON into `folder`."""
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read_manifest(folder: Path, model: type[AnyManifest]) -> AnyManifest:
    """Read and check the manifest of a folder.

    Parameters
    ----------
    folder : Path
        The folder that holds `manifest.json`.
    model : type
        The manifest class. Its defaults of `format` and `format_version` say what can be read.

    Raises
    ------
    StateError
        If there is no such folder or manifest, if it is of another format or of a format
        version that this version does not know, or if it cannot be understood.
    """
    path = folder / MANIFEST
    known = model.model_fields
    kind, version = known["format"].default, known["format_version"].default
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        instead = "a folder without it" if folder.is_dir() else "no such folder"
        raise StateError(f"{path}: expected the manifest of a {kind}, found {instead}") from None
    except NotADirectoryError:
        raise StateError(f"{folder}: expected the folder of a {kind}, found a file") from None
    except ValueError as error:
        raise StateError(f"{path}: not a JSON text ({error}): make the {kind} anew") from error
    if not isinstance(content, dict) or content.get("format") != kind:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise StateError(f"{path}: expected a {kind}, found {found!r}")
    if content.get("format_version") != version:
        raise StateError(
            f"{path}: {kind} of format version {content.get('format_version')!r}, this helixlm "
            f"reads version {version}: make it anew, or use the helixlm that wrote it"
        )
    try:
        return model.model_validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StateError(f"{path}: {place}: {first['msg']}: make the {kind} anew") from error


def check_files(folder: Path, records: Iterable[FileRecord], *, contents: bool = False) -> None:
    """Check that the data files of a folder are those of its manifest.

    Parameters
    ----------
    folder : Path
        The folder.
    records : iterable of FileRecord
        The files as the manifest names them.
    contents : bool
        Also read every file and compare its SHA-256; otherwise its size only.

    Raises
    ------
    StateError
        If a file is missing, has another size, or other contents.
    """
    for record in records:
        path = folder / record.file
        if not path.is_file():
            raise StateError(f"{path}: the file is missing, though {MANIFEST} names it")
        size = path.stat().st_size
        if size != record.bytes:
            raise StateError(
                f"{path}: {size:,} bytes, {MANIFEST} says {record.bytes:,}: the file was cut short "
                "or changed; copy it again, or make the folder anew"
            )
        if contents and file_sha256(path) != record.sha256:
            raise StateError(
                f"{path}: the contents are not those that were written (SHA-256 differs from "
                f"{MANIFEST}); copy it again, or make the folder anew"
            )


def refuse_differences(output: Path, differences: dict[str, tuple[object, object]]) -> None:
    """Raise StateError if a finished folder was made with other inputs or settings.

    Parameters
    ----------
    output : Path
        The finished folder.
    differences : dict of str to (found, wanted)
        What was compared; pairs that are equal are no difference.
    """
    changed = [
        f"{name} ({found!r} there, {wanted!r} now)"
        for name, (found, wanted) in differences.items()
        if found != wanted
    ]
    if changed:
        raise StateError(
            f"{output}: made before with other inputs or settings: {', '.join(changed)}. "
            "Choose another folder, or delete this one"
        )
