"""CDS FASTA with Ensembl's headers: by hand, against generated records, and bad files."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import LETTERS, pack

from helixlm.data.cds_fasta import CdsFastaError, iter_cds_fasta, parse_header
from helixlm.data.coding import CodingSequence

HEADER = (
    "ENST00000448914.1 cds chromosome:GRCh38:14:22449113:22449125:1 gene:ENSG00000228985.1 "
    "gene_biotype:TR_D_gene transcript_biotype:TR_D_gene gene_symbol:TRDD3 "
    "description:T cell receptor delta diversity 3 [Source:HGNC Symbol;Acc:HGNC:12256]"
)

# No blank, and no colon first, as in Ensembl's own values.
words = st.text(alphabet="abcXYZ019._-|", min_size=1, max_size=8)
contigs = words | st.just("HLA-A*01:01")
descriptions = st.text(alphabet="abc [];:,.(1)", min_size=1, max_size=30).map(str.strip)


@st.composite
def records(draw):
    """A record with some of its fields, and its header."""
    name = draw(st.uuids()).hex
    header, chromosome, start, end, strand = f"{name} cds", "", None, None, ""
    if draw(st.booleans()):
        chromosome = draw(contigs)
        start = draw(st.integers(0, 10**8))
        end = start + draw(st.integers(1, 10**6))
        strand = draw(st.sampled_from("+-"))
        kind = draw(st.sampled_from(["chromosome", "scaffold", "primary_assembly", "group"]))
        sign = "1" if strand == "+" else "-1"
        header += f" {kind}:{draw(words)}:{chromosome}:{start + 1}:{end}:{sign}"
    values = []
    for key in ("gene", "gene_biotype", "transcript_biotype", "gene_symbol"):
        values.append(draw(st.just("") | words))
        header += f" {key}:{values[-1]}" if values[-1] else ""
    description = draw(st.just("") | descriptions)
    header += f" description:{description}" if description else ""
    sequence = draw(st.text(alphabet=LETTERS + LETTERS.lower(), min_size=1, max_size=90))
    place = (chromosome, start, end, strand)
    return header, CodingSequence(name, *place, *values, description, sequence)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(records(), min_size=1, max_size=4),
    st.integers(1, 70),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.sampled_from(["plain", "gzip", "bgzip"]),
)
def test_any_file_gives_the_records_it_was_made_of(tmp_path_factory, drawn, width, end, packing):
    text = ""
    for header, record in drawn:
        lines = [record.sequence[i : i + width] for i in range(0, len(record.sequence), width)]
        text += end.join([f">{header}", *lines]) + end
    path = pack(tmp_path_factory.getbasetemp() / "any.cds.fa", text.encode(), packing)
    assert list(iter_cds_fasta(path)) == [record for _, record in drawn]


def test_a_record_by_hand(tmp_path):
    path = pack(tmp_path / "a.fa", f">{HEADER}\nACTGG\nGGgata\n".encode(), "plain")
    assert list(iter_cds_fasta(str(path))) == [
        CodingSequence(
            "ENST00000448914.1",
            "14",
            22449112,
            22449125,
            "+",
            "ENSG00000228985.1",
            "TR_D_gene",
            "TR_D_gene",
            "TRDD3",
            "T cell receptor delta diversity 3 [Source:HGNC Symbol;Acc:HGNC:12256]",
            "ACTGGGGgata",
        )
    ]


def test_headers_of_others_give_the_name(tmp_path):
    text = '>YAL001C TFC3 SGDID:S01, Chr I from 151006-147594, "Subunit of: RNA"\nATG\n>b\nA\n'
    found = list(iter_cds_fasta(pack(tmp_path / "a.fa", text.encode(), "gzip")))
    assert [(record.transcript_id, record.sequence) for record in found] == [
        ("YAL001C", "ATG"),
        ("b", "A"),
    ]
    assert found[0][1:10] == ("", None, None, "", "", "", "", "", "")


def test_what_looks_like_a_field_in_a_description_is_none():
    record = parse_header("x cds gene:g description:see gene_symbol:abc or gene:other", "f:1")
    assert (record.gene_id, record.gene_symbol) == ("g", "")
    assert record.description == "see gene_symbol:abc or gene:other"


BAD = {
    "no header": ("ACGT\n", ":1: not FASTA: found 'ACGT', expected a line with '>' and a name"),
    "no name": (">\nACGT\n", ":1: header without a name, expected '>' and a name after it"),
    "blank": ("> x\nACGT\n", ":1: header without a name, expected '>' and a name after it"),
    "no sequence": (">a\n>b\nA\n", ":1: record 'a' has no sequence, expected at least one letter"),
    "none at the end": (
        ">a\nA\n>b\n",
        ":3: record 'b' has no sequence, expected at least one",
    ),
    "twice": (">a\nA\n>a\nC\n", ":3: second record of the name 'a', the first is at line 1: exp"),
    "place": (
        ">a cds chromosome:x:1:9:3:1\nA\n",
        ":1: place 'chromosome:x:1:9:3:1', expected 1 <= start <= end, as in chromosome:GRCh38:14",
    ),
    "letter": (
        ">a x\nACGT\nMKE*\n",
        ":3: record 'a', column 3: found 'E', expected A, C, G, T, N or another IUPAC code "
        "(RYSWKMBDHV) in either case; this looks like protein",
    ),
    "BioMart": (
        ">a\nSequence unavailable\n",
        ":2: record 'a', column 2: found 'e', expected A, C, G, T, N or another IUPAC code "
        "(RYSWKMBDHV) in either case; BioMart writes this for what has no coding sequence",
    ),
    "blank lines": (" \n\n", ": only white space, expected FASTA"),
    "empty": ("", ": empty file, expected FASTA"),
}


@pytest.mark.parametrize(("content", "message"), BAD.values(), ids=BAD)
def test_bad_files(tmp_path, content, message):
    path = pack(tmp_path / "a.fa", content.encode(), "plain")
    with pytest.raises(CdsFastaError) as caught:
        list(iter_cds_fasta(path))
    assert f"{path}{message}" in str(caught.value)


def test_files_that_are_not_there_or_damaged(tmp_path):
    with pytest.raises(CdsFastaError, match=r"no\.fa: expected a FASTA file, found nothing there"):
        next(iter_cds_fasta(tmp_path / "no.fa"))
    path = pack(tmp_path / "a.fa", f">{HEADER}\nACTGG\n".encode(), "gzip")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(CdsFastaError, match="gzip file that ends in the middle"):
        list(iter_cds_fasta(path))
