"""Inputs that must be refused, or read without harm, made with the standard library alone.

A case is its files by name; their names tell with which option each is given. Two sound contigs of
120 bp stand in `genome.fa` where a case brings no sequence of its own. chr17 is one window of
training, unless the settings of the case say otherwise; chr2 is held out.
"""

import gzip
import struct
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from tests.data.twobit_files import twobit_bytes

CHR17 = (
    "TGCATCGGATTACGCTTAAGGCCATGTCAACTGGATCCTTAGCAGTCGAATTCGCGTACCATGA"
    "GGTTCACCTAGATGCGTTAACCGGTATCTGCAAGCTTGGACATTCCGAGTCTAAGG"
)
CHR2 = CHR17[::-1]
CODING = ("windows.kind=coding",)
STARTS = ("windows.kind=features", "windows.upstream_bp=10", "windows.downstream_bp=10")
AROUND = (*STARTS, "windows.of=bed")


class Refused(NamedTuple):
    """What is no sound input."""

    files: dict[str, bytes | None]
    settings: tuple[str, ...] = ()


class Accepted(NamedTuple):
    """What is read: the windows of training, and what was left out by reason."""

    files: dict[str, bytes | None]
    windows: list[str]
    left_out: Mapping[str, int] = MappingProxyType({})
    settings: tuple[str, ...] = ()
    said: str = ""
    """What is logged."""


def fasta(chr17=CHR17, end="\n", names=("chr17", "chr2")):
    """Return two records, the first with the sequence as given."""
    return end.join([f">{names[0]}", chr17, f">{names[1]}", CHR2, ""]).encode()


def bgzip(content):
    """Pack as bgzip does: gzip members with their size in the header, and an empty one."""
    packed = b""
    for block in (content, b""):
        packer = zlib.compressobj(wbits=-15)
        body = packer.compress(block) + packer.flush()
        head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\x00BC\x02\x00"
        size = struct.pack("<H", len(head) + 2 + len(body) + 8 - 1)
        packed += head + size + body + struct.pack("<II", zlib.crc32(block), len(block))
    return packed


def vcf(*records, samples="S1", contig="chr17", declared=True):
    """Return a VCF file; a record is POS, ALT, genotype, and REF and INFO if they matter."""
    lines = [
        "##fileformat=VCFv4.2",
        *([f"##contig=<ID={contig}>", "##contig=<ID=chr2>"] if declared else []),
        '##INFO=<ID=END,Number=1,Type=Integer,Description="End">',
        '##INFO=<ID=SEQ,Number=1,Type=String,Description="Inserted sequence">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        '##FORMAT=<ID=DP,Number=1,Type=Integer,Description="Depth">',
    ]
    columns = f"#CHROM POS ID REF ALT QUAL FILTER INFO{' FORMAT ' if samples else ''}{samples}"
    lines.append("\t".join(columns.split()))
    for position, alt, genotype, *more in records:
        ref, info, here = [*more, None, None, None][:3]
        row = [here or contig, str(position), ".", ref or CHR17[position - 1], alt]
        row += [".", ".", info or ".", *(["GT", *genotype.split()] if samples else [])]
        lines.append("\t".join(row))
    return "\n".join([*lines, ""]).encode()


def people(*records, **settings):
    """Return the files of a case with genotypes."""
    return {"people.vcf": vcf(*records, **settings)}


def genes(*rows, head="##gff-version 3"):
    """Return the files of a case with an annotation, whose rows have blanks for tabs here."""
    lines = [head, *("\t".join(row.split(" ", 8)) for row in rows), ""]
    return {"genes.gff3": "\n".join(lines).encode()}


def listed(text):
    """Return the files of a case with a list of genomes."""
    return {"list.yaml": text.encode(), "a.fa": fasta(), "b.fa": fasta()}


def changed(start, stop, letters):
    """Return chr17 with other letters in place of a stretch, 0-based and half-open."""
    return CHR17[:start] + letters + CHR17[stop:]


