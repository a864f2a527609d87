"""Sequences from plain text: one on each line.

In: a file, plain, gzip or bgzip. Out: its lines, streamed. The letters are IUPAC's for DNA, in
either case, as in FASTA; blank lines, blanks at line ends, a byte-order mark and the line ends of
Windows and old Macs are read without complaint. A line is held whole, however long it is.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from helixlm.data.formats.fasta_bytes import FastaError, iter_blocks
from helixlm.data.formats.fasta_stream import LEGAL, letter_hint, tidy

_ILLEGAL = re.compile(rb"[^" + LEGAL + rb"]")


def holds_sequence_lines(path: str | Path) -> bool:
    """Say whether a file begins as lines of sequence do: with a letter of DNA, and not with '>'.

    Parameters
    ----------
    path : path
        A file, plain, gzip or bgzip; its contents tell, not its name.

    Raises
    ------
    FastaError
        If the file cannot be read, is empty, or is damaged at its beginning.
    """
    for block in tidy(iter_blocks(Path(path))):
        if letters := block.lstrip():
            return letters[0] in LEGAL
    return False


def iter_text_lines(path: str | Path) -> Iterator[str]:
    """Stream the sequences of a text file, one on each line.

    Parameters
    ----------
    path : path
        A file, plain, gzip or bgzip.

    Yields
    ------
    str
        IUPAC letters in the case of the file; blank lines are left out.

    Raises
    ------
    FastaError
        If the file cannot be read, is damaged, or holds anything else than IUPAC letters.
    """
    path = Path(path)
    blocks = iter_blocks(path)
    try:
        for number, line in _lines(tidy(blocks)):
            wrong = _ILLEGAL.search(line)
            if wrong is not None:
                raise _bad_letter(path, number, line, wrong)
            if line:
                yield line.decode("ascii")
    except FastaError:
        for _ in blocks:  # damaged gzip data may unpack to nonsense: then damage is the error
            pass
        raise


def _lines(blocks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their numbers, from 1."""
    number, waiting = 1, bytearray()
    for block in blocks:
        first, *others = block.split(b"\n")
        waiting += first
        for line in others:
            yield number, bytes(waiting)
            number += 1
            waiting = bytearray(line)
    yield number, bytes(waiting)


def _bad_letter(path: Path, number: int, line: bytes, wrong: re.Match[bytes]) -> FastaError:
    letter = wrong.group().decode("latin-1")
    hint = letter_hint(letter)
    if b"," in line or b"\t" in line:
        hint = "; this looks like a table: take out its column of sequences"
    return FastaError(
        f"{path}:{number}: column {wrong.start() + 1:,}: found {letter!r}, expected one sequence "
        f"on each line, in A, C, G, T, N or another IUPAC code (RYSWKMBDHV), as the file begins; a "
        f"FASTA file begins with '>' and a name{hint}"
    )
