"""Folders whose finished parts outlive an interruption: the same work, started again, goes on.

The work is done in a hidden folder beside the output, which also holds the plan: what is made, from
what. When all parts are there the folder gets its final name in one rename, so a reader finds a
complete folder or none. A run with the same plan goes on in a hidden folder that it finds; one with
another plan begins anew, but for what depends on inputs alone. `folder.new_folder` is for what is
made in one go.
"""

import contextlib
import fcntl
import json
import logging
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel

from helixlm.data.folder import refuse_existing
from helixlm.errors import InputError, StateError
from helixlm.files import DISK_FULL, PART, replace_file, sync_path, sync_tree

logger = logging.getLogger(__name__)

PLAN = "plan.json"
SCRATCH = "scratch"
"""what is in this folder inside is removed at the end"""
MOST_NAMED = 5
"""differences between two plans that are named"""


@contextlib.contextmanager
def unfinished_folder(
    output: Path, plan: BaseModel, kept: Mapping[str, Collection[str]] | None = None
) -> Iterator[Path]:
    """Work on a folder in parts, and give it its final name when all are there.

    Parameters
    ----------
    output : Path
        The final name. May exist only as an empty folder. Missing parents are created.
    plan : BaseModel
        What is made, from what: parts that were made with an equal plan are kept. What a warning
        tells is removed.
    kept : mapping of str to collection of str, optional
        Folders in `SCRATCH` that depend on a part of the plan, the fields that are named, and are
        kept if those alone are equal.

    Yields
    ------
    Path
        The hidden folder ``.NAME.unfinished``, with a folder `SCRATCH` inside. When the block ends
        without an error, `SCRATCH` and the plan are removed, files are synced to disk and the
        folder is renamed. After a kill, or an error that is not the input's, it stays.

    Raises
    ------
    StateError
        If `output` exists and is not an empty folder, if another run works on it, if no folder can
        be made there, or if the disk (or a quota) is full.
    """
    output = output.resolve()
    refuse_existing(output)
    work = output.with_name(f".{output.name}.unfinished")
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StateError(f"{output}: no folder can be made here: {error.strerror}") from error
    with _locked(work, output):
        try:
            _begin_or_go_on(work, plan, kept or {})
            yield work
            shutil.rmtree(work / SCRATCH)
            (work / PLAN).unlink()
            _remove_parts(work)
            sync_tree(work)
            refuse_existing(output)
            work.rename(output)
            sync_path(output.parent)
        except InputError:
            shutil.rmtree(work, ignore_errors=True)  # other input is needed, and is another plan
            raise
        except OSError as error:
            if error.errno not in DISK_FULL:
                raise
            free = shutil.disk_usage(output.parent).free
            raise StateError(
                f"{output}: the disk or a quota is full ({os.strerror(error.errno or 0)}; "
                f"{free / 1e9:.1f} GB free): what is finished is kept in {work}; make room and run "
                "the same command again, or delete that folder"
            ) from error


@contextlib.contextmanager
def _locked(work: Path, output: Path) -> Iterator[None]:
    lock = os.open(work, os.O_RDONLY)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateError(
                f"{output}: another run is at work on this folder: wait for it, or choose another "
                "name"
            ) from None
        except OSError:
            logger.debug("%s: this file system has no locks", work)
        yield
    finally:
        os.close(lock)


def _begin_or_go_on(work: Path, plan: BaseModel, kept: Mapping[str, Collection[str]]) -> None:
    """Keep what an equal plan has made; of what another has made, no more than `kept`."""
    text = plan.model_dump_json(indent=2)
    file = work / PLAN
    found = file.read_text(encoding="utf-8") if file.is_file() else None
    if found == text:
        logger.info("%s: going on where an earlier run ended", work)
        _remove_parts(work)
        return
    stay: set[Path] = set()
    if found is not None:
        before, now = json.loads(found), json.loads(text)
        stay = {
            work / SCRATCH / name
            for name, fields in kept.items()
            if (work / SCRATCH / name).is_dir()
            and all(before.get(field) == now[field] for field in fields)
        }
        _warn(work, list(_differences(before, now)), stay)
        file.unlink()  # a kill amid the removal must leave no plan that says all is there
    _remove_all_but(stay, work)
    (work / SCRATCH).mkdir(exist_ok=True)
    with replace_file(file) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _warn(work: Path, differences: list[str], stay: set[Path]) -> None:
    more = len(differences) - MOST_NAMED
    logger.warning(
        "%s: an earlier run did not end, and had other inputs or settings: %s%s; what it had "
        "finished is removed%s",
        work,
        ", ".join(differences[:MOST_NAMED]),
        f" and {more} more" if more > 0 else "",
        f", but for {', '.join(path.name for path in sorted(stay))}" if stay else "",
    )


def _differences(before: object, now: object, name: str = "") -> Iterator[str]:
    """Yield the names of what differs between two plans, with the values of what is short."""
    if isinstance(before, dict) and isinstance(now, dict):
        for key in {**before, **now}:
            inner = f"{name}.{key}" if name else str(key)
            yield from _differences(before.get(key), now.get(key), inner)
    elif before != now:
        is_long = isinstance(before, list | dict) or isinstance(now, list | dict)
        yield name if is_long else f"{name} ({before!r} there, {now!r} now)"


def _remove_all_but(stay: set[Path], folder: Path) -> None:
    for path in folder.iterdir():
        if path in stay:
            continue
        if any(path in inner.parents for inner in stay):
            _remove_all_but(stay, path)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _remove_parts(work: Path) -> None:
    """Remove files that were never whole, of processes that died while they wrote them."""
    for path in work.rglob(f".*.{PART}"):
        path.unlink(missing_ok=True)
