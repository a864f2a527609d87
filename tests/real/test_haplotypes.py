"""Real phased genotypes: haplotypes against bcftools, and structural variants accounted for."""

import gzip
from collections import Counter

import numpy as np
import pysam
import pysam.bcftools
import pytest

from helixlm.data.formats.fasta import iter_chunks
from helixlm.data.formats.vcf import VcfFile
from helixlm.data.haplotypes.alleles import KINDS, SKIP_REASONS, check_reference, read_allele
from helixlm.data.haplotypes.base import HaplotypeConfig, apply_alleles
from helixlm.data.haplotypes.cohort import cohort_haplotypes, random_haplotypes
from helixlm.rng import CounterRng
from helixlm.seq.interval import Interval

CHR22 = "1000G_GRCh38_chr22_16.6-16.8M.vcf.gz"
CHR22_FASTA = "GRCh38_chr22_16.6-16.8M.padded.fa.gz"
TWO = "1000G_GRCh38_chr21_chr22_16.57-16.61M.vcf.gz"
TWO_FASTA = "GRCh38_chr21_chr22_16.57-16.61M.softmasked.padded.fa.gz"
SYMBOLIC = "1000G_HG02102_GRCh37_chr21_symbolic_SVs.vcf.gz"
SITES = "1000G_sites_GRCh37_chr20_1-2M.vcf.gz"
SITES_FASTA = "GRCh37_chr20_1-2M.fa.gz"
CHR21_BP = 48_129_895  # GRCh37


class Genome:
    """Contigs in memory."""

    def __init__(self, arrays):
        self.arrays = arrays
        self.contigs = {name: len(array) for name, array in arrays.items()}

    @classmethod
    def read(cls, path):
        texts = {}
        for chunk in iter_chunks(path):
            texts[chunk.contig] = texts.get(chunk.contig, "") + chunk.sequence
        return cls({k: np.frombuffer(v.encode(), dtype=np.uint8) for k, v in texts.items()})

    def letters(self, contig):
        return self.arrays[contig]


def rows(path):
    """The columns of each record, with nothing but gzip and split."""
    with gzip.open(path, "rt") as lines:
        for line in lines:
            if not line.startswith("#"):
                yield line.rstrip("\n").split("\t")


def region_fasta(genome, window, folder):
    """A FASTA file of one region, named so that bcftools knows where it lies."""
    text = genome.letters(window.contig)[window.start : window.end].tobytes().decode()
    path = folder / "region.fa"
    path.write_text(f">{window.contig}:{window.start + 1}-{window.end}\n{text}\n")
    return path


def consensus(fasta, vcf, sample, number):
    text = pysam.bcftools.consensus("-f", str(fasta), "-H", str(number), "-s", sample, str(vcf))
    return text.partition("\n")[2].replace("\n", "")


def compare(genome, vcf, window, folder, samples, change=str):
    fasta = region_fasta(genome, window, folder)
    people = cohort_haplotypes(vcf, genome, [window], samples=samples)
    num_changed, counts = 0, Counter()
    reference = genome.letters(window.contig)[window.start : window.end].tobytes().decode()
    for person in people:
        for number, haplotype in enumerate(person.haplotypes, start=1):
            expected = consensus(fasta, vcf, person.sample, number)
            assert change(haplotype.sequence) == change(expected)
            num_changed += haplotype.sequence != reference
            counts += Counter(haplotype.applied) + Counter(haplotype.skipped)
            check_map(haplotype, genome.letters(window.contig))
    assert num_changed == 2 * len(samples)
    return counts


def check_map(haplotype, letters):
    """Each letter lies on the same one of the reference, but for SNVs and MNVs."""
    places = haplotype.map.to_reference(np.arange(len(haplotype.letters)))
    kept = places >= 0
    back = haplotype.map.to_haplotype(places[kept])
    assert (back == np.flatnonzero(kept)).all()
    differ = np.count_nonzero(haplotype.letters[kept] != letters[places[kept]])
    assert differ == haplotype.applied.get("SNV", 0)
    assert set(haplotype.applied) <= {"SNV", "INS", "DEL"}


@pytest.fixture(scope="module")
def chr22(data):
    return Genome.read(data / "haplotypes" / CHR22_FASTA)


def test_20_random_samples_have_the_haplotypes_of_bcftools(data, chr22, tmp_path):
    vcf = data / "haplotypes" / CHR22
    with VcfFile(vcf) as file:
        everyone = file.samples
    drawn = CounterRng("20 samples").permutation(len(everyone))[:20]
    window = Interval("chr22", 16_600_000, chr22.contigs["chr22"])
    counts = compare(chr22, vcf, window, tmp_path, [everyone[i] for i in drawn])
    assert counts["INS"] > 100
    assert counts["DEL"] > 100


