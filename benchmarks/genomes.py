"""Inputs of any size for the benchmarks: a simulated genome, tiled, with genes and people.

The simulated world of `helixlm simulate` (1.5 Mbp: genes, soft-masked repeats, gaps) is put end to
end until it is long enough; in each tile one base in twenty is another, so that tiles are neither
copies nor strangers. Its annotation goes with it. Genotypes are drawn: a record every 500 bp, most
of them rare SNVs, some short deletions and insertions.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pysam
import pysam.bcftools
from numpy.typing import NDArray

from helixlm.data.genome import Genome
from helixlm.data.simulate import WorldConfig, simulate

CONTIG_BP = 20_000_000
CHANGED = 0.05
RECORD_BP = 500
_IDS = re.compile(r"(ID|Parent)=")


class Inputs(NamedTuple):
    """What `prepare` is given."""

    fasta: tuple[Path, ...]
    gff: Path | None
    vcf: Path | None


class World(NamedTuple):
    """A simulated genome as one text, and its annotation in the same coordinates."""

    letters: NDArray[np.uint8]
    rows: list[list[str]]
    """Columns of GFF3, the start and end of which count from 1."""


def simulate_world(folder: Path) -> World:
    """Simulate a genome and join its contigs."""
    world = simulate(folder / "world", WorldConfig())
    with Genome.from_fasta([world.fasta()], folder / "letters") as genome:
        letters = np.concatenate([genome.letters(contig) for contig in genome.contigs])
        ends = np.cumsum(list(genome.contigs.values())).tolist()
        starts = dict(zip(genome.contigs, [0, *ends], strict=False))
    rows = []
    for line in world.gff3().read_text().splitlines():
        if not line.startswith("#"):
            columns = line.split("\t")
            for i in (3, 4):
                columns[i] = str(int(columns[i]) + starts[columns[0]])
            rows.append(columns)
    return World(letters, rows)


def inputs_in(folder: Path) -> Inputs:
    """Return what `write_inputs` writes into a folder."""
    return Inputs((folder / "genome.fa",), folder / "genes.gff3", folder / "people.vcf.gz")


def write_inputs(world: World, folder: Path, mbp: int, samples: int) -> None:
    """Write FASTA, GFF3 and an indexed VCF of so many million bases."""
    with (
        (folder / "genome.fa").open("wb") as fasta,
        (folder / "genes.gff3").open("w") as genes,
        pysam.BGZFile(str(folder / "people.vcf.gz"), "wb") as people,
    ):
        genes.write("##gff-version 3\n")
        people.write(_header(samples))
        for number, letters, tiles in _contigs(world, mbp * 1_000_000):
            contig = f"chr{number}"
            fasta.write(f">{contig}\n".encode() + _lines(letters))
            for tile, start in tiles:
                genes.writelines(_moved(world.rows, contig, tile, start))
            people.write(_records(contig, letters, number, samples))
    pysam.bcftools.index("-f", str(folder / "people.vcf.gz"))


def _contigs(
    world: World, num_bases: int
) -> Iterator[tuple[int, NDArray[np.uint8], list[tuple[int, int]]]]:
    """Yield contigs: number, letters, and number and start of each whole tile."""
    tile, number = 0, 0
    while num_bases > 0:
        number += 1
        length = min(CONTIG_BP, num_bases)
        parts, tiles, start = [], [], 0
        while start < length:
            part = _mutated(world.letters, tile)[: length - start]
            if len(part) == len(world.letters):
                tiles.append((tile, start))
            parts.append(part)
            start += len(part)
            tile += 1
        yield number, np.concatenate(parts), tiles
        num_bases -= length


def _mutated(letters: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """Change one base in twenty; N and case stay."""
    rng = np.random.default_rng(seed)
    table = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    for text in (b"ACGT", b"acgt"):
        for shift in range(4):
            table[shift, list(text)] = list(text[shift:] + text[:shift])
    found = letters.copy()
    where = np.flatnonzero(rng.random(len(letters)) < CHANGED)
    found[where] = table[rng.integers(1, 4, len(where)), letters[where]]
    return found


def _lines(letters: NDArray[np.uint8], width: int = 60) -> bytes:
    whole = len(letters) // width * width
    lines = np.full((whole // width, width + 1), ord("\n"), np.uint8)
    lines[:, :width] = letters[:whole].reshape(-1, width)
    rest = letters[whole:].tobytes()
    return lines.tobytes() + (rest + b"\n" if rest else b"")


def _moved(rows: list[list[str]], contig: str, tile: int, offset: int) -> Iterator[str]:
    for columns in rows:
        start, end = (str(int(columns[i]) + offset) for i in (3, 4))
        attributes = _IDS.sub(rf"\1=t{tile}.", columns[8])
        yield "\t".join([contig, *columns[1:3], start, end, *columns[5:8], attributes]) + "\n"


def _header(samples: int) -> bytes:
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT"]
    columns += [f"S{i:04d}" for i in range(samples)]
    contigs = [f"##contig=<ID=chr{i}>" for i in range(1, 1000)]
    lines = ["##fileformat=VCFv4.2", *contigs]
    lines.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">')
    return "\n".join([*lines, "\t".join(columns), ""]).encode()


def _records(contig: str, letters: NDArray[np.uint8], seed: int, samples: int) -> bytes:
    rng = np.random.default_rng(seed)
    calls = []
    for frequency in rng.random(200) ** 4:
        alleles = (rng.random((samples, 2)) < frequency).astype(int).tolist()
        calls.append("\t".join(f"{a}|{b}" for a, b in alleles))
    lines = []
    for position in range(RECORD_BP // 2, len(letters) - RECORD_BP, RECORD_BP):
        ref = letters[position : position + 4].tobytes().decode().upper()
        kind = int(rng.integers(0, 20))
        if set(ref) <= set("ACGT"):
            other = "ACGT"[("ACGT".index(ref[0]) + 1 + kind % 3) % 4]
            indels = {0: f"{ref}\t{ref[0]}", 1: f"{ref[0]}\t{ref[0]}{other * 3}"}
            alleles = indels.get(kind, f"{ref[0]}\t{other}")
            row = f"{contig}\t{position + 1}\t.\t{alleles}"
            lines.append(f"{row}\t.\tPASS\t.\tGT\t{calls[int(rng.integers(0, 200))]}\n")
    return "".join(lines).encode()
