"""Corpora with haplotypes, coding sequences, features and intervals, against their genome."""

from collections import Counter

import pysam
import pysam.bcftools
import pytest

from helixlm.data import corpus_rows
from helixlm.data.corpus import open_corpus
from helixlm.data.corpus_rows import VariantConfig
from helixlm.data.duplicates import DuplicateConfig
from helixlm.data.prepare import prepare_corpus
from helixlm.data.simulate import load_world, simulate, small_config
from helixlm.data.sources import Source, SourceError
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import CodingWindows, FeatureWindows, FixedWindows, PieceWindows
from helixlm.rng import CounterRng
from helixlm.seq.ops import reverse_complement

LENGTH = 6000
SPLIT = SplitConfig(validation_contigs=("chr2",))
GENOME = {
    name: "".join("ACGTacgt"[c] for c in CounterRng("rows", name).integers(0, 8, LENGTH).tolist())
    for name in ("chr1", "chr2", "chr3")
}


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in GENOME.items()))
    return path


def rows_of(folder):
    corpus = open_corpus(folder)
    return [row for split in ("train", "validation") for row in corpus.iter_windows(split)]


def write_vcf(path, *, num_samples=3):
    """SNVs and deletions on chr1 and chr2, bgzipped and indexed; who carries what is drawn."""
    names = [f"S{number}" for number in range(num_samples)]
    lines = ["##fileformat=VCFv4.2", '##FORMAT=<ID=GT,Number=1,Type=String,Description="g">']
    lines += [f"##contig=<ID={name},length={LENGTH}>" for name in ("chr1", "chr2")]
    columns = ["#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO", "FORMAT", *names]
    lines.append("\t".join(columns))
    for name in ("chr1", "chr2"):
        rng = CounterRng("vcf", name)
        for position in range(20, LENGTH - 20, 37):
            size = 1 + 4 * (position % 5 == 0)
            ref = GENOME[name][position : position + size].upper()
            alt = ref[0] if size > 1 else "ACGT"[("ACGT".index(ref) + 1) % 4]
            calls = [f"{a}|{b}" for a, b in rng.integers(0, 2, 2 * num_samples).reshape(-1, 2)]
            row = [name, str(position + 1), ".", ref, alt, ".", ".", ".", "GT", *calls]
            lines.append("\t".join(row))
    path.write_text("\n".join(lines) + "\n")
    pysam.tabix_index(str(path), preset="vcf", force=True)
    return path.with_name(path.name + ".gz")


def consensus(fasta, vcf, sample, number):
    """Haplotypes of whole contigs, by bcftools."""
    text = pysam.bcftools.consensus("-H", str(number), "-s", sample, "-f", str(fasta), str(vcf))
    records = [record.partition("\n") for record in text.split(">")[1:]]
    return {name.split()[0]: rest.replace("\n", "") for name, _, rest in records}


def test_both_haplotypes_of_one_individual_take_the_place_of_a_window(fasta, tmp_path, monkeypatch):
    vcf = write_vcf(tmp_path / "people.vcf")
    monkeypatch.setattr(corpus_rows, "DRAWN_AT_ONCE", 7)  # windows on both sides of a border
    source = Source(fasta=fasta, vcf=vcf)
    windows = FixedWindows(length_bp=200)
    manifest = prepare_corpus([source], tmp_path / "corpus", windows=windows, split=SPLIT, seed=3)
    rows = rows_of(tmp_path / "corpus")
    whole = {(s, n): consensus(fasta, vcf, s, n) for s in ("S0", "S1", "S2") for n in (1, 2)}
    for row in rows:
        if row.contig == "chr3":  # has no genotypes
            assert (row.sample, row.haplotype) == (None, None)
            assert row.sequence == GENOME["chr3"][row.start : row.end]
        else:
            assert row.sequence.upper() in whole[row.sample, row.haplotype][row.contig].upper()
    people = {(row.contig, row.start): set() for row in rows if row.sample}
    for row in rows:
        if row.sample:
            people[row.contig, row.start].add((row.sample, row.haplotype))
    assert len(people) == 60
    assert all(len(found) == 2 and len({s for s, _ in found}) == 1 for found in people.values())
    assert {sample for found in people.values() for sample, _ in found} == {"S0", "S1", "S2"}
    tallies = manifest.sources[0].tallies
    assert tallies["train"].variants.keys() == {"SNV", "DEL"}
    assert manifest.splits["train"].num_windows == 30 + 60


