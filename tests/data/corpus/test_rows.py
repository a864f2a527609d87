"""Corpora with haplotypes, coding sequences, features and intervals, against their genome."""

import gzip
import re
from collections import Counter
from functools import cache
from itertools import accumulate

import pysam
import pysam.bcftools
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.data.record_files import Cds, write_cds

from helixlm.data import genome_files
from helixlm.data.coding import splice
from helixlm.data.corpus import rows as corpus_rows
from helixlm.data.corpus import tasks as corpus_tasks
from helixlm.data.corpus.base import CorpusError, open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.corpus.rows import VariantConfig
from helixlm.data.corpus.tally import total
from helixlm.data.formats.bed import BedError
from helixlm.data.formats.vcf import VcfError
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.simulate import load_world, simulate, small_config
from helixlm.data.sources import Source, SourceError
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import (
    CodingWindows,
    FeatureWindows,
    FixedWindows,
    PieceWindows,
    TinyDnabertWindows,
    base,
    coding,
    cut,
)
from helixlm.errors import StateError
from helixlm.pipeline.prepare import prepare
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


@cache
def letters_before(vcf, contig, sample, number):
    """How many letters of a haplotype stand before each base of the contig, and in all."""
    sizes = [1] * LENGTH
    with pysam.VariantFile(str(vcf)) as file:
        for record in file.fetch(contig):
            if record.samples[sample]["GT"][number - 1]:
                sizes[record.start + 1 : record.stop] = [0] * (record.rlen - 1)
    return [0, *accumulate(sizes)]


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
            text = whole[row.sample, row.haplotype][row.contig]
            before = letters_before(vcf, row.contig, row.sample, row.haplotype)
            assert row.sequence.upper() == text[before[row.start] : before[row.end]].upper()
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


@pytest.mark.parametrize("declared", [True, False])
def test_genotypes_without_an_index_are_streamed(fasta, tmp_path, monkeypatch, caplog, declared):
    monkeypatch.setattr(corpus_rows, "DRAWN_AT_ONCE", 4)
    monkeypatch.setattr(genome_files, "DRAWN_AT_ONCE", 4)
    vcf = write_vcf(tmp_path / "people.vcf")
    plain = tmp_path / "plain.vcf"
    lines = gzip.decompress(vcf.read_bytes()).decode().splitlines(keepends=True)
    plain.write_text("".join(x for x in lines if declared or not x.startswith("##contig")))
    windows = PieceWindows(chunk_bp=500, overlap_bp=50)
    for name, path in (("indexed", vcf), ("streamed", plain)):
        source = Source(fasta=fasta, vcf=path)
        prepare_corpus([source], tmp_path / name, windows=windows, split=SPLIT)
    assert rows_of(tmp_path / "streamed") == rows_of(tmp_path / "indexed")
    assert "plain.vcf: has no index, so it is read anew for every 4 windows" in caplog.text


def test_a_contig_that_could_be_two_of_the_file(fasta, tmp_path):
    vcf = write_vcf(tmp_path / "people.vcf")
    text = gzip.decompress(vcf.read_bytes()).decode()
    both = tmp_path / "both.vcf"
    both.write_text(text.replace("##contig=<ID=chr1", "##contig=<ID=Chr1>\n##contig=<ID=1"))
    with pytest.raises(VcfError, match=r"both.vcf: contig 'chr1': could be '.*' or '.*': rename"):
        prepare_corpus([Source(fasta=fasta, vcf=both)], tmp_path / "corpus")


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
    lines = [line.split("\t") for line in world.gff3().read_text().splitlines()]
    transcripts = [line for line in lines if len(line) == 9 and line[2] == "mRNA"]
    named = {re.search("ID=([^;]+)", line[8])[1]: line for line in transcripts}
    assert sorted(row.name for row in rows) == sorted(named)
    for row in rows:
        contig, _, _, first, last, _, strand, *_ = named[row.name]
        assert (row.contig, row.strand) == (contig, strand)
        assert int(first) - 1 <= row.start < row.end <= int(last)
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


