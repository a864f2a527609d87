"""The bytes of a FASTA file, unpacked, in blocks: plain, gzip and bgzip.

In: a path. Out: blocks of at most 256 KiB, so memory does not depend on the length of a line; the
SHA-256 of the file as it is stored, if asked for. Damage is found here: a gzip stream that is cut
short or whose checksum fails, a bgzip file without its end marker. What the bytes mean is said
in `fasta_stream.py`.
"""

import itertools
import os
import stat
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal, Protocol

from helixlm.errors import InputError

Progress = Callable[[int, int | None], None]

BLOCK_BYTES = 1 << 18  # blocks that fit the second-level cache are the fastest
_GZIP_MAGIC = b"\x1f\x8b"
# The empty block that ends a bgzip file (SAM specification, 4.1.2): without it, a file that is cut
# between two blocks would look whole.
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


class FastaError(InputError):
    """A FASTA file that cannot be read, or does not hold what is asked for."""


class Digest(Protocol):
    """What takes bytes and hashes them, such as ``hashlib.sha256()``."""

    def update(self, data: bytes, /) -> None:
        """Take more bytes."""


def packing_of(path: Path) -> Literal["plain", "gzip", "bgzip"]:
    """Return how a file is packed; its bytes tell, not its name.

    Raises
    ------
    FastaError
        If the file cannot be read.
    """
    return _packing(next(_read(path, None, None), b""))


def iter_blocks(
    path: Path, *, digest: Digest | None = None, progress: Progress | None = None
) -> Iterator[bytes]:
    """Yield the bytes of a file, unpacked.

    Parameters
    ----------
    path : Path
        A file, or a pipe.
    digest : Digest, optional
        Is given every byte of the file as it is stored.
    progress : callable, optional
        Called as ``progress(done, total)`` in bytes of the file as it is stored; the total of
        a pipe is None.

    Yields
    ------
    bytes
        1 to `BLOCK_BYTES` bytes.

    Raises
    ------
    FastaError
        If the file cannot be read, is empty, or is damaged.
    """
    raw = _read(path, digest, progress)
    first = next(raw, b"")
    if not first:
        raise FastaError(
            f"{path}: empty file, expected FASTA: a line with '>' and a name first: copy or "
            f"download it again"
        )
    blocks = itertools.chain([first], raw)
    if _packing(first) == "plain":
        yield from blocks
    else:
        yield from _unpack(path, blocks)


def _packing(first: bytes) -> Literal["plain", "gzip", "bgzip"]:
    if not first.startswith(_GZIP_MAGIC):
        return "plain"
    # The field of a gzip header that holds the size of a bgzip block.
    return "bgzip" if first[12:16] == b"BC\x02\x00" else "gzip"


def _read(path: Path, digest: Digest | None, progress: Progress | None) -> Iterator[bytes]:
    """Yield the bytes of a file as it is stored."""
    try:
        with path.open("rb") as stream:
            status = os.fstat(stream.fileno())
            total = status.st_size if stat.S_ISREG(status.st_mode) else None
            done = 0
            while block := stream.read(BLOCK_BYTES):
                done += len(block)
                if digest:
                    digest.update(block)
                yield block
                if progress:
                    progress(done, total)
    except FileNotFoundError:
        raise FastaError(f"{path}: no such file, expected a FASTA file") from None
    except IsADirectoryError:
        raise FastaError(f"{path}: is a folder, expected a FASTA file") from None
    except OSError as error:
        raise FastaError(f"{path}: cannot be read: {error.strerror or error}") from error


def _unpack(path: Path, raw: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the contents of a gzip file of one or many members."""
    packing: str | None = None
    member: zlib._Decompress | None = None  # the member that is being unpacked
    num_members, done = 0, 0
    end = b""
    for block in raw:
        packing = packing or _packing(block)
        end = (end + block[-len(_BGZIP_END) :])[-len(_BGZIP_END) :]
        done += len(block)
        rest = block
        while rest:
            if member is None:
                # Some tapes and tools fill up the end of a file with zeros.
                rest = rest.lstrip(b"\0") if num_members else rest
                if not rest:
                    break
                member = zlib.decompressobj(wbits=31)
                num_members += 1
            try:
                unpacked = member.decompress(rest, BLOCK_BYTES)
            except zlib.error as error:
                raise FastaError(
                    f"{path}: damaged gzip file near byte {done - len(rest):,} "
                    f"({_reason(error)}): copy or download it again"
                ) from error
            if unpacked:
                yield unpacked
            rest = member.unused_data if member.eof else member.unconsumed_tail
            if member.eof:
                member = None
    if member is not None:
        raise FastaError(
            f"{path}: gzip file that ends in the middle, after {done:,} bytes: it was cut short: "
            f"copy or download it again"
        )
    if packing == "bgzip" and end != _BGZIP_END:
        raise FastaError(
            f"{path}: bgzip file without its end marker, so it was probably cut short: copy or "
            f"download it again; if it is known to be whole, gunzip it and bgzip it again"
        )


def _reason(error: zlib.error) -> str:
    """Return what zlib found, in words."""
    text = str(error)
    if "incorrect data check" in text:
        return "the checksum of the contents is wrong"
    if "incorrect length check" in text:
        return "the length of the contents is wrong"
    if "incorrect header check" in text:
        return "bytes that are not gzip after the end of gzip data"
    return text.rpartition(": ")[2]
