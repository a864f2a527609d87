"""Writers of FASTA, GFF3, BED, MEME and chain files: the borders where coordinates change.

Inside, coordinates are genome-wide, 0-based and half-open. BED and chain files get contig
coordinates, 0-based and half-open; GFF3 gets them 1-based and closed. Every file is plain ASCII
with line feeds, so its bytes are the same everywhere.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate.ancestor import Genome
from helixlm.data.simulate.features import Features, runs
from helixlm.data.simulate.matrices import CORE, FACTORS, MATRICES, SIGNALS, Matrix
from helixlm.seq.alphabet import DNA

LINE_BP = 60
_STRAND = {1: "+", -1: "-", 0: "."}


class Frame(NamedTuple):
    """Turns genome-wide places into contig places.

    Attributes
    ----------
    names : tuple of str
        Contigs in order.
    bounds : ndarray, int64, shape (contigs + 1,)
        Their genome-wide starts, and the length.
    """

    names: tuple[str, ...]
    bounds: NDArray[np.int64]

    def locate(self, place: int) -> tuple[str, int]:
        """Return contig and 0-based place on it of a genome-wide place."""
        index = int(np.searchsorted(self.bounds, place, side="right")) - 1
        return self.names[index], place - int(self.bounds[index])

    def intervals(
        self, start: NDArray[np.int64], end: NDArray[np.int64]
    ) -> list[tuple[str, int, int]]:
        """Return contig, start and end of genome-wide intervals."""
        index = np.searchsorted(self.bounds, start, side="right") - 1
        offset = self.bounds[index]
        return [
            (self.names[i], left, right)
            for i, left, right in zip(
                index.tolist(), (start - offset).tolist(), (end - offset).tolist(), strict=True
            )
        ]

    @property
    def lengths(self) -> dict[str, int]:
        """Contig name to length, bp."""
        return dict(zip(self.names, np.diff(self.bounds).tolist(), strict=True))


def write_text(path: Path, lines: list[str]) -> None:
    """Write lines, each ended by one line feed, as ASCII."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(f"{line}\n" for line in lines).encode("ascii"))


def write_fasta(path: Path, genome: Genome, frame: Frame) -> None:
    """Write a genome, 60 bases a line, repeats in lower case."""
    letters = np.frombuffer(bytearray(DNA.decode(genome.codes).encode("ascii")), dtype=np.uint8)
    letters[genome.features.of("repeat", "tandem").mask(len(letters))] += 32
    parts = []
    for name, start, end in zip(frame.names, frame.bounds[:-1], frame.bounds[1:], strict=True):
        contig = letters[start:end].tobytes()
        parts.append(b">" + name.encode("ascii"))
        parts += [contig[i : i + LINE_BP] for i in range(0, len(contig), LINE_BP)]
    path.write_bytes(b"\n".join(parts) + b"\n")


def write_gff3(path: Path, genome: Genome, frame: Frame) -> None:
    """Write genes: gene, mRNA, exons, untranslated regions and CDS with phase."""
    lines = ["##gff-version 3"]
    lines += [f"##sequence-region {name} 1 {length}" for name, length in frame.lengths.items()]
    genes, exons, cds = (genome.features.of(kind) for kind in ("gene", "exon", "cds"))
    for gene, name, start, end, sign in zip(
        genes.parent.tolist(),
        genes.name.tolist(),
        genes.start.tolist(),
        genes.end.tolist(),
        genes.strand.tolist(),
        strict=True,
    ):
        contig, offset = frame.locate(start)
        offset = start - offset  # the contig's start, genome-wide
        rows = [
            ("gene", start, end, ".", f"ID={name};Name={name}"),
            ("mRNA", start, end, ".", f"ID={name}.t1;Parent={name}"),
        ]
        rows += _pieces(exons.where(exons.parent == gene), cds.where(cds.parent == gene), sign)
        for kind, left, right, phase, attributes in rows:
            lines.append(
                f"{contig}\thelixlm\t{kind}\t{left - offset + 1}\t{right - offset}\t.\t"
                f"{_STRAND[sign]}\t{phase}\t{attributes or f'Parent={name}.t1'}"
            )
    write_text(path, lines)


def _pieces(exons: Features, cds: Features, strand: int) -> list[tuple[str, int, int, str, str]]:
    """Return exon, UTR and CDS rows of one gene, left to right."""
    name = exons.name[0]
    rows = [
        ("exon", start, end, ".", "")
        for start, end in zip(exons.start.tolist(), exons.end.tolist(), strict=True)
    ]
    first, last = int(cds.start.min()), int(cds.end.max())
    before, after = ("five_prime_UTR", "three_prime_UTR")[::strand]
    for _, start, end, _, _ in list(rows):
        if start < first:
            rows.append((before, start, min(end, first), ".", ""))
        if end > last:
            rows.append((after, max(start, last), end, ".", ""))
    done = 0
    coding = list(zip(cds.start.tolist(), cds.end.tolist(), strict=True))[::strand]
    for start, end in coding:
        # The phase is the number of bases before the next codon starts.
        rows.append(("CDS", start, end, str(-done % 3), f"ID={name}.cds;Parent={name}.t1"))
        done += end - start
    order = ("exon", "five_prime_UTR", "three_prime_UTR", "CDS")
    return sorted(rows, key=lambda row: (row[1], order.index(row[0])))


