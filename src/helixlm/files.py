"""Files that are on the disk when they are said to be, and that appear whole or not at all.

Comes in: paths. Nothing here knows what a file holds; folders that appear whole are in
`data/folder.py`.
"""

import contextlib
import errno
import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from helixlm.errors import StateError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says when a disk or a quota is full."""
PART = "part"
"""ending of files that are not whole yet, see `own_name`"""


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """Write a file that appears under its name only when it is complete.

    Gives the path of a temporary file in the same folder. When the block ends well the file is
    synced and renamed; when it does not, it is removed and what was there before stays.

    Raises
    ------
    StateError
        If the file cannot be written, such as on a full disk. Its cause is the system's error.
    """
    with replace_files(path) as (temporary,):
        yield temporary


@contextmanager
def replace_files(*paths: Path) -> Iterator[list[Path]]:
    """Write files that belong together: all of them are replaced, or none.

    Gives the path of a temporary file for each, as `replace_file` does. All are synced before the
    first is renamed, and if a rename fails those before it are taken back. A process that is
    killed between two renames leaves what it had done, and the old files as `own_name` says.

    Raises
    ------
    StateError
        If a file cannot be written, such as on a full disk. Its cause is the system's error.
    """
    temporaries = [own_name(path, PART) for path in paths]
    olds = [own_name(path, "old") for path in paths]
    try:
        try:
            for path in paths:
                Path(path).parent.mkdir(parents=True, exist_ok=True)
            yield temporaries
            for temporary in temporaries:
                sync_path(temporary)
            with ExitStack() as undo:
                for temporary, path, old in zip(temporaries, paths, olds, strict=True):
                    _rename(temporary, path, old if len(paths) > 1 else None, undo)
                undo.pop_all()
        except OSError as error:
            raise StateError(
                f"{', '.join(map(str, paths))}: cannot be written: {error.strerror or error}; "
                "nothing was replaced: make room or choose another folder"
            ) from error
    finally:
        for path in [*temporaries, *olds]:
            with contextlib.suppress(OSError):  # What went wrong is told already.
                path.unlink(missing_ok=True)


def own_name(path: Path, ending: str) -> Path:
    """Return a hidden name beside a file that no other process uses, on this machine or another.

    Parameters
    ----------
    path : Path
        The file.
    ending : str
        What the name ends with, without the dot, such as `PART`.

    Returns
    -------
    Path
        A new one with each call.
    """
    own = f"{socket.gethostname()[:40]}-{os.getpid()}-{secrets.token_hex(4)}"
    return Path(path).with_name(f".{Path(path).name}.{own}.{ending}")


def _rename(temporary: Path, path: Path, old: Path | None, undo: ExitStack) -> None:
    """Rename a file; put what it replaces at `old`, if given, and say how to take it back."""
    if old is not None and path.is_file():
        path.replace(old)
        undo.callback(old.replace, path)
        temporary.replace(path)
    else:
        temporary.replace(path)
        undo.callback(path.unlink)


def sync_path(path: Path) -> None:
    """Wait until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Wait until all files and folders below `folder`, and its own entries, are on the disk."""
    for path in sorted(folder.rglob("*")):
        sync_path(path)
    sync_path(folder)