@pytest.mark.parametrize("duplicates", [None, DuplicateConfig(remove="exact")])
def test_training_on_both_strands(fasta, tmp_path, duplicates):
    vcf = write_vcf(tmp_path / "people.vcf")
    found = {}
    for both in (False, True):
        prepare_corpus(
            [Source(fasta=fasta, vcf=vcf, weight=1.4)],
            tmp_path / f"{both}",
            windows=FixedWindows(length_bp=200, both_strands=both),
            split=SPLIT,
            duplicates=duplicates,
        )
        found[both] = {
            split: [*open_corpus(tmp_path / f"{both}").iter_windows(split)]
            for split in ("train", "validation")
        }
    one, two = found[False], found[True]
    assert two["validation"] == one["validation"]
    assert two["train"][::2] == one["train"]
    complement = str.maketrans("ACGTacgt", "TGCAtgca")
    for forward, turned in zip(two["train"][::2], two["train"][1::2], strict=True):
        assert turned.sequence == forward.sequence.translate(complement)[::-1]
        assert (forward.strand, turned.strand) == ("+", "-")
        assert turned._replace(sequence=forward.sequence, strand="+") == forward


def test_named_samples_and_the_reference_alone(fasta, tmp_path):
    source = Source(fasta=fasta, vcf=write_vcf(tmp_path / "people.vcf"))
    windows = FixedWindows(length_bp=200)
    found = {}
    for name, variants in (
        ("one", VariantConfig(samples=("S1",))),
        ("none", VariantConfig(individuals="none")),
    ):
        prepare_corpus([source], tmp_path / name, windows=windows, split=SPLIT, variants=variants)
        found[name] = {row.sample for row in rows_of(tmp_path / name)}
    assert found == {"one": {"S1", None}, "none": {None}}


def test_genotypes_of_another_genome_are_refused(fasta, tmp_path):
    vcf = write_vcf(tmp_path / "people.vcf")
    other = tmp_path / "other.fa"
    other.write_text(f">scaffold_7\n{GENOME['chr1']}\n>scaffold_8\n{GENOME['chr2']}\n")
    with pytest.raises(SourceError, match=r"no record lies on a contig of the genome \(scaffold_7"):
        prepare_corpus([Source(fasta=other, vcf=vcf)], tmp_path / "c")
    with pytest.raises(SourceError, match=r"chr1 has records in .*people.vcf.gz too: merge them"):
        prepare_corpus([Source(fasta=fasta, vcf=(vcf, vcf))], tmp_path / "c")


def test_only_intervals_are_cut(fasta, tmp_path):
    bed = tmp_path / "some.bed"
    bed.write_text("chr1\t100\t350\nchr1\t300\t700\nchr2\t0\t1000\nchr3\t5990\t6000\n")
    source = Source(fasta=fasta, bed=bed)
    manifest = prepare_corpus(
        [source], tmp_path / "corpus", windows=FixedWindows(length_bp=100), split=SPLIT
    )
    rows = rows_of(tmp_path / "corpus")
    places = [(row.contig, row.start, row.end) for row in rows]
    assert places == [
        *(("chr1", start, start + 100) for start in range(100, 700, 100)),
        *(("chr2", start, start + 100) for start in range(0, 1000, 100)),
    ]
    assert all(row.sequence == GENOME[row.contig][row.start : row.end] for row in rows)
    assert manifest.dropped_bases["outside"] == 3 * LENGTH - 600 - 1000 - 10


def test_coding_sequences_and_starts_of_genes_of_the_simulated_world(tmp_path):
    simulate(tmp_path / "world", small_config(seed=3))
    world = load_world(tmp_path / "world")
    source = Source(fasta=world.fasta(), gff=world.gff3())
    manifest = prepare_corpus([source], tmp_path / "cds", windows=CodingWindows(), seed=1)
    rows = rows_of(tmp_path / "cds")
    assert len(rows) == 33
    for row in rows:
        text = row.sequence.upper()
        assert text[:3] == "ATG"
        assert text[-3:] in ("TAA", "TAG", "TGA")
        assert len(text) % 3 == 0
    with pysam.FastaFile(str(world.fasta())) as genome:
        lengths = sum(genome.lengths)
        spans = {(row.contig, row.start, row.end) for row in rows}
        covered = {(contig, base) for contig, start, end in spans for base in range(start, end)}
        assert manifest.dropped_bases["no_feature"] == lengths - len(covered)
        windows = FeatureWindows(of="translation_start", upstream_bp=10, downstream_bp=3)
        prepare_corpus([source], tmp_path / "starts", windows=windows, seed=1)
        for row in rows_of(tmp_path / "starts"):
            assert row.sequence[-3:].upper() == "ATG"
            text = genome.fetch(row.contig, row.start, row.end)
            assert row.sequence == (text if row.strand == "+" else reverse_complement(text))


