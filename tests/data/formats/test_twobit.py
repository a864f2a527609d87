"""2bit files: against a writer made from the format's description, by hand, and bad files."""

import hashlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import names
from tests.data.twobit_files import twobit_bytes

from helixlm.data.formats import twobit
from helixlm.data.formats.twobit import TwoBitError, is_twobit, iter_twobit

records_of_bases = st.dictionaries(
    names, st.text(alphabet="ACGTNacgtn", min_size=1, max_size=60), min_size=1, max_size=5
)


def joined(parts):
    found = {}
    for part in parts:
        assert part.num_letters == len(part.body) > 0
        found[part.contig] = found.get(part.contig, "") + part.body.decode()
    return found


def errors_of(path):
    with pytest.raises(TwoBitError) as caught:
        list(iter_twobit(path))
    return str(caught.value)


@settings(deadline=None, max_examples=150)
@given(
    records_of_bases, st.sampled_from("<>"), st.sampled_from([0, 1]), st.sampled_from([4, 8, 1024])
)
def test_any_file_gives_the_records_it_was_made_of(tmp_path_factory, records, order, version, size):
    path = tmp_path_factory.getbasetemp() / "any.2bit"
    path.write_bytes(twobit_bytes(records, order, version))
    assert is_twobit(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(twobit, "PART_BP", size)
        parts = list(iter_twobit(path))
    assert max(part.num_letters for part in parts) <= size
    assert joined(parts) == records
    assert list(joined(parts)) == list(records)


def test_a_file_by_hand(tmp_path):
    """Six bases, TCAGnT: T 00, C 01, A 10, G 11, the most significant bits first."""
    words = [6, 1, 4, 1, 1, 4, 1, 0]  # size; one N run at 4 of 1; one mask run at 4 of 1; reserved
    content = struct.pack("<4I", 0x1A412743, 0, 1, 0) + b"\x01a" + struct.pack("<I", 22)
    content += struct.pack("<8I", *words) + bytes([0b00011011, 0b00000000])
    path = tmp_path / "a.2bit"
    path.write_bytes(content)
    digest, calls = hashlib.sha256(), []
    parts = list(iter_twobit(str(path), digest=digest, progress=lambda *call: calls.append(call)))
    assert [tuple(part) for part in parts] == [("a", b"TCAGnT", 6)]
    assert digest.hexdigest() == hashlib.sha256(content).hexdigest()
    assert calls == [(len(content), len(content))]


@settings(deadline=None, max_examples=100)
@given(records_of_bases, st.data())
def test_a_file_that_is_cut_short_is_refused(tmp_path_factory, records, data):
    content = twobit_bytes(records)
    path = tmp_path_factory.getbasetemp() / "cut.2bit"
    size = data.draw(st.integers(4, len(content) - 1))
    path.write_bytes(content[:size])
    assert f"ends after {size:,} bytes, expected at least" in errors_of(path)


def test_bad_files(tmp_path):
    path = tmp_path / "a.2bit"
    assert not is_twobit(path)
    assert errors_of(path) == f"{path}: expected a 2bit file, found nothing there"
    assert errors_of(tmp_path) == f"{tmp_path}: expected a 2bit file, found a folder"
    path.write_bytes(b">chr1\nACGT\n")
    assert not is_twobit(path)
    assert "not a 2bit file: its first four bytes are not 2bit's signature" in errors_of(path)
    path.write_bytes(twobit_bytes({}))
    assert "no sequence in the file, expected at least one" in errors_of(path)
    path.write_bytes(twobit_bytes({"a": "ACGT", "empty": ""}))
    assert "sequence 'empty' is empty, expected at least one base" in errors_of(path)
    path.write_bytes(twobit_bytes({"a": "A", "b": "C"}).replace(b"\x01b", b"\x01a"))
    assert "two sequences of the name 'a', expected a name of its own" in errors_of(path)
    path.write_bytes(twobit_bytes({"a": "A"}).replace(b"\x01a", b"\x01\xff"))
    assert "sequence 1 has the name b'\\xff', expected printable text: the file" in errors_of(path)
    path.write_bytes(struct.pack("<4I", 0x1A412743, 7, 1, 0))
    assert "2bit of version 7, expected version 0 or 1" in errors_of(path)


@pytest.mark.parametrize(
    ("runs", "what"),
    [([1, 3, 2, 0, 0], "N"), ([0, 2, 0, 1, 2, 1, 0], "lower case"), ([0, 2, 2, 0, 1, 1, 0], "low")],
)
def test_runs_that_cannot_be(tmp_path, runs, what):
    content = struct.pack("<4I", 0x1A412743, 0, 1, 0) + b"\x01a" + struct.pack("<I", 22)
    path = tmp_path / "a.2bit"
    path.write_bytes(content + struct.pack(f"<{len(runs) + 1}I", 4, *runs) + b"\0")
    assert f"sequence 'a': the runs of {what}" in errors_of(path)
    assert "overlap or go past its 4 bases, expected them in order" in errors_of(path)
