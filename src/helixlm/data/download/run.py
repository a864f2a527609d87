"""A whole manifest, several files at once.

In: a manifest and a folder. Out: the files under their names, and ``manifest.json``. First every
entry is looked up (its file may be there already; its address, size and published checksum may
have to be asked for), then it is known whether the disk has room, then the files are fetched. One
that cannot be had does not keep the others from coming; the error at the end lists all of them.
"""

import contextlib
import fcntl
import logging
import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from helixlm.data.download.addresses import Address, find_address
from helixlm.data.download.checksums import (
    ChecksumError,
    Checksums,
    file_checksums,
    find_checksum,
)
from helixlm.data.download.fetch import Note, fetch_file, part_path
from helixlm.data.download.manifest import DownloadManifest, Entry, load_manifest
from helixlm.data.download.records import (
    DownloadedFile,
    known_downloads,
    write_downloads,
)
from helixlm.data.download.session import DownloadError, Session, SessionConfig, Stopped
from helixlm.errors import InputError, StateError
from helixlm.files import DISK_FULL

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]
Item = TypeVar("Item")
Outcome = TypeVar("Outcome")
_REPORT_SECONDS = 0.1


class DownloadResult(NamedTuple):
    """What a download did."""

    path: Path
    """The folder."""
    fetched: int
    """Files that were fetched."""
    already: int
    """Files that were there, and were what they should be."""
    num_bytes: int
    """Bytes of all these files."""
    missing: str
    """What cannot be fetched and why; empty if all could."""


class _Plan(NamedTuple):
    """An entry that has been looked up."""

    entry: Entry
    target: Path
    url: str
    expected: Checksums
    checked: str
    bytes: int | None
    there: Checksums | None
    """Of the file, if it is there."""


class _Meter:
    """Adds up what the threads report, and passes it on now and then."""

    def __init__(self, progress: Progress | None, total: int | None) -> None:
        self._progress = progress
        self._total = total
        self._done = 0
        self._lock = threading.Lock()
        self._said = 0.0

    def add(self, count: int) -> None:
        with self._lock:
            self._done += count
            if time.monotonic() - self._said >= _REPORT_SECONDS:
                self._report()

    def finish(self) -> None:
        with self._lock:
            self._report()

    def _report(self) -> None:
        self._said = time.monotonic()
        if self._progress:
            self._progress(self._done, self._total)


class _Records:
    """The records of the folder, written anew with every file."""

    def __init__(self, folder: Path, manifest: str) -> None:
        self.folder = folder
        self._manifest = manifest
        self._lock = threading.Lock()
        self._known = known_downloads(folder)

    def find(self, entry: Entry) -> DownloadedFile | None:
        """Return the record of a file that came from where an entry points to."""
        for known in self._known.files:
            same = known.accession == entry.accession and known.assembly == entry.assembly
            if same and entry.url in ("", known.url) and entry.file_name in ("", known.file):
                return known
        return None

    def write(self, plan: _Plan, found: Checksums, size: int, note: Note) -> None:
        entry = plan.entry
        file = DownloadedFile(
            file=plan.target.name,
            bytes=size,
            sha256=found.sha256,
            name=entry.name,
            species=entry.species or entry.name,
            group=entry.group,
            weight=entry.weight,
            manifest=self._manifest,
            url=plan.url,
            accession=entry.accession,
            assembly=entry.assembly,
            md5=found.md5,
            checked=plan.checked,
            etag=note.etag,
            last_modified=note.last_modified,
        )
        with self._lock:
            after = self._known.with_file(file)
            if after != self._known:
                write_downloads(self.folder, after)
            self._known = after