def site_scores(genome: Genome, sites: Features) -> NDArray[np.int64]:
    """Return the log-odds of sites of one matrix in a genome, int64, 1/1000 bit."""
    matrix = MATRICES[str(sites.name[0])]
    places = sites.start[:, None] + np.arange(matrix.width)
    codes = genome.codes[places].astype(np.int64)
    reverse = sites.strand < 0
    codes[reverse] = 3 - codes[reverse, ::-1]
    return matrix.score(codes.astype(np.uint8))


def write_beds(folder: Path, genome: Genome, frame: Frame) -> None:
    """Write the BED files of a species into a folder.

    ``gaps`` (BED3); and in BED6 ``promoters``, ``tss`` (the first transcribed base),
    ``enhancers``, ``gc_regions`` (score: GC in 1/1000), ``repeats`` (name: family or tandem
    unit; score: divergence from the consensus in the ancestor, 1/1000), ``tata``,
    ``initiators``, ``motifs`` and ``signals`` (name: matrix; score: 1000 for the matrix's
    consensus, 0 for what it finds no better than equal bases).
    """
    features = genome.features
    genes = features.of("gene")
    first = np.where(genes.strand > 0, genes.start, genes.end - 1)
    tables = {
        "promoters": features.of("promoter"),
        "tss": genes._replace(start=first, end=first + 1),
        "enhancers": features.of("enhancer"),
        "gc_regions": features.of("gc_region"),
        "repeats": features.of("repeat", "tandem"),
        "tata": features.sites("TATA"),
        "initiators": features.sites("INR"),
        "motifs": features.sites(*FACTORS),
        "signals": features.sites(*SIGNALS),
    }
    for name, table in tables.items():
        score = table.value.copy()
        for matrix in sorted(set(table.name[table.kind == "site"].tolist())):
            here = (table.kind == "site") & (table.name == matrix)
            bits = site_scores(genome, table.where(here))
            score[here] = np.maximum(0, 1000 * bits // MATRICES[matrix].best)
        rows = frame.intervals(table.start, table.end)
        write_text(
            folder / f"{name}.bed",
            [
                f"{contig}\t{start}\t{end}\t{label}\t{value}\t{_STRAND[sign]}"
                for (contig, start, end), label, value, sign in zip(
                    rows,
                    table.name.tolist(),
                    score.tolist(),
                    table.strand.tolist(),
                    strict=True,
                )
            ],
        )
    write_intervals(folder / "gaps.bed", features.of("gap").mask(len(genome.codes)), frame)


def write_intervals(path: Path, mask: NDArray[np.bool_], frame: Frame) -> None:
    """Write the runs of true bases as BED3; a run that crosses a contig's end is cut there."""
    start, end = runs(mask)
    inner = frame.bounds[1:-1]
    crossed = inner[mask[inner] & mask[inner - 1]]
    start, end = np.sort(np.append(start, crossed)), np.sort(np.append(end, crossed))
    write_text(path, ["\t".join(map(str, row)) for row in frame.intervals(start, end)])


def write_meme(path: Path, matrices: dict[str, Matrix]) -> None:
    """Write matrices in MEME's minimal motif format."""
    lines = [
        "MEME version 4",
        "",
        "ALPHABET= ACGT",
        "",
        "strands: + -",
        "",
        "Background letter frequencies",
        "A 0.25 C 0.25 G 0.25 T 0.25",
    ]
    for matrix in matrices.values():
        lines += [
            "",
            f"MOTIF {matrix.name}",
            f"letter-probability matrix: alength= 4 w= {matrix.width} nsites= 100 E= 0",
        ]
        lines += [" ".join(f"{p / 100:.2f}" for p in row) for row in matrix.percent.tolist()]
    write_text(path, lines)


def write_motif_files(folder: Path) -> None:
    """Write ``motifs.meme`` (factors, TATA, initiator) and ``signals.meme`` (the others)."""
    write_meme(folder / "motifs.meme", FACTORS | CORE)
    write_meme(folder / "signals.meme", SIGNALS)


def write_chain(path: Path, place: NDArray[np.int64], target: Frame, query: Frame) -> None:
    """Write the alignment of two species as a chain file, one chain a contig.

    Parameters
    ----------
    path : Path
        The file.
    place : ndarray, int64, shape (target length,)
        Genome-wide place in the query of each base of the target, -1 where it has none.
    target, query : Frame
        Contigs of the two; they have the same names.
    """
    lines = []
    for index, name in enumerate(target.names):
        left, right = int(target.bounds[index]), int(target.bounds[index + 1])
        q_left, q_right = int(query.bounds[index]), int(query.bounds[index + 1])
        t = np.flatnonzero(place[left:right] >= 0)
        q = place[left:right][t] - q_left
        last = np.append(np.flatnonzero((np.diff(t) != 1) | (np.diff(q) != 1)), len(t) - 1)
        first = np.append(0, last[:-1] + 1)
        size = (last - first + 1).tolist()
        gap_t = (t[first[1:]] - t[last[:-1]] - 1).tolist()
        gap_q = (q[first[1:]] - q[last[:-1]] - 1).tolist()
        lines.append(
            f"chain {sum(size)} {name} {right - left} + {t[0]} {t[-1] + 1} "
            f"{name} {q_right - q_left} + {q[0]} {q[-1] + 1} {index + 1}"
        )
        rows = zip(size[:-1], gap_t, gap_q, strict=True)
        lines += [f"{bp}\t{dt}\t{dq}" for bp, dt, dq in rows]
        lines += [str(size[-1]), ""]
    write_text(path, lines)
