"""Real genomes: what the readers find against published figures and against other readers."""

import gzip

import numpy as np
import pytest

from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.formats.fasta import iter_chunks, scan_fasta
from helixlm.data.formats.fasta_index import FastaFile
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.sources import Source
from helixlm.data.splits import SplitConfig
from helixlm.seq.ops import reverse_complement
from helixlm.tokenizers.base import TokenizerConfig
from helixlm.tokenizers.build import build_tokenizer


def plain_reader(path):
    """Read FASTA with nothing but gzip and split."""
    text = gzip.decompress(path.read_bytes()).decode()
    records = [record.partition("\n") for record in text.split(">")[1:]]
    return {head.split()[0]: body.replace("\n", "") for head, _, body in records}


@pytest.fixture(scope="module")
def yeast(data):
    return data / "yeast" / "sacCer3.fa.gz"


@pytest.fixture(scope="module")
def yeast_corpus(yeast, tmp_path_factory):
    output = tmp_path_factory.mktemp("yeast") / "corpus"
    prepare_corpus(
        [Source(fasta=yeast)], output, split=SplitConfig(validation_contigs=("chrIV", "chrXI"))
    )
    return open_corpus(output)


def test_yeast_has_17_sequences_and_12157105_bases(yeast):
    summary = scan_fasta(yeast)
    assert len(summary.contigs) == 17
    assert summary.num_bases == 12_157_105
    assert summary.contigs["chrM"] == 85_779


def test_chunks_are_what_a_plain_reader_finds(yeast):
    expected = plain_reader(yeast)
    found = {}
    for chunk in iter_chunks(yeast, 100_000):
        found[chunk.contig] = found.get(chunk.contig, "") + chunk.sequence
    assert found == expected


def test_soft_masked_yeast_is_masked_to_4_percent(data):
    summary = scan_fasta(data / "yeast" / "S_cerevisiae.SGD.softmasked.fa.gz")
    assert summary.softmask_fraction == pytest.approx(0.0424, abs=0.0005)


def test_coding_sequences_of_the_annotation_begin_with_atg(data, tmp_path):
    """Single-exon genes of the GFF, cut by coordinates, are the sequences of the CDS file."""
    path = tmp_path / "yeast.fa"
    path.write_bytes(gzip.decompress((data / "yeast" / "S_cerevisiae.SGD.fa.gz").read_bytes()))
    published = plain_reader(data / "yeast" / "S_cerevisiae.SGD.cds.fa.gz")
    annotation = gzip.decompress(
        (data / "yeast" / "S_cerevisiae.SGD.gff3.gz").read_bytes()
    ).decode()
    rows = [line.split("\t") for line in annotation.splitlines() if line.count("\t") == 8]
    coding: dict[str, list] = {}
    for row in rows:
        if row[2] == "CDS":
            name = dict(x.split("=", 1) for x in row[8].strip().split(";") if "=" in x)
            coding.setdefault(name["Name"].removesuffix("_CDS"), []).append(row)
    checked = 0
    with FastaFile(path, cache=tmp_path) as genome:
        for name, parts in coding.items():
            if len(parts) == 1 and name in published and parts[0][0] in genome.contigs:
                contig, _, _, start, end, _, strand = parts[0][:7]
                cut = genome.fetch(contig, int(start) - 1, int(end)).upper()
                if strand == "-":
                    cut = reverse_complement(cut)
                checked += cut == published[name].upper()
    assert checked > 5000


def test_windows_cover_yeast_but_for_short_ends(yeast_corpus):
    manifest = yeast_corpus.manifest
    kept = sum(split.num_bases for split in manifest.splits.values())
    assert kept + sum(manifest.dropped_bases.values()) == 12_157_105
    assert {k for k, v in manifest.dropped_bases.items() if v} == {"tail"}
    lengths = np.array([w.end - w.start for w in yeast_corpus.iter_windows("train")])
    assert (lengths.min(), lengths.max()) == (256, 1023)
    assert lengths.mean() == pytest.approx(639.5, abs=10)  # uniform over 256..1023
    assert check_leaks(yeast_corpus).overlapping == 0


def test_the_human_piece_begins_with_16_megabases_of_n(data):
    path = data / "human" / "hg19_chr22_1-22000000.softmasked.fa.gz"
    summary = scan_fasta(path)
    gaps = summary.letters.get("N", 0) + summary.letters.get("n", 0)
    assert gaps > 16_050_000
    known = summary.num_bases - gaps
    lower = sum(n for letter, n in summary.letters.items() if letter.islower() and letter != "n")
    assert lower / known == pytest.approx(0.481, abs=0.002)


def test_a_real_vocabulary_spells_the_genome_back(yeast_corpus):
    tokenizer = build_tokenizer(TokenizerConfig(), yeast_corpus.iter_sequences("train"))
    assert tokenizer.vocab_size == 1024
    sequences = list(yeast_corpus.iter_sequences("validation"))
    ids = tokenizer.encode_batch(sequences)
    for sequence, row in zip(sequences, ids, strict=True):
        assert tokenizer.decode(row) == sequence.upper()
    bases = sum(map(len, sequences)) / sum(map(len, ids))
    assert bases == pytest.approx(4.3, abs=0.1)
