"""Variants of the individuals, by pysam, by bcftools, and by slow application of the VCF."""

import hashlib
import itertools
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pysam
import pysam.bcftools
import pytest

from helixlm.data.simulate import SelectionConfig, simulate, small_config
from helixlm.data.simulate.vcf import format_selection, sample_names

NUM_SAMPLES = 4


@pytest.fixture(scope="module")
def records(world):
    return read_records(world)


def read_records(world):
    rows = []
    with pysam.VariantFile(str(world.vcf)) as vcf:
        samples = list(vcf.header.samples)
        for record in vcf:
            genotypes = [record.samples[name] for name in samples]
            assert all(genotype.phased for genotype in genotypes)
            rows.append(
                SimpleNamespace(
                    contig=record.contig,
                    start=record.start,
                    stop=record.stop,
                    ref=record.ref,
                    alts=record.alts,
                    info=dict(record.info),
                    alleles=[allele for g in genotypes for allele in g["GT"]],
                    name=record.id,
                )
            )
    return rows


def sv_type(record):
    return record.info.get("SVTYPE")


def test_header_and_order(world, records, truth):
    with pysam.VariantFile(str(world.vcf)) as vcf:
        assert vcf.header.version == "VCFv4.2"
        contigs = {name: vcf.header.contigs[name].length for name in vcf.header.contigs}
        assert list(vcf.header.samples) == sample_names("alba", NUM_SAMPLES)
    assert contigs == {name: len(text) for name, text in truth.genome.items()}
    order = list(contigs)
    keys = [(order.index(r.contig), r.start) for r in records]
    assert keys == sorted(keys)
    assert [r.name for r in records] == [f"v{i + 1:06d}" for i in range(len(records))]


def test_ref_is_the_reference(records, truth):
    for r in records:
        text = truth.upper[r.contig]
        assert text[r.start : r.start + len(r.ref)] == r.ref
        assert "N" not in text[r.start : r.stop]


def test_counts_agree_with_the_genotypes(records):
    for r in records:
        counts = Counter(r.alleles)
        assert r.info["AN"] == len(r.alleles) == 2 * NUM_SAMPLES
        assert r.info["AC"] == tuple(counts[k + 1] for k in range(len(r.alts)))
        assert min(r.info["AC"]) > 0
        assert counts[0] > 0
        assert set(counts) <= set(range(len(r.alts) + 1))


def test_snvs_have_the_effects_of_the_table(world, records):
    snvs = [r for r in records if not sv_type(r) and len(r.ref) == len(r.alts[0]) == 1]
    assert len(snvs) > 300
    assert len(snvs) == world.manifest.counts["variants_SNV"]
    for r in snvs:
        for alt, effect, s in zip(r.alts, r.info["EFFECT"], r.info["S"], strict=True):
            truth = world.variant_effect(r.contig, r.start, alt)
            assert effect == truth.effect
            assert s == pytest.approx(truth.selection, abs=1e-7)


def test_indels_and_structural_variants_are_judged_by_what_they_touch(tmp_path, readers):
    """Again from the files: frames from GFF3, and the largest cost of a change of each base.

    Many variants, in a population so small that selection keeps few of them out.
    """
    changes = {
        "diversity": 0.02,
        "indel_share": 0.5,
        "structural_variants": 10,
        "selection": SelectionConfig(effective_population=10),
    }
    world = simulate(tmp_path / "world", small_config(seed=2).model_copy(update=changes))
    records = read_records(world)
    lengths = world.manifest.contigs[world.focal]
    coding = {name: np.zeros(length, dtype=bool) for name, length in lengths.items()}
    once = {name: np.zeros(length) for name, length in lengths.items()}  # cost of what a gene needs
    for gene in readers.genes(world.gff3()).values():
        places = [at for start, end in gene.parts["CDS"] for at in range(start, end)]
        coding[gene.contig][places] = True
        places.sort(reverse=gene.strand == "-")
        once[gene.contig][places[:3]] = 0.02
        once[gene.contig][places[-3:]] = 0.01
        exons = sorted(gene.parts["exon"])
        for (_, end), (start, _) in itertools.pairwise(exons):
            once[gene.contig][[end, end + 1, start - 2, start - 1]] = 0.02
    seen = Counter()
    for r in records:
        if not sv_type(r) and len(r.ref) == len(r.alts[0]) == 1:
            continue
        effect, s = r.info["EFFECT"][0], r.info["S"][0]
        change = len(r.alts[0]) - len(r.ref)
        insertion = sv_type(r) == "INS" or (not sv_type(r) and change > 0)
        if insertion:
            touched = slice(r.start, r.start + 2)  # the bases on either side
        elif sv_type(r) == "DUP":
            touched = slice(r.start + 1, r.start + 1 + abs(r.info["SVLEN"][0]))
        else:
            first = r.start if sv_type(r) == "INV" and r.alts[0][0] != "<" else r.start + 1
            touched = slice(first, r.stop)
        frame = coding[r.contig][touched]
        cost = -world.effects(r.contig)["selection"][touched].min(axis=1) / 1e6
        if sv_type(r):
            expected = 0.02 if frame.any() else cost.max()
            assert effect == (
                "structural_coding"
                if frame.any()
                else "structural_regulatory"
                if expected >= 0.0005
                else "structural_neutral"
            )
        elif frame.all() or (change < 0 and frame.any()):
            shifts = (change if insertion else frame.sum()) % 3
            needed = once[r.contig][touched]
            needed = needed.min() if insertion else needed.max()
            expected = max(0.02 if shifts else 0.005, needed)
            if needed > 0.005 and not shifts:
                assert effect in ("start_lost", "stop_lost", "splice_donor", "splice_acceptor")
                seen["inframe, with what a gene needs"] += 1
            else:
                assert effect == ("frameshift" if shifts else "inframe_indel")
            seen["over an edge"] += not frame.all()
        else:
            expected = cost.min() if insertion else cost.max()
            assert effect not in ("frameshift", "inframe_indel")
        assert s == pytest.approx(-expected, abs=1e-7)
        seen[effect] += 1
    kinds = ("intergenic", "frameshift", "inframe_indel", "motif", "structural_coding")
    assert all(seen[kind] > 3 for kind in kinds), seen
    assert seen["inframe, with what a gene needs"]
    assert seen["over an edge"]