def download(
    manifest: str | Path | DownloadManifest,
    output: str | Path,
    *,
    config: SessionConfig | None = None,
    progress: Progress | None = None,
) -> DownloadResult:
    """Fetch the files of a manifest into a folder.

    A file that is there and has the right checksum is not fetched again. One that was interrupted
    goes on where it stopped, if the server and its copy of the file allow that.

    Parameters
    ----------
    manifest : str, Path or DownloadManifest
        See `load_manifest`.
    output : path
        The folder; it may hold downloads of other manifests.
    config : SessionConfig, optional
        Files at once, tries and time-outs.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes; total is None while a size is not known.

    Returns
    -------
    DownloadResult
        What was done. ``read_downloads(output)`` has the files.

    Raises
    ------
    ManifestError
        If the manifest is not sound.
    DownloadError
        If there is nothing to fetch, or listing each file that could not be had, and why.
    StateError
        If the folder is in use or cannot be written, or the disk is full.
    """
    if not isinstance(manifest, DownloadManifest):
        manifest = load_manifest(manifest)
    if not manifest.entries:
        raise DownloadError(
            f"manifest {manifest.name}: none of its {manifest.num_unresolved} species can be "
            f"fetched: {manifest.missing()}: copy {manifest.source}, give each species an "
            "accession or url under 'entries', and download that"
        )
    folder = Path(output).resolve()
    with _only_one(folder), Session(config or SessionConfig()) as session:
        records = _Records(folder, manifest.name)
        looked_up = _in_parallel(session, manifest.entries, lambda e: _look_up(session, e, records))
        plans = _distinct([plan for plan in looked_up if isinstance(plan, _Plan)], looked_up)
        _refuse_small_disk(folder, plans)
        sizes = [plan.bytes for plan in plans]
        known = [size for size in sizes if size is not None]
        meter = _Meter(progress, sum(known) if len(known) == len(sizes) else None)
        done = _in_parallel(session, plans, lambda plan: _carry_out(session, plan, records, meter))
        meter.finish()
    entries = [*manifest.entries, *(plan.entry for plan in plans)]
    outcomes: list[object] = [*looked_up, *done]
    problems = [
        f"  {entry.name}: {outcome}"
        for entry, outcome in zip(entries, outcomes, strict=True)
        if isinstance(outcome, InputError)
    ]
    if problems:
        raise DownloadError(
            f"{len(problems)} of {len(manifest.entries)} file(s) of {manifest.name} could not be "
            f"had; the others are in {output}:\n" + "\n".join(problems)
        )
    already = sum(plan.there is not None for plan in plans)
    num_bytes = sum(plan.target.stat().st_size for plan in plans)
    return DownloadResult(folder, len(plans) - already, already, num_bytes, manifest.missing())


def _look_up(session: Session, entry: Entry, records: _Records) -> _Plan:
    """Find out where a file is, what it must be, and whether it is there already."""
    if (known := records.find(entry)) and (target := records.folder / known.file).exists():
        expected = entry.expected if entry.expected.known else Checksums(sha256=known.sha256)
        checked = "manifest" if entry.expected.known else known.checked
        found = _checksums_there(target, expected)
        return _Plan(entry, target, known.url, expected, checked, target.stat().st_size, found)
    address = Address(entry.url)
    if entry.accession:
        address = find_address(entry.accession, entry.assembly, session.read_text)
    target = records.folder / (entry.file_name or address.url.rpartition("/")[2])
    expected, checked = _find_expected(session, entry, address)
    if target.exists():
        found = _checksums_there(target, expected)
        return _Plan(entry, target, address.url, expected, checked, target.stat().st_size, found)
    size = entry.bytes or session.find_size(address.url)
    return _Plan(entry, target, address.url, expected, checked, size, None)


def _find_expected(session: Session, entry: Entry, address: Address) -> tuple[Checksums, str]:
    """Return the checksums that a file must have, and who says so."""
    if entry.expected.known:
        return entry.expected, "manifest"
    where = entry.checksums or address.checksums
    if not where:
        return Checksums(), ""
    if "/" not in where:
        where = f"{address.url.rpartition('/')[0]}/{where}"
    text = session.read_text(where)
    if text is not None:
        return find_checksum(text, address.url.rpartition("/")[2], where), "published"
    if entry.checksums:
        raise ChecksumError(
            f"{where}: the server has no such list of checksums: correct 'checksums', or take it "
            "out"
        )
    logger.warning("%s: no list of checksums there; what comes is recorded only", where)
    return Checksums(), ""


