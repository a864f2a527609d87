"""One file: asked for, received into a part beside its final name, resumed, checked, renamed.

A part ``.NAME.part`` has a note ``.NAME.part.json`` that says what it is a part of: address, size,
and the ETag and Last-Modified that the server gave. The next try asks for the rest with ``Range``
and ``If-Range`` (RFC 9110, 13.1.5 and 14), and goes on only if the server sends just that rest of
just that file; otherwise the part is begun again. Nothing stands under the final name before it
has been checked and synced.
"""

import contextlib
import json
import logging
import os
import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2
from pydantic import BaseModel, ValidationError

from helixlm.data.download.checksums import Checksums, Hasher
from helixlm.data.download.session import DownloadError, Passing, Session, check_status
from helixlm.files import replace_file, sync_path

logger = logging.getLogger(__name__)

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_GZIP = b"\x1f\x8b"
WHOLE_TRIES = 2
"""Times that a file is fetched whole before a wrong checksum is believed."""

Report = Callable[[int], None]
"""Called with the bytes that have come, or with a negative number if some were thrown away."""


class Note(BaseModel, frozen=True):
    """What a part is a part of."""

    url: str
    bytes: int | None = None
    etag: str = ""
    last_modified: str = ""

    @property
    def validator(self) -> str:
        """What ``If-Range`` may hold: a strong ETag, or else the date."""
        return self.last_modified if self.etag.startswith("W/") or not self.etag else self.etag


class Part:
    """The bytes of a file that have come so far.

    Attributes
    ----------
    size : int
        How many.
    note : Note
        What they are a part of.
    """

    def __init__(self, target: Path, url: str, report: Report) -> None:
        self.path = part_path(target)
        self._note_path = self.path.with_name(f"{self.path.name}.json")
        self._report = report
        self._hasher = Hasher()
        self.size = 0
        self.note = Note(url=url)
        if (kept := self._read_note()) is not None and kept.url == url:
            self.note = kept
            self._hasher.read(self.path)
            self.size = self.path.stat().st_size
            report(self.size)
        self._stream = self.path.open("ab", buffering=0)

    def _read_note(self) -> Note | None:
        if self.path.exists() and self._note_path.exists():
            with contextlib.suppress(ValidationError, ValueError):
                return Note.model_validate(json.loads(self._note_path.read_text("utf-8")))
        return None

    @property
    def complete(self) -> bool:
        """Whether all bytes are there, as far as the size is known."""
        return self.note.bytes is not None and self.size == self.note.bytes

    def begin(self, note: Note) -> None:
        """Throw away what is there and begin a part of what `note` says."""
        self._stream.truncate(0)
        self._report(-self.size)
        self.size, self.note, self._hasher = 0, note, Hasher()
        with replace_file(self._note_path) as temporary:
            temporary.write_text(note.model_dump_json(), encoding="utf-8")

    def add(self, block: bytes) -> None:
        """Take further bytes."""
        view = memoryview(block)
        while view:
            view = view[self._stream.write(view) :]
        self._hasher.update(block)
        self.size += len(block)
        self._report(len(block))

    def checksums(self) -> Checksums:
        """Return the checksums of the bytes so far."""
        return self._hasher.checksums()

    def first_bytes(self, count: int) -> bytes:
        """Return the first bytes."""
        with self.path.open("rb") as stream:
            return stream.read(count)

    def finish(self, target: Path) -> None:
        """Give the part its final name, and the time that the server gave."""
        with contextlib.suppress(ValueError, OverflowError, OSError):  # no date, or none there is
            changed = parsedate_to_datetime(self.note.last_modified).timestamp()
            os.utime(self.path, (changed, changed))
        os.fsync(self._stream.fileno())
        self.path.rename(target)
        sync_path(target.parent)
        self._note_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the part."""
        self._report(-self.size)
        self.path.unlink(missing_ok=True)
        self._note_path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; what has come stays, and where nothing has come nothing stays."""
        self._stream.close()
        if not self.size:
            self.path.unlink(missing_ok=True)
            self._note_path.unlink(missing_ok=True)


def part_path(target: Path) -> Path:
    """Return where the part of a file is kept."""
    return target.with_name(f".{target.name}.part")


