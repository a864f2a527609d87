"""Haplotype windows of a cohort: helixlm against `bcftools consensus`, side by side.

The reference is bcftools (through pysam) as one uses it for many people: one call for each sample
and haplotype, on a FASTA file that holds the region only, so that it copies nothing else. Ours
is one pass of `cohort_haplotypes` over the file for all of them, cut into windows. Both run in one
process and take turns; medians, their ratio and the ratio of processor seconds, which other work on
the machine changes less, are printed with whether all bases agree. Memory is the growth of the
peak of a fresh process during one pass, for each number of samples (Linux only).

    python benchmarks/haplotypes.py                               # simulates 3,202 people
    python benchmarks/haplotypes.py --vcf V.vcf.gz --fasta G.fa   # phased VCF, its genome

Windows per second count each haplotype of each sample; bcftools makes the same bases in one piece.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pysam
import pysam.bcftools
from numpy.typing import NDArray

from helixlm.data.formats.fasta import iter_chunks
from helixlm.data.formats.vcf import VcfFile
from helixlm.data.haplotypes.base import HaplotypeConfig
from helixlm.data.haplotypes.cohort import cohort_haplotypes
from helixlm.rng import CounterRng
from helixlm.seq.contigs import match_contig
from helixlm.seq.interval import Interval

COHORTS = (10, 100, 3202)
CONFIG = HaplotypeConfig(unphased="as_written")  # as bcftools reads them


class Genome:
    """Contigs in memory."""

    def __init__(self, path: Path) -> None:
        pieces: dict[str, list[str]] = {}
        for chunk in iter_chunks(path):
            pieces.setdefault(chunk.contig, []).append(chunk.sequence)
        texts = {contig: "".join(parts).encode() for contig, parts in pieces.items()}
        self.arrays = {name: np.frombuffer(text, np.uint8) for name, text in texts.items()}
        self.contigs = {name: len(array) for name, array in self.arrays.items()}

    def letters(self, contig: str) -> NDArray[np.uint8]:
        """Return a contig."""
        return self.arrays[contig]


def simulate(folder: Path, samples: int, bp: int = 200_000, records: int = 5_500) -> None:
    """Write a contig and a phased cohort: rare and common SNVs and short indels."""
    rng = CounterRng("benchmark", samples)
    letters = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, bp)]
    text = letters.tobytes().decode()
    (folder / "genome.fa").write_text(f">chr22\n{text}\n")
    lines = ["##fileformat=VCFv4.2", f"##contig=<ID=chr22,length={bp}>"]
    lines.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">')
    names = [f"S{i:04d}" for i in range(samples)]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
    lines.append("\t".join(columns + names))
    for position in np.sort(rng.permutation(bp - 20)[:records]).tolist():
        kind, change, frequency = rng.uniform(3).tolist()
        ref = text[position : position + 1 + (int(change * 8) + 1) * (kind > 0.93)]
        other = "ACGT"[("ACGT".index(ref[0]) + 1 + int(change * 3)) % 4]
        alt = ref[0] if kind > 0.93 else ref + other * 3 if kind > 0.88 else other
        carried = (rng.uniform(2 * samples) < frequency**8).astype(np.uint8)
        calls = [f"{a}|{b}" for a, b in carried.reshape(-1, 2).tolist()]
        fields = ["chr22", str(position + 1), ".", ref, alt, ".", "PASS", ".", "GT"]
        lines.append("\t".join(fields + calls))
    (folder / "cohort.vcf").write_text("\n".join(lines) + "\n")
    pysam.tabix_compress(str(folder / "cohort.vcf"), str(folder / "cohort.vcf.gz"), force=True)
    pysam.bcftools.index("-f", str(folder / "cohort.vcf.gz"))


def region_of(vcf: Path, genome: Genome) -> Interval:
    """Return the stretch of the first contig with records that holds them all."""
    with VcfFile(vcf) as file:
        contig, first, last = "", 0, 0
        for record in file.records():
            if contig and record.contig != contig:
                break
            first = first if contig else record.position
            contig, last = record.contig, record.position + len(record.ref)
    name = match_contig(contig, genome.contigs)
    assert name is not None, f"{contig}: no such contig in the FASTA file"
    return Interval(name, first, min(last + 100, genome.contigs[name]))


def tile(region: Interval, bp: int) -> list[Interval]:
    """Cut a region into windows."""
    starts = range(region.start, region.end, bp)
    return [Interval(region.contig, start, min(start + bp, region.end)) for start in starts]


def ours(vcf: Path, genome: Genome, windows: list[Interval], samples: list[str]) -> dict:
    """Return the sequence of each haplotype over all windows."""
    parts: dict[tuple[str, int], list[bytes]] = {}
    for person in cohort_haplotypes(vcf, genome, windows, samples=samples, config=CONFIG):
        for number, haplotype in enumerate(person.haplotypes, start=1):
            parts.setdefault((person.sample, number), []).append(haplotype.letters.tobytes())
    return {key: b"".join(pieces).decode() for key, pieces in parts.items()}


def theirs(vcf: Path, fasta: Path, samples: list[str]) -> dict:
    """Return what bcftools makes of the region, one call for each sample and haplotype."""
    found = {}
    for sample in samples:
        for number in (1, 2):
            options = ["-f", str(fasta), "-H", str(number), "-s", sample]
            text = pysam.bcftools.consensus(*options, str(vcf))
            found[sample, number] = text.partition("\n")[2].replace("\n", "")
    return found


def compare_speed(args: argparse.Namespace, vcf: Path, genome: Genome, folder: Path) -> None:
    """Print the windows per second of both, and their ratio."""
    with VcfFile(vcf) as file:
        everyone, spelled = file.samples, file.contigs
    step = max(1, len(everyone) // args.samples)
    samples = everyone[::step][: args.samples]
    region = region_of(vcf, genome)
    windows = tile(region, args.window_bp)
    contig = match_contig(region.contig, spelled) or region.contig
    text = genome.letters(region.contig)[region.start : region.end].tobytes().decode()
    fasta = folder / "region.fa"
    fasta.write_text(f">{contig}:{region.start + 1}-{region.end}\n{text}\n")
    sides = {
        "helixlm": lambda: ours(vcf, genome, windows, samples),
        "bcftools": lambda: theirs(vcf, fasta, samples),
    }
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    processor: dict[str, list[float]] = {name: [] for name in sides}
    found: dict[str, dict] = {}
    for _ in range(args.repeats):
        for name, side in sides.items():
            start, used = time.perf_counter(), time.process_time()
            found[name] = side()
            seconds[name].append(time.perf_counter() - start)
            processor[name].append(time.process_time() - used)
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    used_medians = {name: statistics.median(times) for name, times in processor.items()}
    num_windows = 2 * len(samples) * len(windows)
    result = {
        "samples": len(samples),
        "samples_in_file": len(everyone),
        "region_bp": region.end - region.start,
        "windows": num_windows,
        "same_bases": found["helixlm"] == found["bcftools"],
        "seconds": {name: [round(x, 3) for x in times] for name, times in seconds.items()},
        "windows_per_second": {name: round(num_windows / x) for name, x in medians.items()},
        "times_as_fast": round(medians["bcftools"] / medians["helixlm"], 1),
        "processor_seconds": {name: round(x, 3) for name, x in used_medians.items()},
        "times_less_work": round(used_medians["bcftools"] / used_medians["helixlm"], 1),
    }
    print(json.dumps(result))


def measure_memory(vcf: Path, fasta: Path, samples: int, window_bp: int, connection) -> None:
    """Send the growth of the peak memory during one pass, MiB, and the seconds it took."""
    genome = Genome(fasta)
    with VcfFile(vcf) as file:
        names = file.samples[:samples]
    windows = tile(region_of(vcf, genome), window_bp)
    # The genome's text took more memory than what is to be measured: begin a new peak.
    Path("/proc/self/clear_refs").write_text("5")
    before = peak_mib()
    start = time.perf_counter()
    for _ in cohort_haplotypes(vcf, genome, windows, samples=names, config=CONFIG):
        pass
    took = time.perf_counter() - start
    connection.send((len(names), peak_mib() - before, peak_mib(), took))


def peak_mib() -> float:
    """Return the peak of the resident memory of this process, MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("/proc/self/status has no VmHWM: measure memory on Linux")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--vcf", type=Path, help="phased genotypes, bgzip with an index")
    parser.add_argument("--fasta", type=Path, help="the genome")
    parser.add_argument("--samples", type=int, default=100, help="people to compare (100)")
    parser.add_argument("--window-bp", type=int, default=12_000, help="length of windows (12000)")
    parser.add_argument("--repeats", type=int, default=3, help="rounds (3)")
    args = parser.parse_args()
    if (args.vcf is None) != (args.fasta is None):
        parser.error("--vcf and --fasta go together")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if args.vcf is None:
            simulate(folder, max(COHORTS))
            args.vcf, args.fasta = folder / "cohort.vcf.gz", folder / "genome.fa"
        compare_speed(args, args.vcf, Genome(args.fasta), folder)
        context = multiprocessing.get_context("spawn")
        for samples in COHORTS:
            receiver, sender = context.Pipe(duplex=False)
            job = (args.vcf, args.fasta, samples, args.window_bp, sender)
            process = context.Process(target=measure_memory, args=job)
            process.start()
            measured, grown, peak, took = receiver.recv()
            process.join()
            print(
                json.dumps(
                    {
                        "samples": measured,
                        "memory_growth_mib": round(grown, 1),
                        "peak_mib": round(peak, 1),
                        "seconds": round(took, 2),
                    }
                )
            )


if __name__ == "__main__":
    main()
