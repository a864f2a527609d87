"""Real annotations: coding sequences against the published ones, proteins without inner stops."""

import gzip
from collections import Counter

import numpy as np
import pytest

from helixlm.data.cds_fasta import iter_cds_fasta
from helixlm.data.coding import iter_coding_sequences
from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.formats.annotation import feature_points, read_annotation
from helixlm.data.genome import Genome
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import CodingWindows

# NCBI, The Genetic Codes: amino acids of the codons TTT, TTC, TTA, TTG, TCT, ... GGG.
STANDARD = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
YEAST_MITOCHONDRIAL = "FFLLSSSSYY**CCWWTTTTPPPPHHQQRRRRIIMMTTTTNNKKSSRRVVVVAAAADDEEGGGG"


def protein(record, code=STANDARD):
    """Translate from the first whole codon; X where a letter is not A, C, G or T."""
    letters = record.sequence.upper()[record.phase :]
    codons = [letters[i : i + 3] for i in range(0, len(letters) - 2, 3)]
    indices = [["TCAG".find(letter) for letter in codon] for codon in codons]
    return "".join("X" if min(i) < 0 else code[16 * i[0] + 4 * i[1] + i[2]] for i in indices)


def has_inner_stop(record, code=STANDARD):
    return "*" in protein(record, code)[:-1]


@pytest.fixture(scope="module")
def spliced(data, tmp_path_factory):
    """Annotation and coding sequences of a genome."""

    def spliced(fasta, gff):
        folder = tmp_path_factory.mktemp("genome") / "genome"
        annotation = read_annotation(data / gff)
        with Genome.from_fasta([data / fasta], folder) as genome:
            return annotation, list(iter_coding_sequences(genome, annotation))

    return spliced


@pytest.fixture(scope="module")
def yeast(spliced):
    return spliced("yeast/S_cerevisiae.SGD.fa.gz", "yeast/S_cerevisiae.SGD.gff3.gz")


def test_coding_sequences_of_yeast_are_the_published_ones(data, yeast):
    annotation, records = yeast
    published = {
        record.transcript_id: record.sequence
        for record in iter_cds_fasta(data / "yeast" / "S_cerevisiae.SGD.cds.fa.gz")
    }
    assert len(published) == 6_713
    assert sum(map(len, published.values())) == 9_078_756
    found = {record.gene_id: record.sequence for record in records}
    assert len(found) == len(records) == 6_697
    assert all(published[name] == sequence for name, sequence in found.items())
    # The 16 others: pseudogenes, for which the GFF has no CDS, and the plasmid, which it lacks.
    others = published.keys() - found.keys()
    pseudogenes = {name for name in others if name in annotation.genes}
    assert len(pseudogenes) == 12
    assert {annotation.genes[name].biotype for name in pseudogenes} == {"pseudogene"}
    assert others - pseudogenes == {"R0010W", "R0020C", "R0030W", "R0040C"}


def test_proteins_of_yeast_have_no_inner_stops(yeast):
    _, records = yeast
    assert sum(record.chromosome == "chrmt" for record in records) == 28
    stopped = {
        record.gene_id
        for record in records
        if has_inner_stop(record, YEAST_MITOCHONDRIAL if record.chromosome == "chrmt" else STANDARD)
    }
    # What SGD calls blocked reading frames; frameshifts in 47 others are spliced out.
    assert stopped == {"YDR134C", "YER109C", "YIL167W", "YIR043C", "YOL153C", "YOR031W"}


@pytest.mark.parametrize(
    ("name", "num_regions", "num_whole"),
    [
        ("celegans", 307, 305),
        ("drosophila", 244, 238),  # genes are cut at the ends of the pieces
        ("arabidopsis", 466, 462),
    ],
)
def test_proteins_of_worm_fly_and_cress_have_no_inner_stops(spliced, name, num_regions, num_whole):
    annotation, records = spliced(f"species/{name}_1pct.fa.gz", f"species/{name}_1pct.gff3.gz")
    assert len(records) == num_regions
    assert not any(map(has_inner_stop, records))
    assert sum(protein(record)[0] == "M" for record in records) >= num_whole
    starts = list(feature_points(annotation, "translation_start"))
    whole = {(r.chromosome, r.start if r.strand == "+" else r.end - 1, r.strand) for r in records}
    assert set(starts) == whole


def test_proteins_of_a_bacterium(spliced):
    name = "species/ecoli_K12_GCF_000005845.2"
    annotation, records = spliced(f"{name}.fna.gz", f"{name}.gff.gz")
    assert annotation.circular == {"NC_000913.3"}
    assert {record.transl_table for record in records} == {11}
    genes = Counter(record.gene_id for record in records)
    assert genes["b0470"] == 2  # dnaX: the longer subunit, and the one after a slip back
    stopped = {record.gene_symbol for record in records if has_inner_stop(record)}
    # Three selenoproteins, whose TGA is selenocysteine, and one pseudogene.
    assert stopped == {"fdnG", "fdoG", "fdhF", "insN"}
    assert len(records) == 4_315


@pytest.mark.parametrize(
    "name",
    ["yeast/S_cerevisiae.SGD.softmasked.fa.gz", "human/hg38_chr2_1-2333275.softmasked.fa.gz"],
)
def test_a_genome_holds_what_a_plain_reader_finds(data, tmp_path, name):
    text = gzip.decompress((data / name).read_bytes()).decode()
    records = [record.partition("\n") for record in text.split(">")[1:]]
    expected = {head.split()[0]: body.replace("\n", "") for head, _, body in records}
    with Genome.from_fasta([data / name], tmp_path / "genome") as genome:
        assert list(genome.contigs) == list(expected)
        for contig, sequence in expected.items():
            letters = np.frombuffer(sequence.encode(), np.uint8)
            assert np.array_equal(genome.letters(contig), letters)


def test_a_corpus_of_the_published_coding_sequences_of_yeast(data, tmp_path):
    path = data / "yeast" / "S_cerevisiae.SGD.cds.fa.gz"
    split = SplitConfig(by="group")
    source = Source(cds=path)
    manifest = prepare_corpus([source], tmp_path / "c", windows=CodingWindows(), split=split)
    assert sum(found.num_windows for found in manifest.splits.values()) == 6_713
    assert sum(found.num_bases for found in manifest.splits.values()) == 9_078_756
    assert not any(manifest.dropped_bases.values())
    corpus = open_corpus(tmp_path / "c")
    found = {
        row.contig: row.sequence
        for name in ("train", "validation")
        for row in corpus.iter_windows(name)
    }
    text = gzip.decompress(path.read_bytes()).decode()
    records = [record.partition("\n") for record in text.split("\n>")]
    assert found == {
        header.split()[0].lstrip(">"): body.replace("\n", "") for header, _, body in records
    }
    assert check_leaks(corpus, near=0.5).clean
