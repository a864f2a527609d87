"""Streaming and scanning FASTA: against the records that were written, pysam, and bad files."""

import gzip
import hashlib
import os
import re
import threading
import tracemalloc
from collections import Counter
from pathlib import Path

import pysam
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import LETTERS, genomes, pack, text_of

from helixlm.data.formats import fasta_bytes, fasta_stream
from helixlm.data.formats.fasta import Chunk, FastaError, iter_chunks, scan_fasta
from helixlm.errors import InputError

GENOME = {"chr1": "ACGTNNacgtRYSWKMBDHVryswkmbdhvnT" * 9, "chr2": "g", "chrM|x": "TTTTTTTTTT" * 12}


def joined(chunks):
    """Contigs from chunks; checks that chunks are contiguous, of one size, and end once."""
    found, open_contig, size = {}, None, None
    for chunk in chunks:
        if open_contig is None:
            assert chunk.contig not in found
            found[chunk.contig] = ""
        assert chunk.contig == (open_contig or chunk.contig)
        assert chunk.start == len(found[chunk.contig])
        if not chunk.last:
            size = size or len(chunk.sequence)
            assert len(chunk.sequence) == size
        found[chunk.contig] += chunk.sequence
        open_contig = None if chunk.last else chunk.contig
    assert open_contig is None
    return found


@st.composite
def files(draw):
    """Records, and a FASTA file of them as untidy as files are."""
    genome = draw(genomes)
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    text = draw(st.sampled_from(["", "\ufeff", end, f"; a comment{end}", f" {end}\t{end}"]))
    for name, sequence in genome.items():
        rest = draw(st.sampled_from(["", " ", " > some text;", "\tx  "]))
        text += f">{name}{rest}{end}"
        while sequence:
            width = draw(st.integers(1, 30))
            blanks = draw(st.sampled_from(["", "", "", " ", "\t \t", end, f" {end} ", f"{end};>A"]))
            text += sequence[:width] + blanks + end
            sequence = sequence[width:]
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    return genome, text.encode()


@settings(deadline=None, max_examples=100)
@given(
    files(),
    st.sampled_from(["plain", "gzip", "members", "bgzip"]),
    st.sampled_from([16, 17, 50, 1 << 18]),
    st.integers(1, 70),
)
def test_any_file_gives_the_records_it_was_made_of(tmp_path_factory, file, packing, block, chunk):
    genome, content = file
    path = pack(tmp_path_factory.getbasetemp() / "any.fa", content, packing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fasta_bytes, "BLOCK_BYTES", block)
        chunks = list(iter_chunks(path, chunk_bp=chunk))
        summary = scan_fasta(path)
    assert joined(chunks) == genome
    assert all(len(c.sequence) <= chunk for c in chunks)
    assert all(c.last or len(c.sequence) == chunk for c in chunks)
    assert list(dict.fromkeys(c.contig for c in chunks)) == list(genome)
    lengths = {name: len(sequence) for name, sequence in genome.items()}
    assert list(summary.contigs.items()) == list(lengths.items())
    assert summary.letters == Counter("".join(genome.values()))
    assert summary.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@settings(deadline=None, max_examples=100)
@given(files(), st.integers(3, 12))
def test_parts_do_not_depend_on_the_blocks(file, size):
    genome, content = file
    blocks = [content[i : i + size] for i in range(0, len(content), size)]
    found = dict.fromkeys(genome, "")
    for part in fasta_stream.iter_parts(Path("any.fa"), blocks):
        letters = part.body.replace(b"\n", b"").decode()
        assert part.num_letters == len(letters) > 0
        found[part.contig] += letters
    assert found == genome


