"""Files that are on the disk when they are said to be, and that appear whole or not at all.

Comes in: paths. Nothing here knows what a file holds; folders that appear whole are in
`data/folder.py`.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helixlm.errors import StateError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the system says when a disk or a quota is full."""


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
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            sync_path(temporary)
            temporary.replace(path)
        except OSError as error:
            raise StateError(
                f"{path}: cannot be written: {error.strerror or error}; nothing was replaced: "
                f"make room or choose another folder"
            ) from error
    finally:
        with contextlib.suppress(OSError):  # What went wrong is told already.
            temporary.unlink(missing_ok=True)


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