def fetch_file(
    session: Session,
    url: str,
    target: Path,
    *,
    expected: Checksums,
    expected_bytes: int | None,
    record: Callable[[Checksums, Note], None],
    report: Report,
) -> None:
    """Fetch one file.

    Parameters
    ----------
    session : Session
        The client.
    url : str
        Address.
    target : Path
        Final name. A part beside it is gone on with.
    expected : Checksums
        What the file must have; empty where nothing is published.
    expected_bytes : int, optional
        Size that the manifest gives.
    record : callable
        Called with the checksums found, before the file gets its final name.
    report : callable
        Called with the bytes that have come.

    Raises
    ------
    DownloadError
        If the file cannot be had, or is not what it should be. A part that may be gone on with
        stays; one of wrong bytes is removed.
    """
    for _ in range(WHOLE_TRIES):
        part = Part(target, url, report)
        with contextlib.closing(part):
            _receive_all(session, url, part, expected_bytes)
            found = part.checksums()
            problem = expected.mismatch(found)
            if not problem:
                _refuse_page(url, target, part, expected)
                record(found, part.note)
                part.finish(target)
                return
            size = part.size
            part.discard()
        logger.warning("%s: %s (%s bytes): thrown away", url, problem, f"{size:,}")
    raise DownloadError(
        f"{url}: {problem} ({size:,} bytes, fetched {WHOLE_TRIES} times): the file there is not "
        "the one that the manifest means, or something on the way changes it; nothing was kept: "
        "correct the checksum if the file was replaced on purpose"
    )


def _receive_all(session: Session, url: str, part: Part, expected_bytes: int | None) -> None:
    def once() -> None:
        if not part.complete:
            _receive(session, url, part, expected_bytes)

    session.attempt(url, once, lambda: part.size)


def _receive(session: Session, url: str, part: Part, expected_bytes: int | None) -> None:
    """Ask once for what is missing, and take what comes."""
    headers = {}
    if part.size:
        headers["Range"] = f"bytes={part.size}-"
        if part.note.validator:
            headers["If-Range"] = part.note.validator
    with session.client.stream("GET", url, headers=headers) as response:
        if response.status_code == 416:
            part.begin(Note(url=url))
            raise Passing("the file there is shorter than what had come: it was replaced")
        check_status(url, response)
        _place(response, url, part)
        if expected_bytes and part.note.bytes and expected_bytes != part.note.bytes:
            raise DownloadError(
                f"{url}: the file there has {part.note.bytes:,} bytes, expected "
                f"{expected_bytes:,}: it is not the one that the manifest means: correct 'bytes' "
                "and the checksum if it was replaced on purpose"
            )
        for block in session.watch(response.iter_raw()):
            part.add(block)
    if part.note.bytes is not None and part.size != part.note.bytes:
        raise Passing(f"the connection broke after {part.size:,} of {part.note.bytes:,} bytes")


def _place(response: httpx2.Response, url: str, part: Part) -> None:
    """Decide where the bytes that follow belong: at the end of the part, or at a new beginning."""
    here = _note(response, url)
    if response.status_code == 200:
        if part.size:
            changed = _changed(part.note, here)
            why = "the file has changed there" if changed else "the server sends whole files only"
            logger.warning("%s: %s: beginning again", url, why)
        part.begin(here)
        return
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    start = int(found[1]) if found else -1
    if start != part.size or _changed(part.note, here):
        logger.warning("%s: the file has changed there: beginning again", url)
        part.begin(Note(url=url))
        raise Passing("the server sent another part than was asked for")
    if not part.size:  # the whole file, by a server that calls it a part
        part.begin(here)


def _note(response: httpx2.Response, url: str) -> Note:
    """Describe the whole file that a response is of."""
    if response.status_code == 206:
        found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        size = found[3] if found else ""
    else:
        size = response.headers.get("Content-Length", "")
    return Note(
        url=url,
        bytes=int(size) if size.isdecimal() else None,
        etag=response.headers.get("ETag", ""),
        last_modified=response.headers.get("Last-Modified", ""),
    )


def _changed(before: Note, now: Note) -> bool:
    """Whether something that both notes say differs."""
    return any(
        old and new and old != new
        for old, new in (
            (before.bytes, now.bytes),
            (before.etag, now.etag),
            (before.last_modified, now.last_modified),
        )
    )


def _refuse_page(url: str, target: Path, part: Part, expected: Checksums) -> None:
    """Refuse what is no gzip under a name that says so; a checksum would have told already."""
    begin = part.first_bytes(40)
    if not expected.known and target.suffix in (".gz", ".bgz") and not begin.startswith(_GZIP):
        part.discard()
        raise DownloadError(
            f"{url}: expected a gzip file, found {begin.decode('latin-1')!r}: probably a page of "
            "the server, not the file: check the address"
        )
