"""Lines of text files with their numbers, plain, gzip or bgzip, streamed.

In: a path. Out: lines as text, without their ends; what they mean is for the reader that asks
(`gff3.py`, `bed.py`, `cds_fasta.py`), whose error class is used for everything that is wrong with
the file itself.
"""

from collections.abc import Iterator
from pathlib import Path

from helixlm.data.formats.fasta_bytes import FastaError, iter_blocks
from helixlm.data.formats.fasta_stream import tidy
from helixlm.errors import InputError


def iter_lines(path: Path, kind: str, error: type[InputError]) -> Iterator[tuple[int, str]]:
    """Yield the lines of a file with their numbers, from 1.

    Line ends of Unix, Windows and old Macs, a byte-order mark, and blanks and tabs at line ends
    are taken off. Bytes that are not UTF-8 are read as Latin-1, which old annotations hold. A line
    is held whole.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What it should be, for messages, such as "GFF3".
    error : type
        What to raise.

    Yields
    ------
    tuple of int and str
        Number and line; blank lines are left out.

    Raises
    ------
    InputError
        Of the class `error`: if the file is missing, empty, cannot be read, or is damaged.
    """
    if not path.exists() or path.is_dir():
        found = "a folder" if path.is_dir() else "nothing there"
        raise error(f"{path}: expected a {kind} file, found {found}")
    if path.is_file() and not path.stat().st_size:
        raise error(f"{path}: empty file, expected {kind}: copy or download it again")
    number, waiting = 1, bytearray()
    try:
        for block in tidy(iter_blocks(path)):
            first, *others = block.split(b"\n")
            waiting += first
            for line in others:
                if waiting:
                    yield number, _text(bytes(waiting))
                number += 1
                waiting = bytearray(line)
    except FastaError as damage:
        raise error(str(damage)) from damage
    if waiting:
        yield number, _text(bytes(waiting))


def _text(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("latin-1")
