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
COMPLEMENT = str.maketrans("ACGT", "TGCA")


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


def kind_of(ref, alt):
    """What an allele that is spelled out is: an INS or a DEL differs by one stretch alone."""
    if len(ref) == len(alt):
        return "SNV" if sum(x != y for x, y in zip(ref, alt, strict=True)) == 1 else "MNV"
    short, long = sorted((ref, alt), key=len)
    gap = len(long) - len(short)
    if not any(long[:i] + long[i + gap :] == short for i in range(len(short) + 1)):
        return "DELINS"
    return "INS" if long == alt else "DEL"


def plain_haplotype(text, records, number):
    """Join a haplotype from pieces of text; return it, and what was applied and what was not."""
    pieces, done, counts = [], 0, Counter()
    end, inserted = 0, False  # of the last allele that was applied
    for start, stop, ref, alts, genotype in records:
        if not genotype[number]:
            continue
        alt = alts[genotype[number] - 1]
        symbol = alt.strip("<>").partition(":")[0]
        kind = {"CN0": "CNV", "CN2": "CNV"}.get(symbol, symbol)
        behind, after = text[start + 1 : stop], start + 1
        if symbol == "INS":
            counts["no_sequence"] += 1
            continue
        if symbol in ("CN0", "DEL"):
            new, after = "", stop
        elif symbol in ("CN2", "DUP"):
            new = behind
        elif symbol == "INV":
            new, after = behind.translate(COMPLEMENT)[::-1], stop
        else:
            assert set(alt) <= set("ACGT"), alt
            kind, new, after = kind_of(ref, alt), alt[1:], stop
        anchored = kind not in ("SNV", "MNV", "DELINS") and (symbol != alt or ref[0] == alt[0])
        if start < end and not (anchored and start + 1 == end and not inserted):
            counts["overlap"] += 1
            continue
        counts[kind] += 1
        pieces += [text[done : start + 1], new] if anchored else [text[done:start], alt]
        done = end = after
        inserted = len(new) > after - start - 1
    return "".join([*pieces, text[done:]]), counts


def chr21_of(path):
    """Records of the file, and letters drawn at random that fit their REF."""
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[
        CounterRng("chr21").integers(0, 4, CHR21_BP)
    ].copy()
    records = []
    with pysam.VariantFile(str(path)) as file:
        for record in file:
            letters[record.start : record.start + len(record.ref)] = list(record.ref.encode())
            genotype = record.samples[0]
            assert genotype.phased
            records.append((record.start, record.stop, record.ref, record.alts, genotype["GT"]))
    return letters, records


def check_both_haplotypes(path, letters, records):
    """Compare both haplotypes, letter by letter and count by count, with those of plain text."""
    windows = [Interval("21", a, min(a + 10**6, CHR21_BP)) for a in range(0, CHR21_BP, 10**6)]
    people = list(cohort_haplotypes(path, Genome({"chr21": letters}), windows))
    text = letters.tobytes().decode()
    total = Counter()
    for number in (0, 1):
        found = [person.haplotypes[number] for person in people]
        counts = Counter()
        for haplotype in found:
            counts.update(haplotype.applied)
            counts.update(haplotype.skipped)
        expected, expected_counts = plain_haplotype(text, records, number)
        print(number, dict(counts), len(expected) - CHR21_BP)
        assert counts == expected_counts
        assert "".join(haplotype.sequence for haplotype in found) == expected
        total += counts
    return total


def test_a_genome_with_structural_variants_has_the_letters_of_plain_text(data):
    path = data / "haplotypes" / SYMBOLIC
    counts = check_both_haplotypes(path, *chr21_of(path))
    assert (counts["INV"], counts["CNV"], counts["no_sequence"]) == (4, 19, 24)


def test_its_structural_variants_alone_as_later_panels_name_them(data, tmp_path):
    """<DEL> for <CN0> and <DUP> for <CN2>, without what overlaps them."""
    path = data / "haplotypes" / SYMBOLIC
    with gzip.open(path, "rt") as lines:
        kept = [line for line in lines if line[0] == "#" or "<" in line.split("\t")[4]]
    named = "".join(kept).replace("<CN0>", "<DEL>").replace("<CN2>", "<DUP>")
    vcf = tmp_path / "named.vcf"
    vcf.write_text(named)
    letters, records = chr21_of(vcf)
    counts = check_both_haplotypes(vcf, letters, records)
    carried = Counter(
        alts[allele - 1].strip("<>").partition(":")[0]
        for *_, alts, genotype in records
        for allele in genotype
        if allele
    )
    carried["no_sequence"] = carried.pop("INS")
    assert counts == carried
    assert set(counts) == {"DEL", "DUP", "INV", "no_sequence"}


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