def test_end_is_the_last_base_of_the_event(world):
    """From the text: htslib trusts SVLEN more than END."""
    found = 0
    for line in world.vcf.read_text().splitlines():
        if "SVTYPE=" not in line:
            continue
        _, position, _, ref, alt, _, _, info, *_ = line.split("\t")
        info = dict(pair.split("=") for pair in info.split(";"))
        size = abs(int(info["SVLEN"]))
        assert int(info["END"]) == int(position) + (size if alt[0] == "<" else len(ref) - 1)
        found += 1
    assert found == 16


def test_every_kind_is_there_in_both_spellings(world, records):
    spelling = Counter((sv_type(r), r.alts[0][0] == "<") for r in records if sv_type(r))
    for kind in ("DEL", "DUP", "INV"):
        assert spelling[kind, False] + spelling[kind, True] == 4
    assert {symbolic for _, symbolic in spelling} == {False, True}
    assert spelling["INS", False] == 4
    assert world.manifest.counts["variants_INDEL"] > 20


def test_structural_records_say_what_they_do(records, truth, readers):
    for r in filter(sv_type, records):
        (size,) = r.info["SVLEN"] if isinstance(r.info["SVLEN"], tuple) else (r.info["SVLEN"],)
        kind, alt = sv_type(r), r.alts[0]
        assert 50 <= abs(size) <= 400
        assert (size < 0) == (kind == "DEL")
        event = truth.upper[r.contig][r.start + 1 : r.stop]
        if alt[0] == "<":
            assert alt == f"<{kind}>"
            assert len(r.ref) == 1
            assert len(event) == abs(size)
        elif kind == "DEL":
            assert (len(r.ref), alt) == (1 - size, r.ref[0])
        elif kind == "INS":
            assert len(alt) == size + 1
            assert alt[0] == r.ref
        elif kind == "DUP":
            segment = truth.upper[r.contig][r.start + 1 : r.start + 1 + size]
            assert alt == r.ref + segment
        else:
            assert alt == readers.turn(r.ref)
            assert len(r.ref) == size


def test_structural_variants_avoid_each_other(records):
    spans = sorted((r.contig, r.start, r.stop) for r in records if sv_type(r))
    for (contig, _, stop), (other, start, _) in itertools.pairwise(spans):
        assert contig != other or stop < start


def apply(records, haplotype, contig, sequence, turn):
    """The haplotype by the letter of the VCF; records of a haplotype must not meet."""
    pieces, place = [], 0
    for r in records:
        allele = r.alleles[haplotype]
        if r.contig != contig or not allele:
            continue
        assert r.start > place or place == 0
        first, event = sequence[r.start], sequence[r.start + 1 : r.stop]
        alt = r.alts[allele - 1]
        symbolic = {"<DEL>": first, "<DUP>": first + event * 2, "<INV>": first + turn(event)}
        pieces += [sequence[place : r.start], symbolic.get(alt, alt)]
        place = r.stop
    return "".join([*pieces, sequence[place:]])