def test_windows_that_need_a_file_that_is_not_there(fasta, tmp_path):
    for windows in (CodingWindows(), FeatureWindows(upstream_bp=5, downstream_bp=5)):
        with pytest.raises(SourceError, match=r"need an annotation: give GFF3 \(--gff\)"):
            prepare_corpus([Source(fasta=fasta)], tmp_path / "corpus", windows=windows)
    windows = FeatureWindows(of="bed", upstream_bp=5, downstream_bp=5)
    with pytest.raises(SourceError, match=r"BED file need one \(--bed\)"):
        prepare_corpus([Source(fasta=fasta)], tmp_path / "corpus", windows=windows)


def test_jitter_pieces_keep_their_margin_with_haplotypes(fasta, tmp_path):
    source = Source(fasta=fasta, vcf=write_vcf(tmp_path / "people.vcf"))
    windows = PieceWindows(chunk_bp=500, overlap_bp=50)
    prepare_corpus([source], tmp_path / "corpus", windows=windows, split=SPLIT)
    for row in rows_of(tmp_path / "corpus"):
        assert row.end - row.start == 600
        assert abs(len(row.sequence) - 600) < 60


@pytest.mark.parametrize("remove", ["exact", "near"])
def test_windows_that_repeat_others_are_left_out(tmp_path, remove):
    text = GENOME["chr1"]
    # 700 bp of training stand in validation too, turned around; and 600 bp twice in training.
    genome = {
        "chr1": text[:3000] + text[1000:1600],
        "chr2": reverse_complement(text[2000:2700]) + GENOME["chr2"][:2000],
    }
    fasta = tmp_path / "repeats.fa"
    fasta.write_text("".join(f">{name}\n{sequence}\n" for name, sequence in genome.items()))
    manifest = prepare_corpus(
        [Source(fasta=fasta)],
        tmp_path / "corpus",
        windows=FixedWindows(length_bp=100),
        split=SPLIT,
        duplicates=DuplicateConfig(remove=remove),
    )
    found = {(row.contig, row.start) for row in rows_of(tmp_path / "corpus")}
    assert {start for contig, start in found if contig == "chr2"} == set(range(0, 2700, 100))
    assert {start for contig, start in found if contig == "chr1"} == {
        *range(0, 2000, 100),
        *range(2700, 3000, 100),
    }
    assert manifest.dropped_bases["duplicate"] == 700 + 600
    assert manifest.splits["train"].num_windows == 23
    assert sum(tally.windows for tally in manifest.sources[0].tallies.values()) == 50


def test_weights_leave_out_and_copy_both_haplotypes_of_a_window(fasta, tmp_path):
    vcf = write_vcf(tmp_path / "people.vcf")
    regions = tmp_path / "regions.bedgraph"
    regions.write_text("chr1 0 1000 0\nchr1 1000 2000 2\n")
    settings = {"windows": FixedWindows(length_bp=200), "split": SPLIT, "seed": 3}
    manifests = {
        name: prepare_corpus([Source(fasta=fasta, vcf=vcf, **files)], tmp_path / name, **settings)
        for name, files in (("plain", {}), ("weighed", {"weights": regions}))
    }
    expected = []
    for row in rows_of(tmp_path / "plain"):
        inside = row.contig == "chr1" and row.start < 2000
        expected += [row] * (2 * (row.start >= 1000) if inside else 1)
    assert rows_of(tmp_path / "weighed") == expected
    assert manifests["weighed"].dropped_bases["weight"] == 1000  # once, not by haplotype
    # What is applied to windows that are left out is not counted.
    first = Source(fasta=fasta, vcf=vcf, bed=tmp_path / "first.bed")
    first.bed.write_text("chr1 0 1000\nchr2 0 200\n")
    left_out = prepare_corpus([first], tmp_path / "first", **settings)
    applied = [
        Counter(manifest.sources[0].tallies["train"].variants)
        for manifest in (manifests["plain"], left_out, manifests["weighed"])
    ]
    assert applied[0] - applied[1] == applied[2]