TWOBIT = twobit_bytes({"chr17": CHR17, "chr2": CHR2})
MANY = vcf(*((position, "A", "0|0") for position in range(1, 100)))
SNV = (10, "A", "0|1")
WITH_SNV = [CHR17, changed(9, 10, "A")]
CDS = "chr17 . CDS 1 9 . + 0 ID=one"
START = "chr17 . mRNA 31 90 . + . ID=one"
START_OF_CHR2 = "chr2 . mRNA 31 90 . + . ID=other"

REFUSED = {
    "FASTA: no such file": Refused({"genome.fa": None}),
    "FASTA: empty file": Refused({"genome.fa": b""}),
    "FASTA: gzip with nothing in it": Refused({"genome.fa.gz": gzip.compress(b"")}),
    "FASTA: other text": Refused({"genome.fa": b"Dear Sir\nwe send no genome\n"}),
    "FASTA: a web page": Refused({"genome.fa": b"<!DOCTYPE html>\n<html></html>\n"}),
    "FASTA: FASTQ": Refused({"genome.fa": b"@read1\nACGT\n+\nIIII\n"}),
    "FASTA: zip": Refused({"genome.fa": b"PK\x03\x04" + bytes(20)}),
    "FASTA: sequence without a header": Refused({"genome.fa": CHR17.encode()}),
    "FASTA: gzip cut short": Refused({"genome.fa.gz": gzip.compress(fasta())[:-40]}),
    "FASTA: gzip with a wrong byte": Refused(
        {"genome.fa.gz": gzip.compress(fasta())[:-8] + bytes(4) + gzip.compress(fasta())[-4:]}
    ),
    "FASTA: bgzip cut short": Refused({"genome.fa.gz": bgzip(fasta())[:-28]}),
    "FASTA: a gap in the sequence": Refused({"genome.fa": fasta("ACG-ACGT")}),
    "FASTA: RNA": Refused({"genome.fa": fasta("ACGU")}),
    "FASTA: protein": Refused({"genome.fa": fasta("MKLVEFQ")}),
    "FASTA: a digit in the sequence": Refused({"genome.fa": fasta("1 ACGT")}),
    "FASTA: X for masked bases": Refused({"genome.fa": fasta("ACGXXX")}),
    "FASTA: no line end before a header": Refused({"genome.fa": b">chr17\nACGT>chr2\nACGT\n"}),
    "FASTA: one name twice": Refused({"genome.fa": fasta(names=("chr17", "chr17"))}),
    "FASTA: one name in two files": Refused({"genome.fa": fasta(), "more.fa": fasta()}),
    "FASTA: a record without a name": Refused({"genome.fa": b">\nACGT\n"}),
    "FASTA: a record without sequence": Refused({"genome.fa": b">chr17\n>chr2\nACGT\n"}),
    "FASTA: nothing but N": Refused({"genome.fa": fasta("N" * 120)}),
    "2bit: empty file": Refused({"genome.2bit": b""}),
    "2bit: cut short": Refused({"genome.2bit": TWOBIT[:-10]}),
    "2bit: another version": Refused({"genome.2bit": TWOBIT[:4] + b"\2\0\0\0" + TWOBIT[8:]}),
    "2bit: no sequence": Refused({"genome.2bit": twobit_bytes({})}),
    "2bit: a sequence without bases": Refused(
        {"genome.2bit": twobit_bytes({"chr17": "", "chr2": CHR2})}
    ),
    "VCF: no such file": Refused({"people.vcf": None}),
    "VCF: empty file": Refused({"people.vcf": b""}),
    "VCF: another format": Refused({"people.vcf": fasta()}),
    "VCF: blanks in place of tabs": Refused({"people.vcf": vcf(SNV).replace(b"\t", b" ")}),
    "VCF: one sample twice": Refused(people((10, "A", "0|1 0|1"), samples="S1 S1")),
    "VCF: gzip cut short": Refused({"people.vcf.gz": gzip.compress(MANY)[:-30]}),
    "VCF: bgzip cut short": Refused({"people.vcf.gz": bgzip(MANY)[:-28]}),
    "VCF: cut within a record": Refused({"people.vcf": vcf(SNV, SNV)[:-22]}),
    "VCF: positions not sorted": Refused(people((20, "A", "0|1"), SNV)),
    "VCF: contigs not sorted": Refused(
        people(SNV, (5, "A", "0|1", CHR2[4], ".", "chr2"), (30, "A", "0|1"))
    ),
    "VCF: no samples": Refused(people(SNV, samples="")),
    "VCF: a sample that is not there": Refused(people(SNV), ("variants.samples=[S9]",)),
    "VCF: more draws than samples": Refused(people(SNV), ("variants.draws=2",)),
    "VCF: windows with shortened N": Refused(people(SNV), ("windows.n=cap",)),
    "VCF: no genotypes": Refused({"people.vcf": vcf((10, "A", "7")).replace(b"GT\t", b"DP\t")}),
    "VCF: unphased": Refused(people((10, "A", "0/1"))),
    "VCF: three alleles": Refused(people((10, "A", "0|1|1"))),
    "VCF: an allele that ALT lacks": Refused(people((10, "A", "0|2"))),
    "VCF: an allele that is no DNA": Refused(people((10, "Z", "0|1"))),
    "VCF: REF disagrees": Refused(people((10, "A", "0|1", "G"))),
    "VCF: past the end of the contig": Refused(people((130, "C", "0|1", "A"))),
    "VCF: a symbolic allele past the end": Refused(people((10, "<DEL>", "0|1", None, "END=300"))),
    "VCF: contigs of another genome": Refused(people(SNV, contig="chr5")),
    "VCF: another version of an accession": Refused(
        {"genome.fa": fasta(names=("NC_000017.11", "chr2"))} | people(SNV, contig="NC_000017.10")
    ),
    "VCF: two names for one contig": Refused(
        {"people.vcf": vcf(SNV, contig="17").replace(b"<ID=chr2>", b"<ID=NC_000017.11>")}
    ),
    "VCF: one contig in two files": Refused({"a.vcf": vcf(SNV), "b.vcf": vcf(SNV)}),
    "GFF3: not given": Refused({}, CODING),
    "GFF3: empty file": Refused({"genes.gff3": b""}, CODING),
    "GFF3: FASTA": Refused({"genes.gff3": fasta()}, CODING),
    "GFF3: version 2": Refused(genes(CDS, head="##gff-version 2"), CODING),
    "GFF3: GTF": Refused(genes('chr17 . CDS 1 9 . + 0 gene_id "one";'), CODING),
    "GFF3: blanks in place of tabs": Refused({"genes.gff3": CDS.encode()}, CODING),
    "GFF3: end before start": Refused(genes("chr17 . CDS 9 1 . + 0 ID=one"), CODING),
    "GFF3: a strand that is none": Refused(genes("chr17 . CDS 1 9 . x 0 ID=one"), CODING),
    "GFF3: a phase that is none": Refused(genes("chr17 . CDS 1 9 . + 7 ID=one"), CODING),
    "GFF3: no coding region": Refused(genes("chr17 . gene 1 9 . + . ID=one"), CODING),
    "GFF3: no transcript": Refused(genes(CDS), STARTS),
    "GFF3: past the end of the contig": Refused(genes("chr17 . CDS 1 900 . + 0 ID=one"), CODING),
    "GFF3: contigs spelled otherwise": Refused(genes("17 . CDS 1 9 . + 0 ID=one"), CODING),
    "GFF3: of no use": Refused(genes(CDS)),
    "BED: not given": Refused({}, AROUND),
    "BED: empty file": Refused({"where.bed": b""}),
    "BED: too few columns": Refused({"where.bed": b"chr17\t5\n"}),
    "BED: no numbers": Refused({"where.bed": b"chr17\t5\tend\n"}),
    "BED: end before start": Refused({"where.bed": b"chr17\t9\t3\n"}),
    "BED: a strand that is none": Refused({"where.bed": b"chr17\t3\t9\tx\t0\t?\n"}),
    "BED: past the end of the contig": Refused({"where.bed": b"chr17\t0\t900\n"}),
    "BED: contigs spelled otherwise": Refused({"where.bed": b"17\t0\t100\n"}),
    "BED: contigs spelled otherwise, around": Refused({"where.bed": b"17\t50\t51\n"}, AROUND),
    "BED: no base to put a window around": Refused({"where.bed": b"chr17\t50\t50\n"}, AROUND),
    "sources: no such file": Refused({"list.yaml": None}),
    "sources: empty file": Refused({"list.yaml": b""}),
    "sources: not YAML": Refused(listed("- {fasta: [\n")),
    "sources: other text": Refused(listed("Dear Sir\n")),
    "sources: no sequence": Refused(listed("- species: a\n")),
    "sources: an unknown field": Refused(listed("- {fasta: a.fa, speces: a}\n")),
    "sources: a weight of 0": Refused(listed("- {fasta: a.fa, weight: 0}\n")),
    "sources: a weight without end": Refused(listed("- {fasta: a.fa, weight: .inf}\n")),
    "sources: a file that is not there": Refused(listed("- {fasta: c.fa}\n")),
    "sources: one species twice": Refused(
        listed("- {fasta: a.fa, species: a}\n- {fasta: b.fa, species: a}\n")
    ),
    "split: a contig that is held out and left out": Refused({}, ("split.left_out=[chr2]",)),
    "split: all contigs left out": Refused({}, ("split.left_out=[chr*]",)),
    "sources: with files beside it": Refused({"genome.fa": fasta()} | listed("- {fasta: a.fa}\n")),
}