def test_coding_sequences_across_the_origin_keep_to_one_split(fasta, tmp_path):
    """Against sets of single bases, on a ring of 6,000 bp with other genes on both sides."""
    across = (5800, 6500)
    genes = {across} | {(start, start + 200) for start in range(0, 5800, 250)}
    rows = [f"CDS\t{start + 1}\t{end}\t.\t+\t0\tID=c{start}" for start, end in sorted(genes)]
    rows.insert(0, f"region\t1\t{LENGTH}\t.\t+\t.\tID=chr1;Is_circular=true")
    gff = tmp_path / "genes.gff3"
    gff.write_text("##gff-version 3\n" + "".join(f"chr1\t.\t{row}\n" for row in rows))
    outcomes = set()
    for seed in range(12):
        folder = tmp_path / f"{seed}"
        manifest = prepare_corpus(
            [Source(fasta=fasta, gff=gff)],
            folder,
            windows=CodingWindows(),
            split=SplitConfig(by="block", block_bp=1000, validation_fraction=0.5),
            seed=seed,
        )
        corpus = open_corpus(folder)
        assert check_leaks(corpus).overlapping == 0
        bases = {}
        for split in ("train", "validation"):
            windows = list(corpus.iter_windows(split))
            bases[split] = {place % LENGTH for row in windows for place in range(*row[1:3])}
            outcomes |= {split for row in windows if row[1:3] == across}
            for row in windows:
                assert row.sequence == (2 * GENOME["chr1"])[row.start : row.end]
        assert not bases["train"] & bases["validation"]
        if not {place % LENGTH for place in range(*across)} <= set.union(*bases.values()):
            outcomes.add("neither")
        (covered,) = [contig for contig in manifest.coverage if contig.contig == "chr1"]
        for split, places in bases.items():
            wanted = Counter(place // covered.bin_bp for place in places)
            assert getattr(covered, split) == tuple(wanted[i] for i in range(len(covered.n)))
        in_genes = {place % LENGTH for gene in genes for place in range(*gene)}
        assert manifest.dropped_bases["no_feature"] == 3 * LENGTH - len(in_genes)
    assert outcomes == {"train", "validation", "neither"}


def test_windows_that_need_a_file_that_is_not_there(fasta, tmp_path):
    for windows in (CodingWindows(), FeatureWindows(upstream_bp=5, downstream_bp=5)):
        with pytest.raises(SourceError, match=r"need an annotation: give GFF3 \(--gff\)"):
            prepare_corpus([Source(fasta=fasta)], tmp_path / "corpus", windows=windows)
    windows = FeatureWindows(of="bed", upstream_bp=5, downstream_bp=5)
    with pytest.raises(SourceError, match=r"BED file need one \(--bed\)"):
        prepare_corpus([Source(fasta=fasta)], tmp_path / "corpus", windows=windows)


def test_an_annotation_that_was_corrected_is_read_anew(fasta, tmp_path):
    gff = tmp_path / "genes.gff3"
    source = Source(fasta=fasta, gff=gff)
    for name, start in (("before", 11), ("after", 22)):
        rows = [f"{contig}\t.\tCDS\t{start}\t90\t.\t+\t0\tID={contig}" for contig in GENOME]
        gff.write_text("\n".join(["##gff-version 3", *rows, ""]))
        prepare_corpus([source], tmp_path / name, windows=CodingWindows(), split=SPLIT)
        assert {row.start for row in rows_of(tmp_path / name)} == {start - 1}


STARTS = FeatureWindows(of="gene_start", upstream_bp=5, downstream_bp=5)
FEATURES_ELSEWHERE = [
    (CodingWindows(), "gene\t11\t90", "no CDS in the file, expected some: windows of"),
    (CodingWindows(), "CDS\t11\t90\t1", "nothing in it .*: no contig '1': found 'chr1'; use the"),
    (STARTS, "gene\t11\t90\t1", "nothing in it lies on the genome: no contig '1': found 'chr1'"),
    (STARTS, "gene\t6991\t6999", r"chr1:6990-6991 goes past the end of the contig \(6000 bp\)"),
]


@pytest.mark.parametrize(("windows", "place", "message"), FEATURES_ELSEWHERE)
def test_an_annotation_of_another_genome_is_refused(fasta, tmp_path, windows, place, message):
    kind, start, end, contig = [*place.split("\t"), "chr1"][:4]
    gff = tmp_path / "genes.gff3"
    row = [contig, ".", kind, start, end, ".", "+", "0", "ID=a"]
    gff.write_text("##gff-version 3\n" + "\t".join(row) + "\n")
    with pytest.raises(SourceError, match=f"genes.gff3: {message}"):
        prepare_corpus([Source(fasta=fasta, gff=gff)], tmp_path / "corpus", windows=windows)


def test_features_on_contigs_that_the_genome_lacks_are_told(fasta, tmp_path, caplog):
    gff = tmp_path / "genes.gff3"
    rows = [f"{contig}\t.\tgene\t11\t90\t.\t+\t.\tID={contig}" for contig in [*GENOME, "3"]]
    gff.write_text("\n".join(["##gff-version 3", *rows, ""]))
    prepare_corpus([Source(fasta=fasta, gff=gff)], tmp_path / "c", windows=STARTS, split=SPLIT)
    assert "what lies on 1 of 4 contigs is left out, as the genome lacks them: no contig '3'" in (
        caplog.text
    )
    bed = tmp_path / "starts.bed"
    bed.write_text("chr1\t5\t6\n3\t5\t6\n")
    windows = FeatureWindows(of="bed", upstream_bp=5, downstream_bp=5)
    with pytest.raises(BedError, match=r"starts.bed:2: no contig '3': found 'chr3'"):
        prepare_corpus([Source(fasta=fasta, bed=bed)], tmp_path / "d", windows=windows)


def write_gff(path, *rows):
    """Write features: kind, contig, first and last base (1-based), strand; a number is the ID."""
    lines = ["##gff-version 3"]
    for number, (kind, contig, first, last, strand) in enumerate(rows):
        phase = "0" if kind == "CDS" else "."
        parts = [contig, ".", kind, str(first), str(last), ".", strand, phase, f"ID={number}"]
        lines.append("\t".join(parts))
    path.write_text("\n".join([*lines, ""]))
    return path


def lost_of(manifest):
    whole = total(tally for source in manifest.sources for tally in source.tallies.values())
    return whole.lost_features


@pytest.mark.parametrize("remove", [None, "exact"])
def test_features_without_a_window_are_counted(tmp_path, monkeypatch, remove):
    monkeypatch.setattr(base, "CHUNK_BP", 500)
    monkeypatch.setattr(corpus_tasks, "TASK_BP", 1000)  # several stretches and tasks
    genome = {**GENOME, "chr1": GENOME["chr1"][:3000] + "N" * 40 + GENOME["chr1"][3040:]}
    fasta = tmp_path / "gaps.fa"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in genome.items()))
    kept = [
        *(("mRNA", "chr1", place, place + 9, "+") for place in (101, 2000, 3500)),
        # Read from 3,009 to the left: 2,999 to 3,018 hold 19 N.
        ("mRNA", "chr1", 999, 1000, "-"),
        ("mRNA", "chr2", 11, 90, "+"),
    ]
    lost = {
        "no_contig": [("mRNA", "chr9", 1, 9, "."), ("mRNA", "chr9", 100, 900, "+")],
        "left_out": [("mRNA", "chr3", 1, 2, "+"), ("mRNA", "chr3", 500, 510, ".")],
        "no_strand": [("mRNA", "chr1", 500, 600, "."), ("mRNA", "chr2", 500, 600, "?")],
        # 10 bp upstream, 10 downstream: the first base may be 11 to 5,991, or 10 to 5,990.
        "off_contig": [
            ("mRNA", "chr1", 10, 90, "+"),
            ("mRNA", "chr1", 5992, 5999, "+"),
            ("mRNA", "chr1", 5, 5991, "-"),
            ("mRNA", "chr1", 3, 9, "-"),
        ],
        "shared": [("mRNA", "chr1", 2000, 2900, "+")],
        "n_content": [("mRNA", "chr1", 2900, 3009, "-"), ("mRNA", "chr1", 3035, 3099, "+")],
    }
    gff = write_gff(
        tmp_path / "genes.gff3", *kept, *(row for rows in lost.values() for row in rows)
    )
    manifest = prepare_corpus(
        [Source(fasta=fasta, gff=gff)],
        tmp_path / "c",
        windows=FeatureWindows(upstream_bp=10, downstream_bp=10, n="drop"),
        split=SplitConfig(validation_contigs=("chr2",), left_out=("chr3",)),
        duplicates=remove and DuplicateConfig(remove=remove),
    )
    assert lost_of(manifest) == {reason: len(rows) for reason, rows in lost.items()}
    rows = rows_of(tmp_path / "c")
    firsts = {(row.contig, row.start + 11 if row.strand == "+" else row.end - 10) for row in rows}
    assert firsts == {("chr1", 101), ("chr1", 2000), ("chr1", 3500), ("chr1", 1000), ("chr2", 11)}
    assert len(rows) == len(kept)


