"""Genomes and annotations of every species, read by pysam and by the slow readers of conftest."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from helixlm.data.simulate import small_config

STANDARD = "FFLLSSSSYY**CC*WLLLLPPPPHHQQRRRRIIIMTTTTNNKKSSRRVVVVAAAADDEEGGGG"
CODE = dict(zip(("".join(c) for c in itertools.product("TCAG", repeat=3)), STANDARD, strict=True))
SPECIES = small_config().species
MOTIFS = ("SP1", "NRF1", "ETS", "NFY", "YY1", "CREB", "AP1", "GATA", "EBOX", "HSF")


@pytest.fixture(params=SPECIES)
def species(request, world, readers):
    """Sequence, genes and BED rows of one species."""
    name = request.param
    folder = world.path / "annotation" / name
    beds = {path.stem: readers.bed(path) for path in folder.glob("*.bed")}
    return name, readers.genome(world.fasta(name)), readers.genes(world.gff3(name)), beds


def spliced(gene, kind, sequence, turn):
    """The pieces of a kind of a gene, joined in the direction of transcription."""
    text = "".join(sequence[start:end] for start, end in sorted(gene.parts[kind])).upper()
    return text if gene.strand == "+" else turn(text)


def introns(gene):
    exons = sorted(gene.parts["exon"])
    return [(left[1], right[0]) for left, right in itertools.pairwise(exons)]


def oriented(row, sequence, turn):
    text = sequence[row.start : row.end].upper()
    return text if row.strand == "+" else turn(text)


def first_base(gene):
    (start, end), *_ = gene.parts["gene"]
    return start if gene.strand == "+" else end - 1


def test_lengths_are_those_of_the_manifest(world, species):
    name, genome, _, _ = species
    assert {c: len(s) for c, s in genome.items()} == world.manifest.contigs[name]
    header = world.gff3(name).read_text().splitlines()[: len(genome) + 1]
    expected = [f"##sequence-region {c} 1 {len(s)}" for c, s in genome.items()]
    assert header == ["##gff-version 3", *expected]


def test_fasta_lines_are_60_bases_of_known_letters(world, species):
    name, genome, _, _ = species
    text = world.fasta(name).read_bytes().decode("ascii")
    assert "\r" not in text
    assert text.endswith("\n")
    lines = [line for line in text.splitlines() if line[0] != ">"]
    assert max(map(len, lines)) == 60
    assert set("".join(genome.values())) == set("ACGTNacgt")


def test_lower_case_is_exactly_the_repeats(species):
    _, genome, _, beds = species
    for contig, sequence in genome.items():
        masked = np.zeros(len(sequence), dtype=bool)
        for row in beds["repeats"]:
            if row.contig == contig:
                assert not masked[row.start : row.end].any()  # repeats do not overlap
                masked[row.start : row.end] = True
        assert masked.tolist() == [letter.islower() for letter in sequence]


def test_n_is_exactly_the_gaps(species):
    _, genome, _, beds = species
    for contig, sequence in genome.items():
        gaps = [row for row in beds["gaps"] if row.contig == contig]
        assert gaps[0].start == 0  # telomeres
        assert gaps[-1].end == len(sequence)
        assert len(gaps) == 3
        assert sum(row.end - row.start for row in gaps) == sequence.count("N")
        assert all(set(sequence[row.start : row.end]) == {"N"} for row in gaps)


def test_no_feature_touches_a_gap(species):
    _, genome, genes, beds = species
    pieces = [(g.contig, *piece) for g in genes.values() for piece in g.parts["gene"]]
    for name, rows in beds.items():
        if name not in ("gaps", "gc_regions"):
            pieces += [(row.contig, row.start, row.end) for row in rows]
    assert all("N" not in genome[contig][start:end] for contig, start, end in pieces)


def test_gc_regions_tile_the_contigs_and_have_their_gc(species):
    _, genome, genes, beds = species
    share = {}
    for contig, sequence in genome.items():
        rows = [row for row in beds["gc_regions"] if row.contig == contig]
        ends = [0, *[row.end for row in rows]]
        assert [row.start for row in rows] == ends[:-1]
        assert ends[-1] == len(sequence)
        free = np.array([letter in "ACGT" for letter in sequence])  # no repeat, no gap
        for gene in genes.values():
            if gene.contig == contig:
                (start, end), *_ = gene.parts["gene"]
                free[start:end] = False
        for row in rows:
            assert row.name == f"gc{row.score}"
            letters = [sequence[i] for i in range(row.start, row.end) if free[i]]
            share.setdefault(row.score, []).extend(letter in "GC" for letter in letters)
    means = [np.mean(share[level]) for level in sorted(share)]
    assert means == sorted(means)
    # The decay of CpG takes a few per cent of the G and C away.
    assert all(
        -0.09 < m - level / 1000 < 0.04 for m, level in zip(means, sorted(share), strict=True)
    )


def test_coding_sequences_are_translated_without_a_stop(species, readers):
    _, genome, genes, _ = species
    assert {gene.strand for gene in genes.values()} == {"+", "-"}
    for gene in genes.values():
        coding = spliced(gene, "CDS", genome[gene.contig], readers.turn)
        assert len(coding) % 3 == 0
        protein = "".join(CODE[coding[i : i + 3]] for i in range(0, len(coding), 3))
        assert protein[0] == "M"
        assert coding[:3] == "ATG"
        assert protein.find("*") == len(protein) - 1
        assert 40 <= len(protein) <= 240


def test_phases_are_the_bases_before_the_next_codon(species):
    _, _, genes, _ = species
    seen = set()
    for gene in genes.values():
        done = 0
        for piece in sorted(gene.parts["CDS"], reverse=gene.strand == "-"):
            phase = gene.phase["CDS", piece]
            assert (done + int(phase)) % 3 == 0
            seen.add(phase)
            done += piece[1] - piece[0]
        others = {phase for (kind, _), phase in gene.phase.items() if kind != "CDS"}
        assert others == {"."}
    assert seen == {"0", "1", "2"}


def test_exons_are_the_untranslated_regions_and_the_cds(species):
    _, _, genes, _ = species
    for gene in genes.values():
        exons = {i for piece in gene.parts["exon"] for i in range(*piece)}
        five = {i for piece in gene.parts["five_prime_UTR"] for i in range(*piece)}
        three = {i for piece in gene.parts["three_prime_UTR"] for i in range(*piece)}
        coding = {i for piece in gene.parts["CDS"] for i in range(*piece)}
        assert exons == five | three | coding
        assert len(exons) == len(five) + len(three) + len(coding)
        left, right = (five, three) if gene.strand == "+" else (three, five)
        assert max(left) < min(coding)
        assert max(coding) < min(right)
        assert gene.parts["gene"] == gene.parts["mRNA"] == [(min(exons), max(exons) + 1)]


def test_introns_go_from_gt_to_ag_with_their_signals(world, species, readers):
    name, genome, genes, beds = species
    signals = {(r.name, r.contig, r.strand, r.start, r.end) for r in beds["signals"]}
    strands = Counter()
    for gene in genes.values():
        for start, end in introns(gene):
            text = genome[gene.contig][start:end].upper()
            text = text if gene.strand == "+" else readers.turn(text)
            assert text[:2] == "GT"
            assert text[-2:] == "AG"
            strands[gene.strand] += 1
            if gene.strand == "+":
                donor, acceptor = (start - 3, start + 6), (end - 16, end + 1)
            else:
                donor, acceptor = (end - 6, end + 3), (start - 1, start + 16)
            assert ("DONOR", gene.contig, gene.strand, *donor) in signals
            assert ("ACCEPTOR", gene.contig, gene.strand, *acceptor) in signals
            branches = [s for s in signals if s[:3] == ("BRANCH", gene.contig, gene.strand)]
            inside = [s for s in branches if start < s[3] and s[4] < end]
            assert len(inside) == 1
            to_acceptor = end - inside[0][4] if gene.strand == "+" else inside[0][3] - start
            assert 15 <= to_acceptor <= 45
    assert min(strands["+"], strands["-"]) > 5
    donors = [row for row in beds["signals"] if row.name == "DONOR"]
    assert len(donors) == strands.total()
    if name == world.focal:
        assert len(donors) == world.manifest.counts["introns"]


def test_polypyrimidine_tracts_are_rich_in_c_and_t(species, readers):
    _, genome, _, beds = species
    tracts = "".join(
        oriented(row, genome[row.contig], readers.turn)[:12]
        for row in beds["signals"]
        if row.name == "ACCEPTOR"
    )
    assert (tracts.count("C") + tracts.count("T")) / len(tracts) > 0.7


def test_kozak_and_polya_stand_where_they_must(species, readers):
    _, genome, genes, beds = species
    rows = {name: [r for r in beds["signals"] if r.name == name] for name in ("KOZAK", "POLYA")}
    assert len(rows["KOZAK"]) == len(rows["POLYA"]) == len(genes)
    for gene in genes.values():
        plus = gene.strand == "+"
        coding = sorted(gene.parts["CDS"])
        start_codon = coding[0][0] if plus else coding[-1][1]
        kozak = [r.end if plus else r.start for r in rows["KOZAK"] if r.contig == gene.contig]
        assert start_codon in kozak
        (left, right), *_ = gene.parts["gene"]
        inside = [
            right - r.end if plus else r.start - left
            for r in rows["POLYA"]
            if r.contig == gene.contig and left < r.start < right and r.strand == gene.strand
        ]
        assert len(inside) == 1
        assert 0 <= inside[0] <= 80  # 15 to 25 in the ancestor; indels come and go
    texts = Counter(oriented(r, genome[r.contig], readers.turn) for r in rows["POLYA"])
    assert texts.most_common(1)[0][0] == "AATAAA"


def test_promoters_have_their_parts(species):
    _, _, genes, beds = species
    tss = {(row.contig, row.start): row for row in beds["tss"]}
    assert len(tss) == len(beds["promoters"]) == len(beds["initiators"]) == len(genes)
    promoters = {row.name: row for row in beds["promoters"]}
    with_tata = 0
    for gene in genes.values():
        first = first_base(gene)
        sign = 1 if gene.strand == "+" else -1
        row = tss[gene.contig, first]
        assert (row.name, row.strand, row.end) == (gene.name, gene.strand, first + 1)

        def place(row, first=first, sign=sign):
            """Start of a site relative to the start of transcription, in its direction."""
            return (row.start - first) if sign > 0 else (first + 1 - row.end)

        here = promoters[gene.name]
        assert here.strand == gene.strand
        assert abs(place(here) + 150) <= 40  # indels since the ancestor
        near = [r for r in beds["initiators"] if r.contig == gene.contig and place(r) == -2]
        assert [r.strand for r in near] == [gene.strand]
        tata = [
            r
            for r in beds["tata"]
            if (r.contig, r.strand, place(r)) == (gene.contig, gene.strand, -31)
        ]
        with_tata += len(tata)
        motifs = [
            r
            for r in beds["motifs"]
            if r.contig == gene.contig and here.start <= r.start and r.end <= here.end
        ]
        assert 2 <= len(motifs) <= 4
        assert all(place(r) < -31 for r in motifs)
        assert {r.name for r in motifs} <= set(MOTIFS)
    assert with_tata == len(beds["tata"])
    assert 0.4 < with_tata / len(genes) < 1


def test_enhancers_hold_motifs_and_every_motif_has_a_home(species):
    _, _, _, beds = species
    homes = beds["promoters"] + beds["enhancers"]
    for row in beds["motifs"]:
        found = [
            h for h in homes if h.contig == row.contig and h.start <= row.start and row.end <= h.end
        ]
        assert len(found) == 1
    for home in beds["enhancers"]:
        inside = [
            r
            for r in beds["motifs"]
            if r.contig == home.contig and home.start <= r.start and r.end <= home.end
        ]
        assert 4 <= len(inside) <= 8


def log_odds(probabilities, text):
    """With one percent added to every count, as the simulator's documentation has it."""
    return sum(
        math.log2((100 * column["ACGT".index(letter)] + 1) / 26)
        for column, letter in zip(probabilities, text, strict=True)
    )


