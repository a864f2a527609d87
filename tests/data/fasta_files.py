"""FASTA files for the tests: written by hand, packed by gzip and by htslib's bgzip."""

import gzip
from pathlib import Path

import pysam
from hypothesis import strategies as st

LETTERS = "ACGTNRYSWKMBDHV"


def pack(path: Path, content: bytes, packing: str) -> Path:
    """Write bytes to a file, packed as asked."""
    if packing == "plain":
        path.write_bytes(content)
    elif packing == "gzip":
        path.write_bytes(gzip.compress(content))
    elif packing == "members":  # some tools write many gzip streams one after the other
        third = len(content) // 3 + 1
        parts = [content[i : i + third] for i in range(0, len(content), third)]
        path.write_bytes(b"".join(gzip.compress(part, mtime=0) for part in parts))
    else:
        plain = path.with_name(path.name + ".unpacked")
        plain.write_bytes(content)
        pysam.tabix_compress(str(plain), str(path), force=True)
        plain.unlink()
    return path


def text_of(records: dict[str, str], width: int = 60, end: str = "\n") -> str:
    """Return records as FASTA, their lines of one width."""
    lines = []
    for name, sequence in records.items():
        lines.append(f">{name} a description")
        lines += [sequence[i : i + width] for i in range(0, len(sequence), width)]
    return end.join(lines) + end


names = st.text(alphabet="abcXYZ019._|-ä", min_size=1, max_size=6)
sequences = st.text(alphabet=LETTERS + LETTERS.lower(), min_size=1, max_size=60)
genomes = st.dictionaries(names, sequences, min_size=1, max_size=5)