def test_features_and_coding_sequences_outside_the_intervals_are_counted(fasta, tmp_path):
    places = [(11, 90), (601, 690), (950, 1049), (5901, 5990)]
    kinds = [("CDS", CodingWindows()), ("gene", STARTS)]
    bed = tmp_path / "some.bed"
    bed.write_text("chr1\t0\t1000\nchr2\t0\t6000\n")
    for kind, windows in kinds:
        rows = [(kind, contig, *place, "+") for contig in ("chr1", "chr2") for place in places]
        rows += [(kind, "chr3", 11, 90, "+"), (kind, "chr9", 11, 90, "+")]
        source = Source(fasta=fasta, gff=write_gff(tmp_path / f"{kind}.gff3", *rows), bed=bed)
        split = SplitConfig(validation_contigs=("chr2",))
        manifest = prepare_corpus([source], tmp_path / kind, windows=windows, split=split)
        # Of chr1 the last, and as a coding sequence the one before; that of chr3, which has none.
        outside = {"CDS": 3, "gene": 2}[kind]
        assert lost_of(manifest) == {"outside": outside, "no_contig": 1}
        made = sum(found.num_windows for found in manifest.splits.values())
        assert made == len(rows) - sum(lost_of(manifest).values())


def test_lines_of_a_bed_file_without_a_window_are_counted(fasta, tmp_path):
    bed = tmp_path / "sites.bed"
    lines = ["chr1 50 60", "chr1 50 90", "chr1 2 9", "chr2 50 60", "chr2 5995 6000"]
    bed.write_text("".join("\t".join(line.split()) + "\n" for line in lines))
    windows = FeatureWindows(of="bed", upstream_bp=5, downstream_bp=5)
    source = Source(fasta=fasta, bed=bed)
    manifest = prepare_corpus([source], tmp_path / "c", windows=windows, split=SPLIT)
    assert lost_of(manifest) == {"shared": 1, "off_contig": 1}
    assert len(rows_of(tmp_path / "c")) == 3


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


