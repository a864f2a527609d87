"""A small world, and readers of its files that share no code with the simulator."""

from types import SimpleNamespace

import numpy as np
import pysam
import pytest

from helixlm.data.simulate import simulate, small_config

PAIR = dict(zip("ACGTN", "TGCAN", strict=True))


def turn(sequence):
    """Reverse complement, one letter at a time."""
    return "".join(PAIR[letter] for letter in reversed(sequence))


def read_bed(path):
    rows = []
    for line in path.read_text().splitlines():
        fields = line.split("\t")
        row = SimpleNamespace(contig=fields[0], start=int(fields[1]), end=int(fields[2]))
        if len(fields) > 3:
            row.name, row.score, row.strand = fields[3], int(fields[4]), fields[5]
        rows.append(row)
    return rows


def read_genes(path):
    """Genes of a GFF3 file by name, with contig, strand, and 0-based half-open pieces."""
    genes = {}
    for line in path.read_text().splitlines():
        if line.startswith("#"):
            continue
        contig, source, kind, start, end, _, strand, phase, attributes = line.split("\t")
        assert source == "helixlm"
        attributes = dict(pair.split("=") for pair in attributes.split(";"))
        name = (attributes.get("Parent") or attributes["ID"]).removesuffix(".t1")
        gene = genes.setdefault(
            name, SimpleNamespace(name=name, contig=contig, strand=strand, parts={}, phase={})
        )
        assert (gene.contig, gene.strand) == (contig, strand)
        piece = (int(start) - 1, int(end))
        gene.parts.setdefault(kind, []).append(piece)
        gene.phase[kind, piece] = phase
    return genes


def read_meme(path):
    """Matrices of a MEME file: {name: (width, 4) probabilities}."""
    matrices, name = {}, None
    for line in path.read_text().splitlines():
        if line.startswith("MOTIF"):
            name = line.split()[1]
            matrices[name] = []
        elif name and line and line[0] in "01":
            matrices[name].append([float(x) for x in line.split()])
    return {name: np.array(rows) for name, rows in matrices.items()}


def read_genome(path):
    """{contig: sequence, in the case of the file}, by pysam."""
    with pysam.FastaFile(str(path)) as fasta:
        return {name: fasta.fetch(name) for name in fasta.references}


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("simulated") / "world", small_config(seed=3))


@pytest.fixture(scope="session")
def truth(world):
    """The files of the focal species, read."""
    folder = world.path / "annotation" / world.focal
    return SimpleNamespace(
        genome=read_genome(world.fasta()),
        upper={name: text.upper() for name, text in read_genome(world.fasta()).items()},
        genes=read_genes(world.gff3()),
        bed={path.stem: read_bed(path) for path in sorted(folder.glob("*.bed"))},
        matrices=read_meme(world.path / "motifs.meme") | read_meme(world.path / "signals.meme"),
    )


@pytest.fixture(scope="session")
def readers():
    return SimpleNamespace(
        bed=read_bed, genes=read_genes, meme=read_meme, genome=read_genome, turn=turn
    )