def _checksums_there(target: Path, expected: Checksums) -> Checksums:
    """Return the checksums of a file that is there, if it is known to be the right one."""
    if not expected.known:
        raise DownloadError(
            f"{target}: is there already, and no checksum says what must be in it: delete it, or "
            "give its checksum in the manifest"
        )
    found = file_checksums(target)
    if problem := expected.mismatch(found):
        raise DownloadError(
            f"{target}: is there already with {problem}: delete it, and it is fetched again"
        )
    return found


def _distinct(plans: list[_Plan], outcomes: list[_Plan | InputError]) -> list[_Plan]:
    """Keep one plan for each file, and put an error in place of the others."""
    first: dict[str, _Plan] = {}
    for plan in plans:
        before = first.setdefault(plan.target.name.casefold(), plan)
        if before is not plan:
            outcomes[outcomes.index(plan)] = DownloadError(
                f"{plan.target.name}: is also the file of {before.entry.name}: give each a 'file' "
                "of its own"
            )
    return list(first.values())


def _refuse_small_disk(folder: Path, plans: list[_Plan]) -> None:
    """Refuse before anything is fetched what will not find room."""
    need = 0
    for plan in plans:
        if plan.bytes is not None and plan.there is None:
            part = part_path(plan.target)
            need += max(0, plan.bytes - (part.stat().st_size if part.exists() else 0))
    free = shutil.disk_usage(folder).free
    if need > free:
        raise StateError(
            f"{folder}: the files need {need / 1e9:.1f} GB more, and the disk has "
            f"{free / 1e9:.1f} GB free: make room, or choose another disk"
        )


def _carry_out(session: Session, plan: _Plan, records: _Records, meter: _Meter) -> None:
    """Fetch a file, unless it is there, and record it."""
    if plan.there is not None:
        known = records.find(plan.entry)
        note = Note(url=plan.url)
        if known is not None:
            note = Note(url=plan.url, etag=known.etag, last_modified=known.last_modified)
        records.write(plan, plan.there, plan.target.stat().st_size, note)
        meter.add(plan.target.stat().st_size)
        return
    part = part_path(plan.target)
    try:
        fetch_file(
            session,
            plan.url,
            plan.target,
            expected=plan.expected,
            expected_bytes=plan.entry.bytes,
            record=lambda found, note: records.write(plan, found, part.stat().st_size, note),
            report=meter.add,
        )
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise StateError(f"{plan.target}: cannot be written: {error.strerror}") from error
        free = shutil.disk_usage(records.folder).free
        raise StateError(
            f"{plan.target}: the disk or a quota is full ({os.strerror(error.errno or 0)}; "
            f"{free / 1e9:.1f} GB free): what was got is kept; make room, and run the same "
            "command again: it goes on"
        ) from error


def _in_parallel(
    session: Session, items: Sequence[Item], work: Callable[[Item], Outcome]
) -> list[Outcome | InputError]:
    """Do the same with all items, several at once; an InputError becomes the item's outcome.

    The threads are daemons: a process that is to end does not wait for a server that is silent.
    """
    outcomes: dict[int, Outcome | InputError] = {}
    crashes: list[BaseException] = []
    todo: queue.SimpleQueue[int] = queue.SimpleQueue()
    for place in range(len(items)):
        todo.put(place)

    def run() -> None:
        with contextlib.suppress(queue.Empty, Stopped):
            while not session.stop.is_set():
                place = todo.get_nowait()
                try:
                    outcomes[place] = work(items[place])
                except InputError as error:
                    outcomes[place] = error
                except Stopped:
                    raise
                except BaseException as error:
                    crashes.append(error)
                    session.stop.set()

    workers = min(session.config.workers, len(items))
    threads = [threading.Thread(target=run, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)  # without end, a Ctrl-C would not be seen on every system
    except BaseException:
        session.stop.set()
        raise
    if crashes:
        raise crashes[0]
    return [outcomes[place] for place in range(len(items))]


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Make the folder, and keep other processes from downloading into it meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StateError(f"{folder}: no folder can be made here: {error.strerror}") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(
                f"{folder}: another process is downloading into this folder; wait for it, or "
                "choose another folder"
            ) from error
        except OSError as error:  # a file system without locks, such as some NFS and Lustre
            logger.warning(
                "%s: this file system has no locks (%s): take care that one process alone "
                "downloads into this folder",
                folder,
                error,
            )
        yield
    finally:
        os.close(lock)