def test_what_duplicates_count_under(fasta, tmp_path):
    """The haplotypes of a window are often the same: in training and in validation."""
    source = Source(fasta=fasta, vcf=write_vcf(tmp_path / "people.vcf"))
    settings = {"windows": FixedWindows(length_bp=50), "split": SPLIT}
    all_rows = prepare_corpus([source], tmp_path / "all", **settings)
    unique = prepare_corpus(
        [source], tmp_path / "unique", **settings, duplicates=DuplicateConfig(remove="exact")
    )
    for split in ("train", "validation"):
        before, after = (found.sources[0].tallies[split] for found in (all_rows, unique))
        assert after.dropped["duplicate"] == 50 * (before.windows - after.windows) > 0
        assert after.variants == before.variants
        assert after.skipped_variants == before.skipped_variants


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


KINDS_WITHOUT_OVERLAP = {
    "fixed": FixedWindows(length_bp=70),
    "tinydnabert": TinyDnabertWindows(min_bp=20, max_bp=60, block_bp=300),
    "coding": CodingWindows(),
    "features": FeatureWindows(of="gene_start", upstream_bp=0, downstream_bp=40),
}


@pytest.mark.parametrize("kind", KINDS_WITHOUT_OVERLAP)
@pytest.mark.parametrize("with_bed", [False, True])
@hypothesis_settings(
    deadline=None,
    max_examples=6,
    phases=[Phase.explicit, Phase.generate],  # to shrink corpora takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(40, 2500)), min_size=9, max_size=20),
    st.lists(st.tuples(st.integers(1, 900), st.integers(100, 3000)), min_size=9, max_size=20),
)
def test_each_base_is_in_a_window_or_dropped_once(
    fasta, tmp_path_factory, monkeypatch, kind, with_bed, genes, intervals
):
    """However small the parts are, and whatever reaches over their borders."""
    monkeypatch.setattr(corpus_tasks, "TASK_BP", 700)
    monkeypatch.setattr(base, "CHUNK_BP", 700)
    monkeypatch.setattr(coding, "CHUNK_BP", 700)
    folder = tmp_path_factory.mktemp("law")
    inside = {*places(intervals)} if with_bed else {(name, 0, LENGTH) for name in GENOME}
    files = {}
    if with_bed:
        files["bed"] = folder / "some.bed"
        files["bed"].write_text("".join(f"{c}\t{a}\t{b}\n" for c, a, b in inside))
    if kind in ("coding", "features"):
        files["gff"] = folder / "genes.gff3"
        row = "{0}\t.\t{3}\t{1}\t{2}\t.\t+\t0\tID={3}{0}{1}\n"
        files["gff"].write_text(
            "##gff-version 3\n"
            + "".join(
                row.format(contig, start + 1, end, what)
                for contig, start, end in places([*genes, (1, 40), (1, 40)])
                for what in ("gene", "CDS")
            )
        )
    source = Source(fasta=fasta, **files)
    split = SplitConfig(by="block", block_bp=LENGTH, validation_fraction=0.4)
    try:
        manifest = prepare_corpus(
            [source], folder / "c", windows=KINDS_WITHOUT_OVERLAP[kind], split=split
        )
    except CorpusError:  # nothing lies whole in an interval of one of the splits
        return
    rows = rows_of(folder / "c")
    for row in rows:
        assert any(c == row.contig and a <= row.start <= row.end <= b for c, a, b in inside)
        assert row.sequence == GENOME[row.contig][row.start : row.end]
    bases = sum(row.end - row.start for row in rows)
    assert bases + sum(manifest.dropped_bases.values()) == 3 * LENGTH
    assert manifest.dropped_bases["outside"] == 3 * LENGTH - sum(b - a for _, a, b in inside)


