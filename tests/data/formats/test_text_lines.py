"""Text with one sequence on each line, against lines written by hand."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helixlm.data.formats import fasta_bytes
from helixlm.data.formats.fasta import FastaError
from helixlm.data.formats.text_lines import holds_sequence_lines, iter_text_lines

LETTERS = "ACGTNRYSWKMBDHVacgtnryswkmbdhv"


def written(tmp_path, content):
    path = tmp_path / "text.txt"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lines(tmp_path, end):
    content = end.join([b"", b"ACGT", b"", b"  ", b"nnRYacgt \t", b"A"])
    path = written(tmp_path, b"\xef\xbb\xbf" + content)
    assert holds_sequence_lines(path)
    assert list(iter_text_lines(path)) == ["ACGT", "nnRYacgt", "A"]


@given(st.lists(st.text(LETTERS, min_size=1, max_size=30), min_size=1), st.integers(1, 9))
def test_lines_come_back_wherever_blocks_end(tmp_path_factory, lines, block):
    path = written(tmp_path_factory.mktemp("text"), "\n".join(lines).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fasta_bytes, "BLOCK_BYTES", block)
        assert list(iter_text_lines(path)) == lines


def test_gzip(tmp_path):
    path = written(tmp_path, gzip.compress(b"ACGT\nTTT\n"))
    assert holds_sequence_lines(path)
    assert list(iter_text_lines(path)) == ["ACGT", "TTT"]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(FastaError, match="ends in the middle"):
        list(iter_text_lines(path))


@pytest.mark.parametrize(
    "content", [b">chr1\nACGT\n", b"\n; comment\n>a\nAC\n", b"@read\nACGT\n", b"\n\n", b"123\n"]
)
def test_what_does_not_begin_with_a_letter_of_dna_is_no_text(tmp_path, content):
    assert not holds_sequence_lines(written(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ACGT\n\nACXGT\n", r"text.txt:3: column 3: found 'X', .* each line, .*write N"),
        (b"ACGT\n>chr1\nACGT\n", r"text.txt:2: column 1: found '>', .*FASTA file begins with '>'"),
        (b"sequence,label\nACGT,1\n", r"text.txt:1: column 2: found 'e', .*looks like a table"),
        (b"ACGU\n", r"text.txt:1: column 4: found 'U', .*this is RNA"),
        (b"ACG T\n", r"text.txt:1: column 4: found ' ', .*take blanks out"),
        (b"", "empty file"),
    ],
)
def test_other_letters_are_refused_with_their_place(tmp_path, content, message):
    with pytest.raises(FastaError, match=message):
        list(iter_text_lines(written(tmp_path, content)))