@pytest.mark.parametrize("file", ["motifs", "tata", "initiators", "signals"])
def test_sites_match_their_matrix_better_than_the_background(file, species, truth, readers):
    _, genome, _, beds = species
    scores = {}
    for row in beds[file]:
        matrix = truth.matrices[row.name]
        assert row.end - row.start == len(matrix)
        score = log_odds(matrix, oriented(row, genome[row.contig], readers.turn))
        best = sum(math.log2((100 * max(column) + 1) / 26) for column in matrix)
        assert row.score == pytest.approx(max(0, 1000 * score / best), abs=2)
        scores.setdefault(row.name, []).append(score)
    contig = genome["chr1"].upper()
    for name, found in scores.items():
        width = len(truth.matrices[name])
        windows = [contig[i : i + width] for i in range(1000, 12_000, 11)]
        chance = [log_odds(truth.matrices[name], w) for w in windows if "N" not in w]
        assert np.mean(found) > np.percentile(chance, 95)
        assert np.mean(np.array(found) > np.median(chance)) > 0.97


def test_both_strands_carry_sites(species):
    _, _, _, beds = species
    for file in ("motifs", "tata", "initiators", "signals", "repeats"):
        assert {"+", "-"} <= {row.strand for row in beds[file]}


def test_copies_of_a_family_are_alike(species, readers):
    _, genome, _, beds = species

    def words(row):
        text = oriented(row, genome[row.contig], readers.turn)
        return {text[i : i + 8] for i in range(len(text) - 7)}

    interspersed = [row for row in beds["repeats"] if row.name[0] != "("]
    whole = [row for row in interspersed if row.name == "SINE2" and row.end - row.start > 150]
    others = [row for row in interspersed if row.name == "LTR1" and row.end - row.start > 150]
    same = [len(words(a) & words(b)) for a, b in itertools.combinations(whole, 2)]
    different = [len(words(a) & words(b)) for a in whole for b in others]
    assert len(whole) > 3
    assert np.mean(same) > 5 * np.mean(different)