def places(drawn):
    """Intervals that follow one another on the contigs with a gap of so many bases each."""
    numbers = iter(drawn)
    for contig in GENOME:
        at = 0
        for gap, length in numbers:
            if at + gap + length > LENGTH:
                break
            yield contig, at + gap, at + gap + length
            at += gap + length


def test_intervals_restrict_what_is_made_from_an_annotation(fasta, tmp_path):
    gff, bed = tmp_path / "genes.gff3", tmp_path / "some.bed"
    genes = {"chr1": [(100, 190), (300, 390)], "chr2": [(100, 190)], "chr3": [(100, 190)]}
    gff.write_text(
        "##gff-version 3\n"
        + "".join(
            f"{contig}\t.\t{kind}\t{start + 1}\t{end}\t.\t-\t0\tID={kind}{contig}{start}\n"
            for contig, found in genes.items()
            for start, end in found
            for kind in ("gene", "CDS")
        )
    )
    bed.write_text("chr1 0 200\nchr1 150 250\nchr1 301 400\nchr2 0 191\n")
    source = Source(fasta=fasta, gff=gff, bed=bed)
    around = FeatureWindows(of="gene_start", upstream_bp=1, downstream_bp=5)
    found = {}
    for name, windows in (("coding", CodingWindows()), ("features", around)):
        manifest = prepare_corpus([source], tmp_path / name, windows=windows, split=SPLIT)
        found[name] = [(row.contig, row.start, row.end) for row in rows_of(tmp_path / name)]
        assert manifest.dropped_bases["outside"] == 3 * LENGTH - 250 - 99 - 191
        assert [file.kind for file in manifest.sources[0].others] == ["gff", "bed"]
    assert found["coding"] == [("chr1", 100, 190), ("chr2", 100, 190)]
    assert found["features"] == [("chr1", 185, 191), ("chr1", 385, 391), ("chr2", 185, 191)]


def test_an_annotation_that_is_not_used_is_left_alone(fasta, tmp_path):
    gff = tmp_path / "genes.gff3"
    gff.write_text("not GFF3")
    source = Source(fasta=fasta, gff=gff)
    windows = FixedWindows(length_bp=200)
    manifest = prepare_corpus([source], tmp_path / "c", windows=windows, split=SPLIT)
    assert manifest.sources[0].others == ()
    gff.write_text("changed")
    assert prepare_corpus([source], tmp_path / "c", windows=windows, split=SPLIT) == manifest
    with pytest.raises(SourceError, match=r"genes.gff3: found an annotation and windows of the ki"):
        prepare("tinydnabert", fasta=[fasta], gff=gff, output=tmp_path / "d")


def test_an_empty_line_has_no_window_around_it(fasta, tmp_path):
    bed = tmp_path / "starts.bed"
    bed.write_text("chr1\t50\t51\nchr1\t70\t70\nchr2\t50\t51\n")
    windows = FeatureWindows(of="bed", upstream_bp=5, downstream_bp=5)
    source = Source(fasta=fasta, bed=bed)
    with pytest.raises(BedError, match=r"starts.bed:2: chr1:70-70 is empty, expected at least 1"):
        prepare_corpus([source], tmp_path / "c", windows=windows, split=SPLIT)


