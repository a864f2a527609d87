"""Genomes with what belongs to them, and settings that need all of it, for runs on many workers."""

import gzip

import pysam.bcftools

from helixlm.data.corpus.weights import WeightConfig
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import RepeatFreeWindows, TinyDnabertWindows
from helixlm.rng import CounterRng

TASK_BP = 20_000
SETTINGS = {
    "windows": TinyDnabertWindows(block_bp=5_000),
    "split": SplitConfig(by="block", block_bp=10_000, validation_fraction=0.2),
    "weights": WeightConfig(species_exponent=0.3, contigs={"one:chr2": 1.5}),
    "duplicates": DuplicateConfig(remove="near"),
    "seed": 7,
}
"""of `prepare_corpus`"""


def write_sources(folder):
    """Write genotypes with an index, weights of regions, repeats, records and copies of stretches.

    Returns
    -------
    list of Source
        Four; tasks of `TASK_BP` are some 25.
    """
    one = {"chr1": random_dna("a", 150_000), "chr2": random_dna("b", 60_000)}
    copied = one["chr1"][20_000:50_000]
    two = "".join(
        random_dna(f"two{n}", 4_000).lower() + random_dna(f"run{n}", 3_000) for n in range(15)
    )
    write(folder / "one.fa", one)
    write(folder / "two.fa", {"chr1": two + copied})
    write(folder / "three.fa.gz", {"chr1": copied[:5_000] + random_dna("three", 90_000)})
    write(folder / "four.fa", {f"T{n}": random_dna(f"T{n}", 600) for n in range(80)})
    (folder / "one.bedgraph").write_text("chr1 100 70000 0.5\nchr2 0 10000 2.5\n")
    write_genotypes(folder / "one.vcf.gz", one["chr1"])
    return [
        Source(
            fasta=folder / "one.fa",
            vcf=folder / "one.vcf.gz",
            weights=folder / "one.bedgraph",
            species="one",
        ),
        Source(
            fasta=folder / "two.fa",
            species="two",
            windows=RepeatFreeWindows(length_bp=1000, kept_fraction=0.3),
        ),
        Source(fasta=folder / "three.fa.gz", species="three", weight=1.2),
        Source(cds=folder / "four.fa", species="four"),
    ]


def random_dna(name, length):
    codes = CounterRng("compute", name).integers(0, 4, length)
    return "".join("ACGT"[code] for code in codes.tolist())


def write(path, genome):
    text = "".join(f">{name}\n{sequence}\n" for name, sequence in genome.items())
    path.write_bytes(
        gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode()
    )


def write_genotypes(path, reference):
    """Write single-base variants of three people on chr1, bgzipped and indexed."""
    lines = ["##fileformat=VCFv4.2", '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">']
    lines.append(f"##contig=<ID=chr1,length={len(reference)}>")
    lines.append("#CHROM POS ID REF ALT QUAL FILTER INFO FORMAT S0 S1 S2".replace(" ", "\t"))
    for position in range(10, len(reference), 97):
        ref = reference[position]
        calls = CounterRng("calls", position).integers(0, 2, 6).reshape(3, 2).tolist()
        row = ["chr1", str(position + 1), ".", ref, "ACGT"["TACG".index(ref)], ".", ".", ".", "GT"]
        lines.append("\t".join(row + [f"{a}|{b}" for a, b in calls]))
    plain = path.with_suffix("")
    plain.write_text("\n".join(lines) + "\n")
    pysam.bcftools.view("-Oz", "-o", str(path), str(plain), catch_stdout=False)
    pysam.bcftools.index(str(path))
