"""FASTA as a stream of parts: which contig, which letters.

In: blocks of bytes from `fasta_bytes.py`. Out: one `Part` for each stretch of a record within a
block; a record of any length, on one line or on millions, passes through in constant memory.
Everything is checked here: that it is FASTA, that each record has a name of its own and a
sequence, that the letters are IUPAC's for DNA; a mistake is told with file, line and column.

Read without complaint: line ends of Unix, Windows and old Macs, blank lines, blanks at line ends,
a byte-order mark, no line end at the end, comment lines that begin with ';'.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from helixlm.data.formats.fasta_bytes import FastaError
from helixlm.seq.alphabet import DNA

LEGAL = DNA.symbols.encode() + DNA.symbols.lower().encode()

_LEGAL_LINES = LEGAL + b"\n"
_ILLEGAL = re.compile(rb"[^" + _LEGAL_LINES + rb"]")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1f]")  # in no text
_LINE_FEED = ord("\n")
# Of a header no more is kept; the name ends at the first blank, and none is nearly as long.
_HEADER_BYTES = 1 << 16
# Blanks and carriage returns at the end of a block that wait for what follows.
_HELD_BYTES = 1 << 20

# How files begin that are sometimes taken for FASTA.
_OTHER_FORMATS = (
    (b"@", "FASTQ or SAM"),
    (b"LOCUS", "GenBank"),
    (b"ID  ", "EMBL"),
    (b"##gff", "GFF"),
    (b"##fileformat=VCF", "VCF"),
    (b"#NEXUS", "NEXUS"),
    (b"CLUSTAL", "a Clustal alignment"),
    (b"<", "a web page or XML"),
    (b"{", "JSON"),
    (b"\x1f\x8b", "gzip inside gzip"),
    (b"PK\x03\x04", "zip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\x43\x27\x41\x1a", "2bit"),
    (b"\x1a\x41\x27\x43", "2bit"),
    (b"BAM\x01", "BAM"),
    (b"PAR1", "Parquet"),
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
)


class Part(NamedTuple):
    """A stretch of the sequence of one record."""

    contig: str
    """First word of the header."""
    body: bytes
    """Legal letters, and line feeds."""
    num_letters: int
    """Letters in `body`, at least 1."""


def iter_parts(path: Path, blocks: Iterable[bytes]) -> Iterator[Part]:
    """Cut a FASTA file into parts.

    Parameters
    ----------
    path : Path
        The file, for messages.
    blocks : iterable of bytes
        Its contents, not packed, cut anywhere.

    Yields
    ------
    Part
        In the order of the file; parts of one record follow each other and have the same contig,
        parts of two records have not.

    Raises
    ------
    FastaError
        If this is not FASTA, a record has no name or no sequence, two have the same name, or a
        letter is not one of IUPAC's for DNA.
    """
    blocks = iter(blocks)
    parser = _Parser(path)
    try:
        for block in tidy(blocks):
            yield from parser.feed(block)
        parser.finish()
    except FastaError:
        # Damaged gzip data may unpack to nonsense long before a checksum tells. So the rest is
        # unpacked too: if that fails, damage is the error, and not the letters.
        for _ in blocks:
            pass
        raise


def letter_hint(letter: str) -> str:
    """Return what to do about a letter, if it is a known one."""
    if letter in "Uu":
        return "; this is RNA: write T in place of U"
    if letter in "-.~":
        return "; this is a gap of an alignment: take the gaps out"
    if letter in "Xx":
        return "; if X stands for masked bases, write N"
    if letter.isascii() and (letter.isalpha() or letter == "*"):
        return "; this looks like protein: use the nucleotide sequence"
    if letter in "+@!":
        return "; this looks like FASTQ: convert it to FASTA"
    if letter == ">":
        return "; is the line end before a header missing?"
    if letter.isdigit():
        return "; take numbers out of the sequence"
    if letter in " \t":
        return "; take blanks out of the sequence"
    return "; the file may be damaged or not be text"


def tidy(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Give every line the end of Unix; drop a byte-order mark and blanks at line ends."""
    held = b""
    for number, block in enumerate(blocks):
        if number == 0:
            block = block.removeprefix(b"\xef\xbb\xbf")
        if held:
            block = held + block
        kept = block.rstrip(b" \t\r")
        held = block[len(kept) :]
        if len(held) > _HELD_BYTES:
            kept, held = block, b""
        if b"\r" in kept:
            kept = kept.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        # One byte is found tenfold faster than two, and few blocks have any blank.
        if (b" " in kept and b" \n" in kept) or (b"\t" in kept and b"\t\n" in kept):
            kept = b"\n".join(line.rstrip(b" \t") for line in kept.split(b"\n"))
        if kept:
            yield kept