def test_files_of_a_genome_are_read_once_however_many_contigs(tmp_path, monkeypatch):
    fasta, bed = tmp_path / "many.fa", tmp_path / "many.bed"
    fasta.write_text("".join(f">s{i}\n{GENOME['chr1'][:100]}\n" for i in range(300)))
    bed.write_text("".join(f"s{i}\t0\t90\n" for i in range(300)))
    given = Counter()

    def count(letters, contig, windows, *arguments, features=(), **others):
        given[contig] += len(features)
        return cut(letters, contig, windows, *arguments, features=features, **others)

    monkeypatch.setattr(corpus_rows, "cut", count)
    windows = FeatureWindows(of="bed", upstream_bp=0, downstream_bp=5)
    prepare_corpus([Source(fasta=fasta, bed=bed)], tmp_path / "c", windows=windows)
    assert given == {f"s{i}": 1 for i in range(300)}


def test_coding_regions_are_spliced_once(fasta, tmp_path, monkeypatch):
    gff = tmp_path / "genes.gff3"
    row = "{0}\t.\tCDS\t{1}\t{2}\t.\t+\t0\tID={0}{1}\n"
    text = "".join(row.format(c, i + 1, i + 90) for c in GENOME for i in range(0, 5900, 100))
    gff.write_text("##gff-version 3\n" + text)
    monkeypatch.setattr(corpus_tasks, "TASK_BP", 700)
    monkeypatch.setattr(coding, "CHUNK_BP", 700)
    spliced = Counter()

    def count(region, *others):
        spliced[region.transcript_id] += 1
        return splice(region, *others)

    monkeypatch.setattr(corpus_rows, "splice", count)
    source = Source(fasta=fasta, gff=gff)
    prepare_corpus([source], tmp_path / "c", windows=CodingWindows(), split=SPLIT)
    assert len(spliced) == 177
    assert set(spliced.values()) == {1}


def test_contigs_that_are_left_out_are_in_no_split(fasta, tmp_path):
    split = SplitConfig(validation_contigs=("chr2",), left_out=("*r3", "*_alt"))
    windows = FixedWindows(length_bp=200)
    manifest = prepare_corpus([Source(fasta=fasta)], tmp_path / "c", windows=windows, split=split)
    assert {row.contig for row in rows_of(tmp_path / "c")} == {"chr1", "chr2"}
    assert {k: v for k, v in manifest.dropped_bases.items() if v} == {"left_out": LENGTH}
    records = write_cds(
        tmp_path / "a.fa", [Cds(f"T{i}", "ACGT", (f"{i % 4}", i, i + 9, "+")) for i in range(20)]
    )
    split = SplitConfig(validation_contigs=("1",), left_out=("3",))
    source = Source(cds=records)
    manifest = prepare_corpus([source], tmp_path / "d", windows=CodingWindows(), split=split)
    assert {row.contig for row in rows_of(tmp_path / "d")} == {"0", "1", "2"}
    assert manifest.dropped_bases["left_out"] == 5 * 4


def test_the_order_of_files_with_genotypes_plays_no_part(fasta, tmp_path):
    text = gzip.decompress(write_vcf(tmp_path / "people.vcf").read_bytes()).decode()
    lines = text.splitlines(keepends=True)
    files = []
    for contig, other in (("chr1", "chr2"), ("chr2", "chr1")):
        files.append(tmp_path / f"{contig}.vcf")
        files[-1].write_text("".join(x for x in lines if not x.startswith(f"{other}\t")))
    regions = tmp_path / "regions.bedgraph"
    regions.write_text("chr1 0 1000 2\n")
    settings = {"windows": FixedWindows(length_bp=200), "split": SPLIT}

    def make(name, order):
        source = Source(fasta=fasta, vcf=tuple(order), weights=regions)
        return prepare_corpus([source], tmp_path / name, **settings)

    manifest = make("c", files)
    assert make("c", files[::-1]) == manifest
    assert make("d", files[::-1]).corpus_sha256 == manifest.corpus_sha256
    files[0].write_text(files[0].read_text().replace("1|1", "1|0", 1))
    with pytest.raises(StateError, match="made before with other inputs or settings: SHA-256 of"):
        make("c", files[::-1])