def test_people_whose_alleles_overlap_have_the_haplotypes_of_bcftools(data, chr22, tmp_path):
    vcf = data / "haplotypes" / CHR22
    window = Interval("chr22", 16_600_000, chr22.contigs["chr22"])
    overlapping = Counter()
    for person in cohort_haplotypes(vcf, chr22, [window]):
        overlapping[person.sample] = sum(h.skipped.get("overlap", 0) for h in person.haplotypes)
    people = [sample for sample, count in overlapping.most_common(8) if count]
    print(overlapping.total(), "overlaps;", overlapping.most_common(8))
    assert len(people) == 8
    counts = compare(chr22, vcf, window, tmp_path, people)
    assert counts["overlap"] == sum(overlapping[sample] for sample in people)


@pytest.mark.parametrize("contig", ["chr21", "chr22"])
def test_soft_masked_haplotypes_are_those_of_bcftools(data, tmp_path, contig):
    folder = data / "haplotypes"
    genome = Genome.read(folder / TWO_FASTA)
    with VcfFile(folder / TWO) as file:
        samples = file.samples[:: len(file.samples) // 5][:5]
    known = np.flatnonzero(genome.letters(contig) != ord("N"))
    window = Interval(contig, int(known[0]), int(known[-1]) + 1)
    vcf = tmp_path / "a.vcf.gz"
    vcf.write_bytes((folder / TWO).read_bytes())
    pysam.bcftools.index(str(vcf))
    compare(genome, vcf, window, tmp_path, samples)


def test_every_record_with_structural_variants_is_applied_or_counted(data):
    path = data / "haplotypes" / SYMBOLIC
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[
        CounterRng("chr21").integers(0, 4, CHR21_BP)
    ].copy()
    expected = [Counter(), Counter()]
    for _, position, _, ref, alt, *_, info, genotype in rows(path):
        start = int(position) - 1
        letters[start : start + len(ref)] = np.frombuffer(ref.encode(), dtype=np.uint8)
        alts = [None, *alt.split(",")]
        assert info == "GT" or info.startswith("GT:")
        for number, allele in enumerate(genotype.partition(":")[0].split("|")):
            if allele != "0":
                expected[number][alts[int(allele)].partition(":")[0].strip("<>")] += 1
    windows = [Interval("21", a, min(a + 10**6, CHR21_BP)) for a in range(0, CHR21_BP, 10**6)]
    applied, skipped = [Counter(), Counter()], [Counter(), Counter()]
    lengths = [0, 0]
    for person in cohort_haplotypes(path, Genome({"chr21": letters}), windows):
        for number, haplotype in enumerate(person.haplotypes):
            applied[number].update(haplotype.applied)
            skipped[number].update(haplotype.skipped)
            lengths[number] += len(haplotype.letters)
    for number in (0, 1):
        print(number, dict(applied[number]), dict(skipped[number]), lengths[number] - CHR21_BP)
        assert applied[number].total() + skipped[number].total() == expected[number].total()
        assert skipped[number]["no_sequence"] <= expected[number]["INS"]
        assert set(skipped[number]) <= {"no_sequence", "overlap"}
        assert applied[number]["CNV"] <= expected[number]["CN0"] + expected[number]["CN2"]
        assert applied[number]["INV"] <= expected[number]["INV"]
    assert (applied[0] + applied[1])["INV"] > 0
    assert (applied[0] + applied[1])["CNV"] > 0


def test_every_site_without_genotypes_is_applied_or_counted(data):
    """Ends of symbolic alleles are those of the whole chromosome, so they lie past the contig."""
    path = data / "haplotypes" / SITES
    genome = Genome.read(data / "haplotypes" / SITES_FASTA)
    (letters,) = genome.arrays.values()
    kinds, alleles = Counter(), []
    with VcfFile(path) as file:
        for record in file.records():
            assert check_reference(record, letters) is None
            for number in range(1, len(record.alts) + 1):
                found = read_allele(record, number, letters)
                kinds[found if isinstance(found, str) else found.kind] += 1
                if number == 1 and not isinstance(found, str):
                    alleles.append(found)
    symbols = [alt for *_, alt, _, _, _ in rows(path) for alt in alt.split(",") if alt[0] == "<"]
    print(dict(kinds))
    assert kinds.total() == sum(len(row[4].split(",")) for row in rows(path))
    assert kinds["past_end"] + kinds["no_sequence"] == len(symbols) == 24
    assert set(kinds) <= {*KINDS, *SKIP_REASONS}
    haplotype = apply_alleles(letters, 0, alleles)
    counts = Counter(haplotype.applied) + Counter(haplotype.skipped)
    assert counts.total() == len(alleles)


def test_dnagrinders_recipe_takes_many_people_and_both_of_their_haplotypes(data, chr22):
    starts = range(16_600_000, 16_788_000, 12_000)
    windows = [Interval("22", start, start + 12_000) for start in starts]
    people = list(random_haplotypes(data / "haplotypes" / CHR22, chr22, windows, seed=0))
    assert [person.window for person in people] == windows
    assert len({person.sample for person in people}) > 12
    assert all(len(person.haplotypes) == 2 for person in people)
    config = HaplotypeConfig(missing="n")
    again = random_haplotypes(
        data / "haplotypes" / CHR22, chr22, windows[3:4], seed=0, config=config
    )
    assert [h.sequence for h in next(again).haplotypes] == [
        h.sequence for h in people[3].haplotypes
    ]
