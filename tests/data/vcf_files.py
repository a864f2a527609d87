"""VCF files, genomes and haplotypes for the tests: written by hand, or by other programs."""

from itertools import chain, repeat
from pathlib import Path

import numpy as np
import pysam
import pysam.bcftools
from hypothesis import strategies as st
from tests.data.fasta_files import pack, text_of

HEADER = """##fileformat=VCFv4.3
##INFO=<ID=END,Number=1,Type=Integer,Description="End">
##INFO=<ID=SVLEN,Number=A,Type=Integer,Description="Length">
##INFO=<ID=SVINSSEQ,Number=.,Type=String,Description="Inserted sequence">
##INFO=<ID=SEQ,Number=.,Type=String,Description="Inserted sequence">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">
##FILTER=<ID=low,Description="Low quality">
##FILTER=<ID=deep,Description="Too many reads">
"""


class Genome:
    """Contigs in memory, as `haplotypes.Reference` wants them."""

    def __init__(self, contigs: dict[str, str]) -> None:
        self.texts = contigs
        self.contigs = {name: len(text) for name, text in contigs.items()}

    def letters(self, contig):
        return np.frombuffer(self.texts[contig].encode(), dtype=np.uint8)


def vcf_text(contigs: dict[str, int], samples: list[str], rows: list[tuple], filters=()) -> str:
    """Return a VCF file; a row is contig, POS (1-based), REF, ALT, INFO and genotypes.

    `filters` has the FILTER of the first rows; that of others is ``.``.
    """
    lines = [f"##contig=<ID={name},length={length}>" for name, length in contigs.items()]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO"]
    columns += ["FORMAT", *samples] if samples else []
    lines.append("\t".join(columns))
    for row, passed in zip(rows, chain(filters, repeat(".")), strict=False):
        contig, position, ref, alt, info, *genotypes = row
        fields = [contig, str(position), ".", ref, alt, ".", passed, info]
        lines.append("\t".join(fields + (["GT", *genotypes] if genotypes else [])))
    return HEADER + "\n".join(lines) + "\n"


def write_vcf(path: Path, text: str, kind: str = "bgzip") -> Path:
    """Write a VCF file, packed as asked; bgzip and bcf with an index, if the order allows one."""
    if kind != "bcf":
        pack(path, text.encode(), kind)
    else:
        plain = path.with_name(path.name + ".vcf")
        plain.write_text(text)
        pysam.bcftools.view("-Ob", "-o", str(path), str(plain), catch_stdout=False)
    if kind in ("bgzip", "bcf"):
        pysam.bcftools.index("-f", str(path))
    return path


def consensus(folder: Path, genome: dict[str, str], vcf: Path, sample: str, haplotype: int):
    """Return what `bcftools consensus` makes of each contig."""
    fasta = folder / "genome.fa"
    fasta.write_text(text_of(genome).replace(" a description", ""))
    options = ["-f", str(fasta), "-H", str(haplotype), "-s", sample]
    text = pysam.bcftools.consensus(*options, str(vcf))
    records = [record.partition("\n") for record in text.split(">")[1:]]
    return {name: body.replace("\n", "") for name, _, body in records}


@st.composite
def cohorts(draw, symbols=("<DEL>",), max_alts=3):
    """A contig and records that overlap, share positions and have several alternate alleles."""
    reference = draw(st.text("ACGT", min_size=20, max_size=60))
    allele = st.text("ACGT", min_size=1, max_size=4)
    rows = []
    for _ in range(draw(st.integers(1, 14))):
        start = draw(st.integers(0, len(reference) - 2))
        if symbols and draw(st.integers(0, 4)) == 0:
            alts = [draw(st.sampled_from(symbols))]
            ref = reference[start]
            info = f"END={draw(st.integers(start + 2, len(reference)))}"
        else:
            ref = reference[start : start + draw(st.integers(1, 4))]
            anchored = st.builds(lambda text, first=ref[0]: first + text, allele)
            kinds = st.one_of(allele, anchored, st.sampled_from([ref[0], ref[-1], ref[-2:]]))
            alts = draw(st.lists(kinds, min_size=1, max_size=max_alts, unique=True))
            alts = [alt for alt in alts if alt != ref]
            info = "."
        if alts:
            number = st.sampled_from([*map(str, range(len(alts) + 1)), "1", "."])
            genotypes = [f"{draw(number)}|{draw(number)}" for _ in range(2)]
            rows.append(("c", start + 1, ref, ",".join(alts), info, *genotypes))
    return reference, sorted(rows, key=lambda row: row[1])
