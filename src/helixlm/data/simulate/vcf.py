"""Writers of the individuals' files: the phased VCF, and the hashes of what it means.

The VCF is plain text and not bgzipped: the compressed bytes depend on the version of zlib or
libdeflate, and every file of a world is promised to be the same on every machine. For random
access, compress and index a copy: ``pysam.tabix_index(copy, preset="vcf")``.
"""

import hashlib
from pathlib import Path

import numpy as np

from helixlm.data.simulate.ancestor import Genome
from helixlm.data.simulate.formats import Frame, write_text
from helixlm.data.simulate.variants import STRUCTURAL, Variant, haplotype
from helixlm.seq.alphabet import DNA

_HEADER = """\
##fileformat=VCFv4.2
##source=helixlm simulate
##FILTER=<ID=PASS,Description="All filters passed">
##INFO=<ID=AC,Number=A,Type=Integer,Description="Haplotypes with the alternate allele">
##INFO=<ID=AN,Number=1,Type=Integer,Description="Haplotypes">
##INFO=<ID=EFFECT,Number=A,Type=String,Description="What the alternate allele does">
##INFO=<ID=S,Number=A,Type=Float,Description="Selection coefficient of the alternate allele">
##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Type of structural variant">
##INFO=<ID=SVLEN,Number=.,Type=Integer,Description="Length of the event, negative for DEL">
##INFO=<ID=END,Number=1,Type=Integer,Description="Last reference base of the event">
##ALT=<ID=DEL,Description="Deletion">
##ALT=<ID=DUP,Description="Tandem duplication">
##ALT=<ID=INV,Description="Inversion">
##FORMAT=<ID=GT,Number=1,Type=String,Description="Phased genotype">
"""


def format_selection(selection: int) -> str:
    """Return a selection coefficient of 1/1,000,000 as a decimal: -1500 gives "-0.0015"."""
    text = f"{-selection // 1_000_000}.{-selection % 1_000_000:06d}".rstrip("0").rstrip(".")
    return f"-{text}" if selection else "0"


def sample_names(focal: str, individuals: int) -> list[str]:
    """Return the names of the individuals, such as "alba_01"."""
    digits = max(2, len(str(individuals)))
    return [f"{focal}_{number:0{digits}d}" for number in range(1, individuals + 1)]


def write_vcf(path: Path, variants: list[Variant], samples: list[str], frame: Frame) -> None:
    """Write the variants as VCF 4.2, sorted, with phased genotypes.

    Parameters
    ----------
    path : Path
        The file.
    variants : list of Variant
        Sorted by start; haplotypes 2i and 2i+1 belong to sample i.
    samples : list of str
        Names of the individuals.
    frame : Frame
        Contigs of the focal species.
    """
    lines = _HEADER.splitlines()
    lines += [f"##contig=<ID={name},length={length}>" for name, length in frame.lengths.items()]
    fixed = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT")
    lines.append("\t".join((*fixed, *samples)))
    for number, variant in enumerate(variants, start=1):
        contig, place = frame.locate(variant.start)
        alleles = variant.alleles.tolist()
        counts = [str(alleles.count(k)) for k in range(1, len(variant.alts) + 1)]
        info = [
            f"AC={','.join(counts)}",
            f"AN={len(alleles)}",
            f"EFFECT={','.join(variant.effects)}",
            f"S={','.join(format_selection(s) for s in variant.selection)}",
        ]
        if variant.kind in STRUCTURAL:
            # END is 1-based and closed, so it equals the half-open end.
            end = place + variant.end - variant.start
            info += [f"SVTYPE={variant.kind}", f"SVLEN={variant.change_bp}", f"END={end}"]
        genotypes = [f"{a}|{b}" for a, b in zip(alleles[::2], alleles[1::2], strict=True)]
        row = (contig, str(place + 1), f"v{number:06d}", variant.ref, ",".join(variant.alts), ".")
        lines.append("\t".join((*row, "PASS", ";".join(info), "GT", *genotypes)))
    write_text(path, lines)


def write_haplotypes(
    path: Path, variants: list[Variant], samples: list[str], genome: Genome, frame: Frame
) -> None:
    """Write length and SHA-256 of each haplotype of each contig, in capital letters, as TSV.

    With it, any program that turns VCF and FASTA into haplotypes can be checked.
    """
    lines = ["sample\thaplotype\tcontig\tlength\tsha256"]
    starts = np.array([variant.start for variant in variants])
    for index, (contig, length) in enumerate(frame.lengths.items()):
        left = int(frame.bounds[index])
        first, last = np.searchsorted(starts, [left, left + length]).tolist()
        for number in range(2 * len(samples)):
            codes = haplotype(variants[first:last], number, left, left + length, genome.codes)
            digest = hashlib.sha256(DNA.decode(codes).encode("ascii")).hexdigest()
            sample = samples[number // 2]
            lines.append(f"{sample}\t{number % 2 + 1}\t{contig}\t{len(codes)}\t{digest}")
    write_text(path, lines)
