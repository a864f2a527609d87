"""Windows of every kind with haplotypes, against records that are applied base by base."""

import os
from collections import Counter
from itertools import chain

import pytest
from pydantic import ValidationError
from tests.data.vcf_files import vcf_text, write_vcf

from helixlm.data import genome_files
from helixlm.data.corpus import rows as corpus_rows
from helixlm.data.corpus.base import open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.corpus.rows import VariantConfig
from helixlm.data.formats.vcf import VcfError, VcfFile
from helixlm.data.genome import Genome
from helixlm.data.genome_files import find_variant_files
from helixlm.data.haplotypes.base import HaplotypeConfig
from helixlm.data.sources import Source, SourceError
from helixlm.data.splits import SPLITS, SplitConfig
from helixlm.data.windows import (
    CodingWindows,
    DnabertWindows,
    FeatureWindows,
    FixedWindows,
    PieceWindows,
    RepeatFreeWindows,
    TinyDnabertWindows,
)
from helixlm.rng import CounterRng

LENGTH = 3000
SEED = 5
SAMPLES = ("S0", "S1", "S2", "S3")
SPLIT = SplitConfig(validation_contigs=("chr2",))
TURNED = str.maketrans("ACGTRYNacgtryn", "TGCAYRNtgcayrn")


def letters_of(name):
    """Long stretches of upper and of lower case; some other letters, and a gap."""
    bases = ["ACGT"[c] for c in CounterRng("genome", name).integers(0, 4, LENGTH).tolist()]
    for place in range(50, LENGTH, 170):
        bases[place] = "RY"[place % 2]
    bases[2000:2030] = "N" * 30
    text = "".join(bases)
    return text[:400] + text[400:700].lower() + text[700:]


GENOME = {name: letters_of(name) for name in ("chr1", "chr2", "chr3")}


def records_on(name):
    """SNVs, insertions, deletions and missing genotypes: (start, REF, ALT, genotypes)."""
    text, rng = GENOME[name].upper(), CounterRng("records", name)
    for place in range(15, LENGTH - 15, 19):
        kind = rng.integer(0, 7)
        ref = text[place : place + (6 if kind == 2 else 1)]
        if set(ref) <= set("ACGT"):
            other = "ACGT"[("ACGT".index(ref[0]) + 1) % 4]
            alt = [other, ref[0] + 3 * other, ref[0]][kind % 3 if kind < 3 else 0]
            calls = map(str, rng.integers(0, 2, 2 * len(SAMPLES)).tolist())
            missing = (rng.integers(0, 8, 2 * len(SAMPLES)) == 0).tolist()
            yield (
                place,
                ref,
                alt,
                ["." if no else c for c, no in zip(calls, missing, strict=True)],
            )


RECORDS = {name: list(records_on(name)) for name in ("chr1", "chr2")}


