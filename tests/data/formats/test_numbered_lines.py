"""Lines with their numbers: against str.splitlines, whatever the blocks and the packing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import pack

from helixlm.data.formats import fasta_bytes
from helixlm.data.formats.numbered_lines import iter_lines
from helixlm.errors import InputError


@settings(deadline=None, max_examples=150)
@given(
    st.text(alphabet="ab \t\n\r", min_size=1, max_size=60),
    st.sampled_from(["plain", "gzip", "bgzip"]),
    st.sampled_from([16, 17, 1 << 18]),
)
def test_agrees_with_splitlines(tmp_path_factory, text, packing, block):
    path = pack(tmp_path_factory.getbasetemp() / "any.txt", text.encode(), packing)
    lines = [line.rstrip(" \t") for line in text.splitlines()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fasta_bytes, "BLOCK_BYTES", block)
        found = list(iter_lines(path, "text", InputError))
    assert found == [(i, line) for i, line in enumerate(lines, start=1) if line]