def test_tandem_repeats_repeat_their_unit(species):
    _, genome, _, beds = species
    tandem = [row for row in beds["repeats"] if row.name[0] == "("]
    assert len(tandem) > 10
    agreement = []
    for row in tandem:
        unit = row.name[1:-2]
        text = genome[row.contig][row.start : row.end].upper()
        assert row.name == f"({unit})n"
        assert set(unit) <= set("ACGT")
        same = [a == b for a, b in zip(text, text[len(unit) :], strict=False)]
        agreement.append(np.mean(same))
        # The unit is there as written, in some place where nothing has changed.
        assert unit in text or row.score > 0
    assert np.mean(agreement) > 0.75


def test_repeats_are_a_sizeable_share(world):
    counts = world.manifest.counts
    assert 0.25 < counts["bases_repeat"] / counts["bases"] < 0.36


def test_meme_files_are_in_minimal_format(world, truth):
    text = (world.path / "motifs.meme").read_text()
    assert text.startswith("MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n")
    assert text.count("MOTIF ") == 12
    for matrix in truth.matrices.values():
        assert matrix.shape[1] == 4
        np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-9)


def test_gc_of_genes_comes_with_strong_codon_usage(truth, readers):
    """The published usage is the one in the genome: lysine is AAG four times out of five."""
    codons = Counter()
    for gene in truth.genes.values():
        coding = spliced(gene, "CDS", truth.genome[gene.contig], readers.turn)
        codons.update(coding[i : i + 3] for i in range(0, len(coding), 3))
    assert codons["AAG"] / (codons["AAG"] + codons["AAA"]) > 0.65
    assert codons["AAC"] / (codons["AAC"] + codons["AAT"]) > 0.65
