"""What was kept along contigs, against counts of the rows and letters base by base."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.fasta_files import text_of
from tests.data.vcf_files import vcf_text, write_vcf

from helixlm.compute import Compute
from helixlm.data.corpus import coverage
from helixlm.data.corpus import tasks as corpus_tasks
from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.sources import Source
from helixlm.data.splits import SPLITS, SplitConfig
from helixlm.data.windows import (
    DnabertWindows,
    FixedWindows,
    PieceWindows,
    RepeatFreeWindows,
    TinyDnabertWindows,
)
from helixlm.rng import CounterRng


def random_text(name, length, letters):
    codes = CounterRng("test", name).integers(0, len(letters), length)
    return "".join(letters[code] for code in codes.tolist())


GENOMES = {
    "one": {
        "chr1": random_text("a", 3100, "ACGTacgt") + "N" * 211 + random_text("b", 980, "ACGT"),
        "chr2": "nnn" + random_text("c", 1203, "acgtACGTNn"),
        "tiny": "ACGTACGTAC",
    },
    "two": {
        "chr1": random_text("d", 2500, "ACGTACGTa") + random_text("a", 400, "ACGT"),
        "chr3": random_text("e", 1203, "acgtR"),
    },
}
BY_BLOCK = SplitConfig(by="block", block_bp=500, validation_fraction=0.25)


def sources_in(folder, **more):
    found = []
    for species, genome in GENOMES.items():
        fasta = folder / f"{species}.fa"
        fasta.write_text(text_of(genome))
        found.append(Source(fasta=fasta, species=species, **more.get(species, {})))
    return found


def slow_bins(contig, bin_bp, flags):
    return tuple(sum(flags[low : low + bin_bp]) for low in range(0, len(contig), bin_bp))


def slow_coverage(folder, bin_bp):
    """Count each contig, base by base, from the files."""
    rows = [
        row
        for split in SPLITS
        for path in sorted((folder / split).glob("*.parquet"))
        for row in pq.read_table(path).to_pylist()
    ]
    found = {}
    for species, genome in GENOMES.items():
        for contig, text in genome.items():
            flags = {split: [False] * len(text) for split in SPLITS}
            for row in rows:
                if (row["species"], row["contig"]) == (species, contig):
                    for place in range(row["start"], row["end"]):
                        flags[row["split"]][place] = True
            flags["n"] = [letter in "Nn" for letter in text]
            flags["softmasked"] = [letter.islower() and letter != "n" for letter in text]
            found[f"{species}:{contig}"] = {
                name: slow_bins(text, bin_bp, here) for name, here in flags.items()
            }
    return found


def check(folder):
    manifest = open_corpus(folder).manifest
    lengths = {f"{s}:{c}": len(text) for s, genome in GENOMES.items() for c, text in genome.items()}
    found = manifest.coverage
    longest_first = sorted(lengths, key=lambda name: -lengths[name])
    assert [contig.contig for contig in found] == longest_first[:-1]  # the last has no whole bin
    (bin_bp,) = {contig.bin_bp for contig in found}
    wanted = slow_coverage(folder, bin_bp)
    for contig in found:
        assert contig.length_bp == lengths[contig.contig]
        for name, bins in wanted[contig.contig].items():
            assert getattr(contig, name) == bins, (contig.contig, name)
    assert all(any(sum(getattr(contig, split)) for contig in found) for split in SPLITS)
    return manifest


KINDS = {
    "tinydnabert": TinyDnabertWindows(block_bp=200, min_bp=10, max_bp=40),
    "fixed": FixedWindows(length_bp=60, n="keep", iupac="keep"),
    "overlapping": FixedWindows(length_bp=60, step_bp=25),
    "dnabert": DnabertWindows(),
    "sampled": DnabertWindows(mode="sample", rate=1),
    "pieces": PieceWindows(chunk_bp=70, overlap_bp=20),
    "repeatfree": RepeatFreeWindows(length_bp=30, min_run_bp=3),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("task_bp", [400, 1 << 26])
def test_bins_are_those_of_the_rows(tmp_path, monkeypatch, kind, task_bp):
    monkeypatch.setattr(corpus_tasks, "TASK_BP", task_bp)
    sources = sources_in(tmp_path)
    prepare_corpus(sources, tmp_path / "corpus", windows=KINDS[kind], split=BY_BLOCK)
    manifest = check(tmp_path / "corpus")
    assert (manifest.repeats is not None) == (kind == "repeatfree")


def test_what_is_left_out_later_is_not_covered(tmp_path):
    genotypes = vcf_text(
        {"chr1": len(GENOMES["two"]["chr1"])},
        ["a", "b"],
        [("chr1", 101, GENOMES["two"]["chr1"][100].upper(), "<DEL>", "END=400", "1|1", "1|0")],
    )
    vcf = write_vcf(tmp_path / "two.vcf.gz", genotypes)
    bed = tmp_path / "one.bed"
    bed.write_text("chr1\t100\t1990\nchr1\t2500\t3400\nchr2\t7\t900\n")
    sources = sources_in(tmp_path, one={"bed": bed}, two={"vcf": vcf, "weight": 0.6})
    prepare_corpus(
        sources,
        tmp_path / "corpus",
        windows=FixedWindows(length_bp=80, step_bp=40),
        split=BY_BLOCK,
        duplicates=DuplicateConfig(remove="exact"),
    )
    manifest = check(tmp_path / "corpus")
    for reason in ("outside", "duplicate", "weight", "split_border"):
        assert manifest.dropped_bases[reason], reason


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(st.integers(0, 50), st.integers(1, 30)), min_size=1, max_size=12),
    bin_bp=st.integers(1, 100),
)
def test_windows_that_overlap_count_once(rows, bin_bp):
    starts, ends = np.array([(start, start + length) for start, length in rows]).T
    text = "N" * 80
    borders = coverage.borders_of(len(text), bin_bp)
    flags = [any(a <= place < b for a, b in zip(starts, ends, strict=True)) for place in range(80)]
    assert coverage.bases_in_bins((starts, ends), borders) == slow_bins(text, bin_bp, flags)


def test_the_longest_contigs_alone_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(coverage, "MOST_CONTIGS", 3)
    monkeypatch.setattr(coverage, "MOST_BINS", 7)
    sources = sources_in(tmp_path)
    windows, split = KINDS["fixed"], BY_BLOCK
    manifest = prepare_corpus(sources, tmp_path / "corpus", windows=windows, split=split)
    # one:chr2 and two:chr3 follow with 1,206 and 1,203 bp
    assert [(c.contig, len(c.n)) for c in manifest.coverage] == [
        ("one:chr1", 7),
        ("two:chr1", 5),
        ("one:chr2", 2),
    ]
    assert {contig.bin_bp for contig in manifest.coverage} == {613}  # 4,291 / 7


def test_repeats_of_contigs_and_intervals_are_reported(tmp_path):
    bed = tmp_path / "one.bed"
    bed.write_text("chr1\t100\t1990\n")
    windows = RepeatFreeWindows(length_bp=30, kept_fraction=0.2)
    sources = sources_in(tmp_path, one={"bed": bed})
    manifest = prepare_corpus(
        sources,
        tmp_path / "corpus",
        windows=windows,
        split=BY_BLOCK,
        duplicates=DuplicateConfig(remove="near"),
        compute=Compute(workers=2),
    )
    found = manifest.repeats
    assert found.num_contigs == 3
    assert [(r.contig, r.length_bp) for r in found.largest] == [
        ("two:chr1", 2900),
        ("one:chr1:100-1990", 1890),
        ("two:chr3", 1203),
    ]
    assert found.total.length_bp == 2900 + 1890 + 1203
    assert found.largest[0].kept_fraction >= 0.2