def bases_of(contig, sample, number, missing):
    """What stands in the place of each base of a contig, as text that may be empty."""
    bases = list(GENOME[contig])
    for place, ref, alt, calls in RECORDS[contig]:
        call = calls[2 * SAMPLES.index(sample) + number - 1]
        lower = bases[place].islower()
        if call == "1":
            if len(ref) == len(alt) == 1:
                bases[place] = alt.lower() if lower else alt
            elif len(alt) > 1:
                bases[place] += alt[1:].lower() if lower else alt[1:]
            else:
                bases[place + 1 : place + len(ref)] = [""] * (len(ref) - 1)
        elif call == "." and missing == "n":
            bases[place : place + len(ref)] = "N" * len(ref)
    return bases


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The genome, its genotypes and a BED file with both strands."""
    folder = tmp_path_factory.mktemp("files")
    fasta, bed = folder / "genome.fa", folder / "where.bed"
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in GENOME.items()))
    rows = [
        (
            contig,
            place + 1,
            ref,
            alt,
            ".",
            *map("|".join, zip(calls[::2], calls[1::2], strict=True)),
        )
        for contig, records in RECORDS.items()
        for place, ref, alt, calls in records
    ]
    vcf = write_vcf(
        folder / "people.vcf.gz", vcf_text(dict.fromkeys(RECORDS, LENGTH), [*SAMPLES], rows)
    )
    places = [(name, start) for name in GENOME for start in range(100, LENGTH - 200, 130)]
    lines = [
        f"{name}\t{start}\t{start + 40}\tx\t0\t{strand}\n"
        for name, start in places
        for strand in ("+-" if start % 3 else "-")
    ]
    bed.write_text("".join(lines))
    return Source(fasta=fasta, vcf=vcf, bed=bed)


def made(files, folder, windows, **variants):
    """Make a corpus; return its rows in their order, those of each split, and its manifest."""
    if not isinstance(windows, FeatureWindows):
        files = files.model_copy(update={"bed": None})
    manifest = prepare_corpus(
        [files],
        folder,
        windows=windows,
        split=SPLIT,
        seed=SEED,
        variants=VariantConfig(**variants),
    )
    corpus = open_corpus(folder)
    return [[*corpus.iter_windows(split)] for split in ("train", "validation")], manifest


def drawn(window, draws=1):
    """Individuals for a window, as the documentation of `random_haplotypes` has it."""
    left, found = list(SAMPLES), []
    for draw in range(draws):
        key = ("haplotype", SEED, window.contig, window.start, *([draw] if draw else []))
        found.append(left.pop(CounterRng(*key).integer(0, len(left))))
    return found


def expected(rows, windows, people, missing="reference"):
    """Windows of the reference with the haplotypes of people; and what is left out."""
    found, lost = [], 0
    for row in sorted(rows, key=lambda row: (row.contig, row.start, row.end)):
        if row.contig not in RECORDS:
            found.append(row)
            continue
        here = []
        for sample in people(row):
            for number in (1, 2):
                bases = bases_of(row.contig, sample, number, missing)
                text = "".join(bases[row.start : row.end])
                if getattr(windows, "iupac", "keep") == "n":
                    text = "".join(
                        c if c in "ACGTNacgtn" else "n" if c.islower() else "N" for c in text
                    )
                most = windows.max_n_fraction if getattr(windows, "n", "keep") == "drop" else 1
                if text and text.upper().count("N") <= most * len(text):
                    text = text.translate(TURNED)[::-1] if row.strand == "-" else text
                    here.append(row._replace(sequence=text, sample=sample, haplotype=number))
        found += here
        lost += 0 if here else row.end - row.start
    return found, lost


KINDS = {
    "tinydnabert": TinyDnabertWindows(),
    "fixed": FixedWindows(length_bp=90, n="keep"),
    "fixed, other letters as N": FixedWindows(length_bp=90, n="keep", iupac="n"),
    "fixed, N dropped": FixedWindows(length_bp=90, n="drop"),
    "fixed, N and other letters dropped": FixedWindows(length_bp=40, iupac="n"),
    "fixed, some N": FixedWindows(length_bp=90, step_bp=60, max_n_fraction=0.01, last="shift"),
    "fixed, split": FixedWindows(length_bp=90, n="split", iupac="split", last="keep"),
    "dnabert": DnabertWindows(),
    "dnabert, sampled": DnabertWindows(mode="sample", rate=4, iupac="n"),
    "pieces": PieceWindows(chunk_bp=120, overlap_bp=10),
    "pieces, N dropped": PieceWindows(chunk_bp=120, overlap_bp=10, n="drop", iupac="keep"),
    "features": FeatureWindows(of="bed", upstream_bp=30, downstream_bp=20),
    "features, N dropped": FeatureWindows(
        of="bed", upstream_bp=30, downstream_bp=20, around="interval", n="drop", iupac="n"
    ),
    "repeatfree": RepeatFreeWindows(length_bp=150),
}


@pytest.mark.parametrize("missing", ["reference", "n"])
@pytest.mark.parametrize("windows", KINDS.values(), ids=KINDS)
def test_every_kind_of_windows(files, tmp_path, monkeypatch, windows, missing):
    monkeypatch.setattr(corpus_rows, "DRAWN_AT_ONCE", 7)  # windows on both sides of a border
    reference, before = made(files, tmp_path / "none", windows, individuals="none")
    genotypes = HaplotypeConfig(missing=missing)
    found, manifest = made(files, tmp_path / "random", windows, genotypes=genotypes)
    lost = 0
    for rows, there in zip(found, reference, strict=True):
        wanted, num_lost = expected(there, windows, drawn, missing)
        assert sorted(rows) == sorted(wanted)
        assert [row.start for row in rows] == [row.start for row in wanted]
        lost += num_lost
    changed = {
        reason: bases - before.dropped_bases[reason]
        for reason, bases in manifest.dropped_bases.items()
        if bases != before.dropped_bases[reason]
    }
    assert changed == ({"n_content": lost} if lost else {})
    assert len({row.strand for row in found[0]}) == (2 if "features" in windows.kind else 1)


def test_windows_of_which_one_haplotype_is_left_out(files, tmp_path):
    """So the cases above hold windows of which none, one and both are left out."""
    windows = KINDS["features, N dropped"]
    reference, _ = made(files, tmp_path / "none", windows, individuals="none")
    found, _ = made(files, tmp_path / "n", windows, genotypes=HaplotypeConfig(missing="n"))
    places = Counter((*row[:3], row.strand) for row in found[0] if row.sample)
    there = {(*row[:3], row.strand) for row in reference[0] if row.contig in RECORDS}
    assert {places[place] for place in there} == {0, 1, 2}


def test_several_draws_and_all(files, tmp_path):
    windows = KINDS["features"]
    reference, _ = made(files, tmp_path / "none", windows, individuals="none")
    for draws in (1, 3, 4):
        found, _ = made(files, tmp_path / f"{draws}", windows, draws=draws)
        for rows, there in zip(found, reference, strict=True):
            wanted, _ = expected(there, windows, lambda row, draws=draws: drawn(row, draws))
            assert sorted(rows) == sorted(wanted)
            for contig, start, end, _, strand, *_ in there:
                place = (contig, start, end, strand)
                here = [row for row in rows if (*row[:3], row.strand) == place]
                assert here == [row for row in wanted if (*row[:3], row.strand) == place]
    found, _ = made(files, tmp_path / "all", windows, individuals="all")
    for rows, there in zip(found, reference, strict=True):
        assert sorted(rows) == sorted(expected(there, windows, lambda _: SAMPLES)[0])
    some, _ = made(files, tmp_path / "some", windows, individuals="all", samples=("S3", "S1"))
    wanted = [row for row in found[1] if row.sample in ("S1", "S3", None)]
    assert some[1] == wanted


def test_draws_need_people(files, tmp_path):
    message = r"people.vcf.gz: found 4 samples, expected 5 or more, .*--set variants.draws=4\)"
    with pytest.raises(VcfError, match=message):
        made(files, tmp_path / "a", KINDS["fixed"], draws=5)
    with pytest.raises(ValidationError, match="draws 2: expected individuals 'random' with it"):
        VariantConfig(individuals="all", draws=2)


def test_windows_that_are_deleted(tmp_path):
    """The second and the third window of one sample: deleted on one haplotype, and on both."""
    text = GENOME["chr1"][:400].replace("R", "A").replace("Y", "C")
    fasta = tmp_path / "genome.fa"
    fasta.write_text(f">c\n{text}\n>d\n{text[::-1]}\n")
    rows = [
        ("c", 91, text[90], "<DEL>", "END=310", "1|0"),
        ("c", 190, text[189], "<DEL>", "END=320", "0|1"),
    ]
    vcf = write_vcf(tmp_path / "a.vcf.gz", vcf_text({"c": 400}, ["S"], rows))
    manifest = prepare_corpus(
        [Source(fasta=fasta, vcf=vcf)],
        tmp_path / "corpus",
        windows=FixedWindows(length_bp=100),
        split=SplitConfig(validation_contigs=("d",)),
    )
    found = [row[1:7] for row in open_corpus(tmp_path / "corpus").iter_windows("train")]
    assert sorted(found, key=lambda row: (row[0], row[-1])) == [
        (0, 100, text[:91], "+", "S", 1),
        (0, 100, text[:100], "+", "S", 2),
        (100, 200, text[100:190], "+", "S", 2),
        (300, 400, text[310:], "+", "S", 1),
        (300, 400, text[320:], "+", "S", 2),
    ]
    assert {r: n for r, n in manifest.dropped_bases.items() if n} == {"deleted": 100}
    assert (
        sum(
            tally.dropped["deleted"]
            for tally in manifest.sources[0].tallies.values()
            if tally.dropped
        )
        == 100
    )


REARRANGED = [  # START (of what is after POS), END, ALT, genotype: of 2,000 bp in blocks of 250
    (300, 900, "<INV>", "1|0"),
    (400, 500, "<DEL>", "0|1"),  # so that some windows are lost on both
    (1010, 1030, "<DUP>", "0|1"),
    (1101, 1400, "<DUP:TANDEM>", "1|1"),
    (1610, 1650, "<CN3>", "0|1"),
    (1701, 1720, "<INV>", "1|1"),
    (1801, 1990, "<CN2>", "1|0"),
]


def rearranged(text, number):
    """For each base of a contig, the letters in its place and where each of them is from."""
    found = [[(letter, place)] for place, letter in enumerate(text)]
    for start, end, alt, genotype in REARRANGED:
        if genotype.split("|")[number - 1] == "0":
            continue
        if alt == "<DEL>":
            found[start:end] = [[] for _ in range(start, end)]
        elif alt == "<INV>":
            found[start:end] = [
                [(text[place].translate(TURNED), place)] for place in reversed(range(start, end))
            ]
        else:
            copy = [(text[place], place) for place in range(start, end)]
            found[start - 1] += copy * (2 if alt == "<CN3>" else 1)
    return found


def test_no_haplotype_has_letters_of_the_other_split(tmp_path):
    text = GENOME["chr3"][:2000].replace("R", "A").replace("Y", "C")
    fasta = tmp_path / "genome.fa"
    fasta.write_text(f">c\n{text}\n")
    rows = [
        ("c", start, text[start - 1], alt, f"END={end}", genotype)
        for start, end, alt, genotype in REARRANGED
    ]
    vcf = write_vcf(tmp_path / "a.vcf.gz", vcf_text({"c": 2000}, ["S"], rows))

    def corpus_of(individuals, seed):
        folder = tmp_path / f"{individuals}-{seed}"
        manifest = prepare_corpus(
            [Source(fasta=fasta, vcf=vcf)],
            folder,
            windows=FixedWindows(length_bp=50),
            split=SplitConfig(by="block", block_bp=250, validation_fraction=0.5),
            variants=VariantConfig(individuals=individuals),
            seed=seed,
        )
        corpus = open_corpus(folder)
        return {split: [*corpus.iter_windows(split)] for split in SPLITS}, manifest

    haplotypes = [rearranged(text, number) for number in (1, 2)]
    outcomes = set()
    for seed in range(3):
        reference, before = corpus_of("none", seed)
        found, after = corpus_of("all", seed)
        split_of = {
            place: split
            for split, windows in reference.items()
            for window in windows
            for place in range(window.start, window.end)
        }
        dropped = Counter(before.dropped_bases)
        for split, windows in reference.items():
            wanted = []
            for window in windows:
                outcome = set()
                for number, places in enumerate(haplotypes, start=1):
                    letters = list(chain(*places[window.start : window.end]))
                    if {split_of[place] for _, place in letters} - {split}:
                        dropped["other_split"] += 50
                        outcome.add("other split")
                    elif not letters:
                        outcome.add("deleted")
                    else:
                        row = "".join(letter for letter, _ in letters)
                        wanted.append(window._replace(sequence=row, sample="S", haplotype=number))
                        outcome.add("kept" if len(row) <= 50 else "kept, with copies")
                if outcome <= {"other split", "deleted"} and "deleted" in outcome:
                    dropped["deleted"] += 50
                outcomes.add((split, *sorted(outcome)))
            assert sorted(found[split]) == sorted(wanted)
        assert after.dropped_bases == dropped
    for split in SPLITS:
        assert {(split, "kept", "other split"), (split, "kept", "kept, with copies")} <= outcomes
    assert {(split, "deleted", "other split") for split in SPLITS} & outcomes


@pytest.mark.parametrize(
    ("windows", "found"),
    [(CodingWindows(), "the kind 'coding'"), (FixedWindows(length_bp=9, n="cap"), "n 'cap'")],
)
def test_windows_that_are_not_one_stretch_have_no_haplotypes(files, tmp_path, windows, found):
    gff = tmp_path / "genes.gff3"
    lines = [f"{name}\t.\tCDS\t31\t90\t.\t-\t0\tID={name}\n" for name in GENOME]
    gff.write_text("##gff-version 3\n" + "".join(lines))
    source = files.model_copy(update={"gff": gff})
    message = rf"people.vcf.gz: windows with .*{found}.* cannot have haplotypes, .*individuals=none"
    with pytest.raises(SourceError, match=message):
        made(source, tmp_path / "a", windows)
    with pytest.raises(SourceError, match=message):
        made(source.model_copy(update={"windows": windows}), tmp_path / "a", KINDS["fixed"])
    rows, _ = made(source, tmp_path / "b", windows, individuals="none")
    assert {row.sample for row in rows[0]} == {None}


def test_people_are_looked_for_before_genomes_are_read(files, tmp_path, monkeypatch):
    monkeypatch.setattr(Genome, "from_fasta", None)
    with pytest.raises(VcfError, match=r"people.vcf.gz: no sample 'S9': found 'S0', 'S1', 'S2'"):
        made(files, tmp_path / "a", KINDS["fixed"], samples=("S1", "S9"))
    sites = write_vcf(tmp_path / "sites.vcf.gz", vcf_text({"chr1": LENGTH}, [], []))
    source = files.model_copy(update={"vcf": (sites,)})
    with pytest.raises(VcfError, match=r"sites.vcf.gz: has no samples, expected genotypes"):
        made(source, tmp_path / "b", KINDS["fixed"])


def test_an_older_index_is_used_and_told(files, tmp_path, monkeypatch, caplog):
    found = {}
    for when in (2 * 10**9, 10**9):
        os.utime(f"{files.vcf[0]}.csi", (when, when))
        caplog.clear()
        found[when], _ = made(files, tmp_path / f"{when}", KINDS["pieces"])
        told = [text for text in caplog.messages if "people.vcf.gz.csi: is older than" in text]
        assert len(told) == (when == 10**9)
        assert "read anew" not in caplog.text
    assert found[10**9] == found[2 * 10**9]


def test_a_file_is_opened_once_to_look_for_contigs(files, tmp_path, monkeypatch):
    opened = []

    class Watched(VcfFile):
        def __init__(self, path, **settings):
            opened.append(path)
            super().__init__(path, **settings)

        def records_from(self, contig, start):
            opened.append(contig)
            return super().records_from(contig, start)

    monkeypatch.setattr(genome_files, "VcfFile", Watched)
    with Genome.from_fasta(files.fasta, tmp_path / "genome") as genome:
        assert find_variant_files(files, genome) == dict.fromkeys(RECORDS, files.vcf[0])
    assert opened == [files.vcf[0], "chr1", "chr2"]