ACCEPTED = {
    "FASTA: lower case": Accepted(
        {"genome.fa": fasta(changed(0, 60, CHR17[:60].lower()))},
        [CHR17[:60].lower() + CHR17[60:]],
    ),
    "FASTA: runs of N": Accepted(
        {"genome.fa": fasta(changed(60, 60, "N" * 30))},
        [CHR17[:60], CHR17[60:]],
        {"gap": 30},
        ("windows.length_bp=60", "windows.n=split"),
    ),
    "FASTA: IUPAC letters": Accepted(
        {"genome.fa": fasta(changed(5, 7, "Ry"))}, [changed(5, 7, "Ry")]
    ),
    "FASTA: line ends of Windows": Accepted({"genome.fa": fasta(end="\r\n")}, [CHR17]),
    "FASTA: line ends of old Macs": Accepted({"genome.fa": fasta(end="\r")}, [CHR17]),
    "FASTA: no line end at the end": Accepted({"genome.fa": fasta()[:-1]}, [CHR17]),
    "FASTA: blank lines, blanks at line ends": Accepted({"genome.fa": fasta(end=" \n\n")}, [CHR17]),
    "FASTA: a byte-order mark": Accepted({"genome.fa": b"\xef\xbb\xbf" + fasta()}, [CHR17]),
    "FASTA: contigs too short": Accepted(
        {"genome.fa": fasta() + b">scaffold_1\nACGT\n"}, [CHR17], {"short_contig": 4}
    ),
    "FASTA: gzip, bgzip": Accepted({"genome.fa.gz": bgzip(fasta())}, [CHR17]),
    "VCF: no index": Accepted(people(SNV), WITH_SNV, said="has no index, so it is read anew"),
    "VCF: no contigs declared": Accepted(people(SNV, declared=False), WITH_SNV),
    "VCF: line ends of Windows": Accepted(
        {"people.vcf": vcf(SNV).replace(b"\n", b"\r\n")}, WITH_SNV
    ),
    "VCF: `17` for `chr17`": Accepted(people(SNV, contig="17"), WITH_SNV),
    "VCF: `NC_000017.11` for `chr17`": Accepted(people(SNV, contig="NC_000017.11"), WITH_SNV),
    "VCF: unphased, both alleles alike": Accepted(
        people((10, "A", "1/1")), [changed(9, 10, "A")] * 2
    ),
    "VCF: missing": Accepted(people((10, "A", ".|.")), [CHR17] * 2, {"missing": 2}),
    "VCF: half-called": Accepted(people((10, "A", ".|1")), WITH_SNV, {"missing": 1}),
    "VCF: haploid": Accepted(people((10, "A", "1")), [changed(9, 10, "A")]),
    "VCF: multiallelic": Accepted(
        people((10, "A,G", "1|2")), [changed(9, 10, "A"), changed(9, 10, "G")]
    ),
    "VCF: overlapping": Accepted(
        people((10, CHR17[9], "0|1", CHR17[9:13]), (12, "T", "0|1")),
        [CHR17, changed(10, 13, "")],
        {"overlap": 1},
    ),
    "VCF: one record twice": Accepted(people(SNV, SNV), WITH_SNV, {"overlap": 1}),
    "VCF: `*`": Accepted(people((10, "*", "0|1")), [CHR17] * 2, {"spanning_deletion": 1}),
    "VCF: `<DEL>`": Accepted(
        people((10, "<DEL>", "0|1", None, "END=13")), [CHR17, changed(10, 13, "")]
    ),
    "VCF: `<DUP>`, `<CN2>`": Accepted(
        people((10, "<DUP>", "0|1", None, "END=13")), [CHR17, changed(13, 13, CHR17[10:13])]
    ),
    "VCF: `<INV>`": Accepted(
        people((10, "<INV>", "0|1", None, "END=13")), [CHR17, changed(10, 13, "GTA")]
    ),
    "VCF: `<INS>` with its sequence": Accepted(
        people((10, "<INS>", "0|1", None, "SEQ=TTT")), [CHR17, changed(10, 10, "TTT")]
    ),
    "VCF: `<INS>` without it": Accepted(
        people((10, "<INS>", "0|1")), [CHR17] * 2, {"no_sequence": 1}
    ),
    "VCF: `<BND>`, `T[chr2:10[`": Accepted(
        people((10, "T[chr2:10[", "0|1")), [CHR17] * 2, {"breakend": 1}
    ),
    "VCF: `<CPX>`, `<CTX>`": Accepted(people((10, "<CPX>", "0|1")), [CHR17] * 2, {"complex": 1}),
    "VCF: another symbol": Accepted(people((10, "<XYZ>", "0|1")), [CHR17] * 2, {"unsupported": 1}),
    "VCF: a symbolic allele without END": Accepted(
        people((10, "<DEL>", "0|1", None, "SVLEN=-3")), [CHR17] * 2, {"no_end": 1}
    ),
    "VCF: a FILTER that is not PASS": Accepted(
        {"people.vcf": vcf(SNV).replace(b"\t.\t.\tGT", b"\tlow\t.\tGT")},
        [CHR17] * 2,
        {"filtered": 1},
        ("variants.genotypes.filters=pass",),
    ),
    "GFF3: some contigs that the genome lacks": Accepted(
        genes(CDS, "chr2 . CDS 1 9 . + 0 ID=two", "chr5 . CDS 1 9 . + 0 ID=three"),
        [CHR17[:9]],
        {"no_feature": 222, "no_contig": 1},
        CODING,
        said="what lies on 1 of 3 contigs is left out, as the genome lacks them: no contig 'chr5'",
    ),
    "GFF3: features without a strand": Accepted(
        genes(START, "chr17 . mRNA 60 70 . . . ID=two", START_OF_CHR2),
        [CHR17[20:40]],
        {"no_feature": 200, "no_strand": 1},
        STARTS,
    ),
    "GFF3: windows that would leave their contig": Accepted(
        genes(START, "chr17 . mRNA 5 70 . + . ID=two", START_OF_CHR2),
        [CHR17[20:40]],
        {"no_feature": 200, "off_contig": 1},
        STARTS,
    ),
    "GFF3: two features with one window": Accepted(
        genes(START, "chr17 . mRNA 31 70 . + . ID=two", START_OF_CHR2),
        [CHR17[20:40]],
        {"no_feature": 200, "shared": 1},
        STARTS,
    ),
}