@settings(deadline=None, max_examples=30)
@given(genomes, st.integers(1, 70), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_agrees_with_htslib(tmp_path_factory, genome, width, end, packed):
    path = tmp_path_factory.getbasetemp() / "pysam.fa"
    pack(path, text_of(genome, width, end).encode(), "bgzip" if packed else "plain")
    with pysam.FastxFile(str(path)) as stream:
        expected = {record.name: record.sequence for record in stream}
    assert joined(iter_chunks(path, chunk_bp=13)) == expected == genome


def test_chunks_by_hand(tmp_path):
    path = pack(tmp_path / "a.fa", b">one x\nACGT\nAC\n>two\nacgt\n", "plain")
    assert list(iter_chunks(str(path), chunk_bp=4)) == [
        Chunk("one", 0, "ACGT", False),
        Chunk("one", 4, "AC", True),
        Chunk("two", 0, "acgt", True),
    ]


@pytest.mark.parametrize("packing", ["plain", "gzip", "members", "bgzip"])
def test_summary_by_hand(tmp_path, packing):
    path = pack(tmp_path / "a.fa", b">one x\nACGT\nAC\n>two\nNnnna\n", packing)
    summary = scan_fasta(str(path))
    assert summary.path == path
    assert summary.contigs == {"one": 6, "two": 5}
    assert summary.letters == {"A": 2, "C": 2, "G": 1, "T": 1, "N": 1, "a": 1, "n": 3}
    assert summary.num_bases == 11
    assert summary.softmask_fraction == 4 / 11


def test_letters_are_counted_in_large_files_too(tmp_path):
    sequence = (LETTERS + LETTERS.lower() + "A") * 20_001  # an odd number of bytes
    path = pack(tmp_path / "a.fa", f">a\n{sequence}\n>b\nACG\n".encode(), "plain")
    assert scan_fasta(path).letters == Counter(sequence + "ACG")
    assert joined(iter_chunks(path)) == {"a": sequence, "b": "ACG"}


@pytest.mark.parametrize("packing", ["plain", "gzip", "bgzip"])
def test_one_enormous_line_takes_little_memory(tmp_path, packing):
    num_bases = 40_000_000
    path = pack(tmp_path / "line.fa", b">chr1\n" + b"ACGTacgtNN" * (num_bases // 10), packing)
    tracemalloc.start()
    try:
        length = sum(len(chunk.sequence) for chunk in iter_chunks(path))
        peak_chunks = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        summary = scan_fasta(path)
        peak_scan = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert length == summary.num_bases == num_bases
    assert max(peak_chunks, peak_scan) < 8_000_000  # bytes, a fifth of the line


def test_a_long_header_and_many_blanks_take_little_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(fasta_bytes, "BLOCK_BYTES", 1 << 16)
    blanks = b" " * 5_000_000
    path = pack(tmp_path / "a.fa", b">chr1 " + b"x" * 9_000_000 + blanks + b"\nAC\n", "plain")
    tracemalloc.start()
    try:
        assert joined(iter_chunks(path)) == {"chr1": "AC"}
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()


def test_many_short_records(tmp_path):
    genome = {f"contig{i}": "ACGT" * (i % 7 + 1) for i in range(20_000)}
    path = pack(tmp_path / "a.fa", text_of(genome).encode(), "gzip")
    assert {chunk.contig: chunk.sequence for chunk in iter_chunks(path)} == genome
    assert scan_fasta(path).contigs == {name: len(text) for name, text in genome.items()}


@pytest.mark.parametrize("packing", ["plain", "gzip", "bgzip"])
def test_progress_counts_the_bytes_of_the_file(tmp_path, monkeypatch, packing):
    monkeypatch.setattr(fasta_bytes, "BLOCK_BYTES", 50)
    path = pack(tmp_path / "a.fa", text_of(GENOME).encode(), packing)
    calls = []
    scan_fasta(path, progress=lambda done, total: calls.append((done, total)))
    size = path.stat().st_size
    assert calls == [(min(done, size), size) for done in range(50, size + 50, 50)]


def test_a_pipe_can_be_streamed(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    content = gzip.compress(text_of(GENOME).encode())
    writer = threading.Thread(target=pipe.write_bytes, args=(content,))
    writer.start()
    calls = []
    summary = scan_fasta(pipe, progress=lambda *call: calls.append(call))
    writer.join()
    assert summary.contigs == {name: len(text) for name, text in GENOME.items()}
    assert calls == [(len(content), None)]


def test_zeros_after_the_end_of_gzip_data_are_padding(tmp_path):
    path = tmp_path / "a.fa.gz"
    path.write_bytes(gzip.compress(b">a\nACGT\n") + bytes(1000))
    assert joined(iter_chunks(path)) == {"a": "ACGT"}


def test_chunks_have_a_size(tmp_path):
    path = pack(tmp_path / "a.fa", b">a\nACGT\n", "plain")
    with pytest.raises(ValueError, match="chunk_bp 0: expected at least 1"):
        next(iter_chunks(path, chunk_bp=0))


# Bad files. Each message has the place, what was found, what was expected, what to do.

LETTER = "expected A, C, G, T, N or another IUPAC code (RYSWKMBDHV) in either case"
NAME = "expected '>' and a name directly after it"
START = "expected a line with '>' and a name: give a FASTA file, plain, gzip or bgzip"

BAD_RECORDS = {
    "gap": (b">a\nAC-GT\n", f":2: record 'a', column 3: found '-', {LETTER}; this is a gap of an"),
    "dot": (b">a\nAC\n..GT\n", f":3: record 'a', column 1: found '.', {LETTER}; this is a gap"),
    "stop": (
        b">a\nACGT*\n",
        f":2: record 'a', column 5: found '*', {LETTER}; this looks like prot",
    ),
    "protein": (
        b">p x\nMKVLA\n",
        f":2: record 'p', column 4: found 'L', {LETTER}; this looks like",
    ),
    "rna": (b">a\nACGU\n", f":2: record 'a', column 4: found 'U', {LETTER}; this is RNA: write T"),
    "masked": (
        b">a\nACxxT\n",
        f":2: record 'a', column 3: found 'x', {LETTER}; if X stands for ma",
    ),
    "number": (
        b">a\nAC\n60 ACGT\n",
        f":3: record 'a', column 1: found '6', {LETTER}; take numbers",
    ),
    "blank": (b">a\nAC GT\n", f":2: record 'a', column 3: found ' ', {LETTER}; take blanks out"),
    "tab": (b">a\n\tACGT\n", f":2: record 'a', column 1: found '\\t', {LETTER}; take blanks out"),
    "late >": (b">a\nACGT>b\nAC\n", f":2: record 'a', column 5: found '>', {LETTER}; is the line"),
    "late ;": (b">a\nACGT;b\nAC\n", f":2: record 'a', column 5: found ';', {LETTER}; the file may"),
    "fastq later": (b">a\nAC\n@b\nAC\n", f":3: record 'a', column 1: found '@', {LETTER}; this lo"),
    "zero byte": (
        b">a\nAC\0\0\n",
        f":2: record 'a', column 3: found '\\x00', {LETTER}; the file ma",
    ),
    "not ASCII": (
        b">a\r\nAC\xc3\r\n",
        f":2: record 'a', column 3: found 'Ã', {LETTER}; the file ma",
    ),
    "second record": (
        b">a\nACGT\n\n;c\n>b x\nACGT\nAC1",
        f":7: record 'b', column 3: found '1', {LETTER}; take numbers out of the sequence",
    ),
    "old Mac": (b">a\rAC\rG!T\r", f":3: record 'a', column 2: found '!', {LETTER}; this looks lik"),
    "no name": (b">\nACGT\n", f":1: header without a name (record 1): found '>' alone, {NAME}"),
    "blank name": (
        b">a\nAC\n> b\nACGT\n",
        f":3: header without a name (record 2): found a blank after '>', {NAME}",
    ),
    "no name at the end": (b">a\nAC\n>", ":3: header without a name (record 2): found '>' alone"),
    "name not text": (
        b">a\nAC\n>\xff\xfe\x01 x\nAC\n",
        ":3: header whose name is '\\xff\\xfe\\x01', expected printable text in UTF-8",
    ),
    "name not printable": (
        b">a\0b\nAC\n",
        ":1: header whose name is 'a\\x00b', expected printable",
    ),
    "same name": (
        b">a\nAC\n>b\nAC\n>a again\nGT\n",
        ":5: second record of the name 'a', the first is at line 1: expected a name of its own",
    ),
    "no sequence": (
        b">a\nAC\n>b\n>c\nAC\n",
        ":3: record 'b' has no sequence, expected at least one letter: remove the record, or",
    ),
    "no sequence but blanks": (b">a\n \n\n>b\nA\n", ":1: record 'a' has no sequence, expected at"),
    "no sequence at the end": (
        b">a\nAC\n>b x\n",
        ":3: record 'b' has no sequence, expected at lea",
    ),
    "no sequence, no line end": (b">a\nAC\n>b", ":3: record 'b' has no sequence, expected at leas"),
    "white space": (b" \n\t\r\n\n", ": found only white space, expected FASTA: a line with '>'"),
    "comments": (b"; nothing\n;\n", ": found only comments, expected FASTA: a line with '>'"),
}
NOT_FASTA = {
    "sequence": (
        b"\nACGTAC\nACGT",
        ":2: not FASTA: found sequence before the first header, 'ACGT",
    ),
    "FASTQ": (b"@r1\nACGT\n+\nIIII\n", f":1: not FASTA: found FASTQ or SAM, {START}"),
    "GenBank": (b"LOCUS       SCU49845", f":1: not FASTA: found GenBank, {START}"),
    "EMBL": (b"ID   X56734; SV 1;", f":1: not FASTA: found EMBL, {START}"),
    "GFF": (b"##gff-version 3\n", f":1: not FASTA: found GFF, {START}"),
    "VCF": (b"##fileformat=VCFv4.2\n", f":1: not FASTA: found VCF, {START}"),
    "NEXUS": (b"#NEXUS\nbegin data;\n", f":1: not FASTA: found NEXUS, {START}"),
    "Clustal": (b"CLUSTAL W (1.82)\n", f":1: not FASTA: found a Clustal alignment, {START}"),
    "HTML": (b"<!DOCTYPE html>", f":1: not FASTA: found a web page or XML, {START}"),
    "JSON": (b'{"error": 404}', f":1: not FASTA: found JSON, {START}"),
    "gzip twice": (gzip.compress(b">a\nAC\n"), f": not FASTA: found gzip inside gzip, {START}"),
    "zip": (b"PK\x03\x04\x14\0", f":1: not FASTA: found zip, {START}"),
    "bzip2": (b"BZh91AY&SY", f":1: not FASTA: found bzip2, {START}"),
    "xz": (b"\xfd7zXZ\0", f":1: not FASTA: found xz, {START}"),
    "zstd": (b"\x28\xb5\x2f\xfd\x04", f":1: not FASTA: found zstd, {START}"),
    "2bit": (b"\x43\x27\x41\x1a\0\0", f":1: not FASTA: found 2bit, {START}"),
    "BAM": (b"BAM\x01\0\0", f":1: not FASTA: found BAM, {START}"),
    "UTF-16": (">a\nAC\n".encode("utf-16"), f":1: not FASTA: found text in UTF-16, {START}"),
    "binary": (b"\x7fELF\x02\x01\x01\0", f":1: not FASTA: found binary data, {START}"),
    "CSV": (b"sequence,label\nACGT,1\n", f":1: not FASTA: found 'sequence,label', {START}"),
}


def errors_of(path):
    """The one message that both readers give."""
    messages = set()
    for read in (scan_fasta, lambda path: list(iter_chunks(path, chunk_bp=2))):
        with pytest.raises(FastaError) as caught:
            read(path)
        messages.add(str(caught.value))
    assert len(messages) == 1
    return messages.pop()


@pytest.mark.parametrize("block_bytes", [1, 2, 3, 1 << 18])
@pytest.mark.parametrize("content, message", BAD_RECORDS.values(), ids=BAD_RECORDS)
def test_bad_records(tmp_path, monkeypatch, content, message, block_bytes):
    monkeypatch.setattr(fasta_bytes, "BLOCK_BYTES", block_bytes)
    path = pack(tmp_path / "bad.fa", content, "plain")
    assert errors_of(path).startswith(f"{path}{message}")


@pytest.mark.parametrize("packing", ["plain", "gzip", "bgzip"])
@pytest.mark.parametrize("content, message", NOT_FASTA.values(), ids=NOT_FASTA)
def test_what_is_not_fasta(tmp_path, content, message, packing):
    if content.startswith(b"\x1f\x8b"):
        packing, message = "gzip", message.replace(":", ":1:", 1)
    path = pack(tmp_path / "bad.fa", content, packing)
    assert errors_of(path).startswith(f"{path}{message}")


def test_bad_letters_far_from_the_start(tmp_path):
    lines = [b">a"] + [b"ACGTACGTACGTACGTACGT"] * 30_000
    lines[25_003] = b"ACGT?"
    path = pack(tmp_path / "far.fa", b"\r\n".join(lines), "gzip")
    assert ":25004: record 'a', column 5: found '?'" in errors_of(path)
    path = pack(tmp_path / "line.fa", b">a\n" + b"ACGTA" * 100_000 + b"?", "bgzip")
    assert ":2: record 'a', column 500,001: found '?'" in errors_of(path)


def test_a_name_without_end(tmp_path):
    path = pack(tmp_path / "a.fa", b">" + b"A" * 300_000 + b"\nACGT\n", "plain")
    assert ":1: header whose name is 'AAAAAAAAAA" in errors_of(path)
    assert "of less than 65,536 bytes" in errors_of(path)


def test_blanks_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(fasta_stream, "_HELD_BYTES", 100)
    monkeypatch.setattr(fasta_bytes, "BLOCK_BYTES", 10)
    path = pack(tmp_path / "a.fa", b">a\nAC" + b" " * 500 + b"GT", "plain")
    assert ":2: record 'a', column 3: found ' '" in errors_of(path)
    path = pack(tmp_path / "b.fa", b" " * 1000, "plain")
    assert "found only white space" in errors_of(path)


def test_files_that_cannot_be_read(tmp_path):
    path = tmp_path / "no.fa"
    assert errors_of(path) == f"{path}: no such file, expected a FASTA file"
    assert errors_of(tmp_path) == f"{tmp_path}: is a folder, expected a FASTA file"
    path.symlink_to(path)
    assert errors_of(path).startswith(f"{path}: cannot be read: Too many levels")
    assert issubclass(FastaError, InputError)


@pytest.mark.parametrize("packing", ["plain", "gzip", "bgzip"])
def test_files_with_nothing_in_them(tmp_path, packing):
    path = pack(tmp_path / "empty.fa", b"", packing)
    assert errors_of(path).startswith(
        f"{path}: empty file, expected FASTA: a line with '>' and a name first"
        if packing == "plain"
        else f"{path}: found nothing in it, expected FASTA"
    )


DAMAGE = r"cut short|damaged gzip|empty file|end marker|not FASTA: found binary data"


@pytest.mark.parametrize("packing", ["gzip", "bgzip"])
def test_a_packed_file_cut_anywhere_is_refused(tmp_path, packing):
    whole = pack(tmp_path / "whole.fa", text_of(GENOME).encode(), packing).read_bytes()
    path = tmp_path / "cut.fa"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(FastaError, match=DAMAGE):
            list(iter_chunks(path))


def test_only_bgzip_tells_of_a_cut_between_two_streams(tmp_path):
    first, second = gzip.compress(b">a\nAC\n"), gzip.compress(b">b\nGT\n")
    path = tmp_path / "cut.fa"
    path.write_bytes(first + second)
    assert joined(iter_chunks(path)) == {"a": "AC", "b": "GT"}
    for length in range(len(first + second)):
        path.write_bytes((first + second)[:length])
        if length == len(first):  # a sound gzip file: nothing says that there was more
            assert joined(iter_chunks(path)) == {"a": "AC"}
        else:
            assert re.search(DAMAGE, errors_of(path))


@pytest.mark.parametrize("packing", ["gzip", "bgzip"])
def test_a_packed_file_with_a_wrong_byte_anywhere_gives_no_wrong_sequence(tmp_path, packing):
    whole = pack(tmp_path / "whole.fa", text_of(GENOME).encode(), packing).read_bytes()
    path = tmp_path / "wrong.fa"
    refused = 0
    for position in range(len(whole)):
        wrong = bytearray(whole)
        wrong[position] ^= 0x55
        path.write_bytes(wrong)
        try:
            assert joined(iter_chunks(path)) == GENOME  # a byte that does not matter
        except FastaError as error:
            assert re.search(DAMAGE, str(error))
            refused += 1
    assert refused > 0.8 * len(whole)


def test_what_is_said_of_damage(tmp_path):
    path = tmp_path / "a.fa.gz"
    whole = gzip.compress(text_of(GENOME).encode(), mtime=0)
    path.write_bytes(whole[:-20])
    assert errors_of(path) == (
        f"{path}: gzip file that ends in the middle, after {len(whole) - 20} bytes: it was cut "
        "short: copy or download it again"
    )
    path.write_bytes(whole[:-8] + b"\0\0\0\0" + whole[-4:])
    assert errors_of(path) == (
        f"{path}: damaged gzip file near byte 0 (the checksum of the contents is wrong): copy or "
        "download it again"
    )
    path.write_bytes(whole[:-1] + b"\1")
    assert "(the length of the contents is wrong)" in errors_of(path)
    path.write_bytes(whole + b">b\nACGT\n")
    assert errors_of(path) == (
        f"{path}: damaged gzip file near byte {len(whole)} (bytes that are not gzip after the end "
        "of gzip data): copy or download it again"
    )
    path.write_bytes(whole[:10] + b"\xff" * 30)
    assert "near byte 0 (invalid block type): copy or download it again" in errors_of(path)
    path = pack(tmp_path / "b.fa.gz", text_of(GENOME).encode(), "bgzip")
    path.write_bytes(path.read_bytes()[:-28])
    assert errors_of(path) == (
        f"{path}: bgzip file without its end marker, so it was probably cut short: copy or "
        "download it again; if it is known to be whole, gunzip it and bgzip it again"
    )