class _Parser:
    """Where in the file, and in which record, the next block begins."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.line = 1
        self.column = 1
        self.contig: str | None = None
        self.line_of: dict[str, int] = {}  # the header of each record so far
        self.has_sequence = False
        self.header: bytes | None = None  # what of a header has been read, without '>'
        self.in_comment = False
        self.is_empty = True

    def feed(self, block: bytes) -> Iterator[Part]:
        """Take a block and yield the parts in it."""
        position = 0
        next_header = next_comment = -1
        while position < len(block):
            if self.header is not None or self.in_comment:
                position = self._read_line(block, position)
                continue
            if self.column == 1 and block[position] in b">;":
                if block[position] == ord(">"):
                    self._end_record()
                    self.header = b""
                else:
                    self.in_comment = True
                self.is_empty = False
                self.column = 2
                position += 1
                continue
            # Each mark is looked for again only when it has been passed.
            if next_header < position:
                next_header = _find_at_line_start(block, b">", position)
            if next_comment < position:
                next_comment = _find_at_line_start(block, b";", position)
            stop = min(next_header, next_comment)
            body = block[position:stop]
            position = stop
            yield from self._take(body)

    def finish(self) -> None:
        """Take the end of the file."""
        if self.header is not None:
            self._begin_record()
        self._end_record()
        if not self.line_of:
            found = "only white space" if self.is_empty else "only comments"
            if (self.line, self.column) == (1, 1):
                found = "nothing in it"
            raise FastaError(
                f"{self.path}: found {found}, expected FASTA: a line with '>' and a name, then "
                f"lines of sequence: copy or download it again"
            )

    def _take(self, body: bytes) -> Iterator[Part]:
        """Take lines of sequence, or of nothing."""
        num_lines = body.count(b"\n")
        if self.contig is None:
            if body.strip():
                raise self._not_fasta(body)
        elif num_lines < len(body):
            if body.translate(None, _LEGAL_LINES):
                raise self._bad_letter(body)
            self.has_sequence = True
            yield Part(self.contig, body, len(body) - num_lines)
        self.line += num_lines
        if num_lines:
            self.column = len(body) - body.rfind(b"\n")
        else:
            self.column += len(body)

    def _read_line(self, block: bytes, position: int) -> int:
        """Take the rest of a header or comment, and return where the next line begins."""
        stop = block.find(b"\n", position)
        end = stop if stop >= 0 else len(block)
        if self.header is not None and len(self.header) < _HEADER_BYTES:
            self.header += block[position : min(end, position + _HEADER_BYTES)]
        if stop < 0:
            return end
        if self.header is not None:
            self._begin_record()
        self.in_comment = False
        self.line += 1
        self.column = 1
        return stop + 1

    def _begin_record(self) -> None:
        """Take a complete header line, which is line `self.line`."""
        assert self.header is not None
        place = f"{self.path}:{self.line}"
        words = self.header.split(maxsplit=1)
        if not words or self.header[:1].isspace():
            found = "a blank after '>'" if words else "'>' alone"
            raise FastaError(
                f"{place}: header without a name (record {len(self.line_of) + 1}): found {found}, "
                f"expected '>' and a name directly after it"
            )
        try:
            name = words[0].decode("utf-8")
        except UnicodeDecodeError:
            name = "\0"
        if not name.isprintable() or len(words[0]) >= _HEADER_BYTES:
            found = repr(words[0][:40])[1:]
            raise FastaError(
                f"{place}: header whose name is {found}, expected printable text in UTF-8 of less "
                f"than {_HEADER_BYTES:,} bytes: the file may be damaged or not be text"
            )
        if name in self.line_of:
            raise FastaError(
                f"{place}: second record of the name {name!r}, the first is at line "
                f"{self.line_of[name]}: expected a name of its own for each: rename or remove one"
            )
        self.line_of[name] = self.line
        self.contig = name
        self.has_sequence = False
        self.header = None

    def _end_record(self) -> None:
        if self.contig is not None and not self.has_sequence:
            raise FastaError(
                f"{self.path}:{self.line_of[self.contig]}: record {self.contig!r} has no sequence, "
                f"expected at least one letter: remove the record, or complete the file if it was "
                f"cut short"
            )

    def _bad_letter(self, body: bytes) -> FastaError:
        match = _ILLEGAL.search(body)
        assert match is not None, "no bad letter here"
        before = body[: match.start()]
        line = self.line + before.count(b"\n")
        # Before the first line feed, columns go on from the block before.
        column = len(before) - before.rfind(b"\n") + (0 if b"\n" in before else self.column - 1)
        letter = match.group().decode("latin-1")
        return FastaError(
            f"{self.path}:{line}: record {self.contig!r}, column {column:,}: found {letter!r}, "
            f"expected A, C, G, T, N or another IUPAC code (RYSWKMBDHV) in either case"
            f"{letter_hint(letter)}"
        )

    def _not_fasta(self, body: bytes) -> FastaError:
        start = body.lstrip()
        line = self.line + body[: len(body) - len(start)].count(b"\n")
        first_line = start[:60].split(b"\n")[0]
        found = next((name for magic, name in _OTHER_FORMATS if start.startswith(magic)), "")
        if not found:
            text = first_line.decode("latin-1")
            if _CONTROL.search(first_line):
                found = "binary data"
            elif not _ILLEGAL.search(first_line):
                found = f"sequence before the first header, {text[:20]!r}"
            else:
                found = repr(text[:40])
        return FastaError(
            f"{self.path}:{line}: not FASTA: found {found}, expected a line with '>' and a name: "
            f"give a FASTA file, plain, gzip or bgzip"
        )


def _find_at_line_start(block: bytes, mark: bytes, position: int) -> int:
    """Return where a mark stands after a line feed, or the length of the block."""
    found = block.find(mark, position)
    while found > position and block[found - 1] != _LINE_FEED:
        found = block.find(mark, found + 1)
    return found if found > position else len(block)
