"""Checksums: as a manifest gives them, and as servers publish them in lists beside their files.

NCBI's ``md5checksums.txt`` and UCSC's ``md5sum.txt`` have the checksum first, the 1000 Genomes
manifest has it last; all are one file a line.
"""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from helixlm.errors import InputError

_DIGITS = re.compile(r"[0-9a-f]{32}|[0-9a-f]{64}")
_READ_BYTES = 1 << 20


class ChecksumError(InputError):
    """A list of checksums that is none, or that does not name the file."""


class Checksums(NamedTuple):
    """Checksums of one file in lower-case hexadecimal digits; empty where not known."""

    md5: str = ""
    sha256: str = ""

    @property
    def known(self) -> bool:
        """Whether there is one to compare with."""
        return bool(self.md5 or self.sha256)

    def mismatch(self, found: "Checksums") -> str:
        """Say what differs from what was found; empty if nothing does."""
        for kind, expected, value in (
            ("SHA-256", self.sha256, found.sha256),
            ("MD5", self.md5, found.md5),
        ):
            if expected and expected != value:
                return f"{kind} {value}, expected {expected}"
        return ""


class Hasher:
    """MD5 and SHA-256 of bytes as they come."""

    def __init__(self) -> None:
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._sha256 = hashlib.sha256()

    def update(self, block: bytes) -> None:
        """Take further bytes."""
        self._md5.update(block)
        self._sha256.update(block)

    def checksums(self) -> Checksums:
        """Return the checksums of all bytes so far."""
        return Checksums(self._md5.hexdigest(), self._sha256.hexdigest())

    def read(self, path: Path) -> None:
        """Take the bytes of a file."""
        with path.open("rb") as stream:
            while block := stream.read(_READ_BYTES):
                self.update(block)


def file_checksums(path: Path) -> Checksums:
    """Return both checksums of a file."""
    hasher = Hasher()
    hasher.read(path)
    return hasher.checksums()


def parse_checksum(text: str) -> Checksums:
    """Read one or two checksums, told apart by their length.

    Raises
    ------
    ValueError
        If the text is something else.

    Examples
    --------
    >>> parse_checksum("1c9dcaddfa41027f17cd8f7a82c7293b").md5
    '1c9dcaddfa41027f17cd8f7a82c7293b'
    """
    words = text.lower().split()
    found = {len(word): word for word in words if _DIGITS.fullmatch(word)}
    if len(found) != len(words):
        raise ValueError(
            "expected an MD5 of 32 hexadecimal digits, a SHA-256 of 64, or one of each"
        )
    return Checksums(found.get(32, ""), found.get(64, ""))


def find_checksum(text: str, file: str, where: str) -> Checksums:
    """Find a file in a published list of checksums.

    Parameters
    ----------
    text : str
        The list: a checksum and a name in every line, in either order; ``./`` or ``*`` before
        the name is understood.
    file : str
        Name of the file.
    where : str
        Address of the list, for the message.

    Raises
    ------
    ChecksumError
        If no line is one of a list of checksums, or none names the file.

    References
    ----------
    NCBI: https://ftp.ncbi.nlm.nih.gov/genomes/all/README.txt, "md5checksums.txt file".
    """
    listed = 0
    for line in text.splitlines():
        words = line.split()
        if len(words) != 2:
            continue
        name, digits = (words[1], words[0]) if _DIGITS.fullmatch(words[0].lower()) else words
        if not _DIGITS.fullmatch(digits.lower()):
            continue
        listed += 1
        if name.removeprefix("*").removeprefix("./") == file:
            return parse_checksum(digits)
    if not listed:
        raise ChecksumError(
            f"{where}: expected a list of checksums, found {text.strip()[:40]!r}: take 'checksums' "
            "out of the manifest, or give 'checksum'"
        )
    raise ChecksumError(
        f"{where}: lists {listed} file(s), but not {file}: check the address of the file, or give "
        "its checksum in the manifest"
    )