def test_haplotypes_have_the_published_hashes(world, records, truth, readers):
    header, *lines = (world.path / "haplotypes.tsv").read_text().splitlines()
    assert header == "sample\thaplotype\tcontig\tlength\tsha256"
    assert len(lines) == 2 * NUM_SAMPLES * 3
    samples = sample_names("alba", NUM_SAMPLES)
    hashes = set()
    for line in lines:
        sample, number, contig, length, digest = line.split("\t")
        haplotype = 2 * samples.index(sample) + int(number) - 1
        text = apply(records, haplotype, contig, truth.upper[contig], readers.turn)
        assert len(text) == int(length)
        assert hashlib.sha256(text.encode()).hexdigest() == digest
        hashes.add(digest)
    assert len(hashes) == len(lines)


@pytest.fixture(scope="module")
def compressed(world, tmp_path_factory):
    """A bgzipped and indexed copy without duplications and inversions."""
    folder = tmp_path_factory.mktemp("vcf")
    with pysam.VariantFile(str(world.vcf)) as vcf:
        path = folder / "some.vcf.gz"
        with pysam.VariantFile(str(path), "w", header=vcf.header) as out:
            for record in vcf:
                if record.alts[0] not in ("<DUP>", "<INV>"):
                    out.write(record)
    pysam.tabix_index(str(path), preset="vcf")
    return path


def test_bcftools_makes_the_same_haplotypes(world, records, compressed, truth, readers):
    """SNVs, indels, deletions (both spellings), insertions, written-out duplications."""
    chosen = [r for r in records if r.alts[0] not in ("<DUP>", "<INV>")]
    fasta = compressed.with_name("upper.fa")
    fasta.write_text("".join(f">{name}\n{text}\n" for name, text in truth.upper.items()))
    for sample, number in (("alba_01", 1), ("alba_03", 2)):
        haplotype = 2 * (int(sample[-2:]) - 1) + number - 1
        text = pysam.bcftools.consensus(
            "-f", str(fasta), "-s", sample, "-H", str(number), str(compressed)
        )
        theirs = {part.split("\n")[0]: part.partition("\n")[2] for part in text.split(">")[1:]}
        for contig, sequence in truth.upper.items():
            ours = apply(chosen, haplotype, contig, sequence, readers.turn)
            assert theirs[contig].replace("\n", "") == ours


def test_bcftools_finds_nothing_to_normalise(world, compressed):
    """REF agrees with the FASTA (-c e stops otherwise), and every indel is left-aligned."""
    text = pysam.bcftools.norm("-c", "e", "-f", str(world.fasta()), str(compressed))

    def places(lines):
        return [line.split("\t")[:5] for line in lines if not line.startswith("#")]

    kept = pysam.bcftools.view(str(compressed))
    assert places(text.splitlines()) == places(kept.splitlines())


def test_deleterious_variants_are_rarer(tmp_path):
    """In a world with many individuals: fewer of them, and at lower frequencies."""
    config = small_config(seed=1).model_copy(update={"individuals": 20, "diversity": 0.012})
    world = simulate(tmp_path / "world", config)
    seen = {"neutral": [], "weak": [], "strong": []}
    with pysam.VariantFile(str(world.vcf)) as vcf:
        for record in vcf:
            if "SVTYPE" in record.info or len(record.ref) > 1 or len(record.alts[0]) > 1:
                continue
            s = record.info["S"][0]
            group = "neutral" if s == 0 else "weak" if s > -0.001 else "strong"
            seen[group].append(record.info["AC"][0])
    possible = {"neutral": 0, "weak": 0, "strong": 0}
    for contig in world.manifest.contigs[world.focal]:
        table = world.effects(contig)
        s = table["selection"][table["effect"] > 0]
        possible["neutral"] += int((s == 0).sum())
        possible["weak"] += int(((s < 0) & (s > -1000)).sum())
        possible["strong"] += int((s <= -1000).sum())
    density = {name: len(seen[name]) / possible[name] for name in seen}
    assert density["neutral"] > density["weak"] > 1.5 * density["strong"]
    assert np.mean(seen["neutral"]) > np.mean(seen["weak"]) > np.mean(seen["strong"])


def test_neighbours_are_in_linkage_disequilibrium(records):
    """Two variants near each other share their carriers more often than distant ones do."""
    pairs = [r for r in records if r.contig == "chr1" and r.info["AC"] == (2,)]
    sets = [(r.start, frozenset(np.flatnonzero(r.alleles).tolist())) for r in pairs]
    near, far = [], []
    for i, (start, carriers) in enumerate(sets):
        for place, others in sets[i + 1 :]:
            (near if start // 10_000 == place // 10_000 else far).append(carriers == others)
    assert np.mean(near) > 1.5 * np.mean(far)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-1500, "-0.0015"), (-20_000, "-0.02"), (-7, "-0.000007"), (-1_000_000, "-1")],
)
def test_selection_is_written_as_a_plain_decimal(value, text):
    assert format_selection(value) == text
    assert float(text) == value / 1e6
