"""Genes: promoter, untranslated regions, codons, introns and their signals.

A gene is planned first (its lengths), so that `layout.py` can place it, and written then into
the background at its place. It is written in the direction of transcription; for a gene on the
reverse strand the stretch is turned round before and after.

The stretch of a gene, in the direction of transcription::

    promoter (150) | exon [intron exon]... | tail (20)
    factor sites, TATA, INR at the border; KOZAK ATG codons stop; POLYA near the transcript's end

Introns cut the transcript where its bases look like the exon side of splice sites (MAG|G), which
is how donors get their full context without spoiling the codons.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate import matrices as pwm
from helixlm.data.simulate.codons import draw_codons, draw_protein
from helixlm.data.simulate.config import WorldConfig
from helixlm.data.simulate.features import FeatureList
from helixlm.data.simulate.layout import background, reverse_complement_codes
from helixlm.rng import CounterRng

PROMOTER_BP = 150  # upstream of the start of transcription
PROMOTER_INSIDE_BP = 50  # downstream, still called promoter
_TAIL_BP = 20
_FIRST_EXON_BP = 24  # least length
_EXON_BP = 36  # least length of the others
_KEEP_FROM_CODON_BP = 9  # no intron this near to the start or stop codon
_LONG_INTRON_PERCENT = 8
# Introns are poorer in G and C than what is around them, and have more T than A, as in plants.
_INTRON_GC_PERCENT = 75
_INTRON_T_PERMILLE = 640
_POLYA_FROM_END_BP = (15, 26)  # where the signal ends, before the transcript does
_BRANCH_GAP_BP = (2, 16)  # between branch point and acceptor


class GenePlan(NamedTuple):
    """The lengths of a gene, bp, before its place is known.

    Attributes
    ----------
    strand : int
        1 or -1.
    five_utr_bp, three_utr_bp : int
        Untranslated regions, introns not counted.
    codons : int
        Codons, start and stop included.
    introns_bp : tuple of int
        Introns in the direction of transcription.
    tata : bool
        Whether the promoter has a TATA box.
    """

    strand: int
    five_utr_bp: int
    codons: int
    introns_bp: tuple[int, ...]
    three_utr_bp: int
    tata: bool

    @property
    def spliced_bp(self) -> int:
        """Length of the mature transcript."""
        return self.five_utr_bp + 3 * self.codons + self.three_utr_bp

    @property
    def total_bp(self) -> int:
        """Length of the whole stretch, promoter and tail included."""
        return PROMOTER_BP + self.spliced_bp + sum(self.introns_bp) + _TAIL_BP


def plan_gene(config: WorldConfig, rng: CounterRng) -> GenePlan:
    """Draw the lengths of a gene."""
    five_utr_bp = rng.integer(35, 100)
    codons = rng.integer(config.codons[0], config.codons[1] + 1)
    wanted = int(rng.choice(config.intron_weights, 1)[0])
    # Each intron bars less than 100 bases around it for the next.
    count = min(wanted, (five_utr_bp + 3 * codons - 60) // 100)
    introns = tuple(
        rng.integer(300, 900)
        if rng.integer(0, 100) < _LONG_INTRON_PERCENT
        else rng.integer(70, 180)
        for _ in range(count)
    )
    return GenePlan(
        strand=1 - 2 * rng.integer(0, 2),
        five_utr_bp=five_utr_bp,
        codons=codons,
        introns_bp=introns,
        three_utr_bp=rng.integer(70, 170),
        tata=rng.integer(0, 1000) < round(1000 * config.tata_share),
    )


class Stretch:
    """A stretch of genome in the direction of transcription, with features on it.

    Parameters
    ----------
    codes : ndarray, uint8, shape (length,)
        Its bases, in its own direction.
    start : int
        Where it starts on the forward strand, genome-wide.
    strand : int
        Its direction, 1 or -1.
    gene : int
        Number of the gene that its features belong to, or -1.
    features : FeatureList
        Gets the features.
    """

    def __init__(
        self, codes: NDArray[np.uint8], start: int, strand: int, gene: int, features: FeatureList
    ) -> None:
        self.codes = codes
        self._start = start
        self._strand = strand
        self._gene = gene
        self._features = features

    def interval(self, start: int, end: int) -> tuple[int, int]:
        """Return the genome-wide interval of a local one."""
        if self._strand > 0:
            return self._start + start, self._start + end
        length = len(self.codes)
        return self._start + length - end, self._start + length - start

    def add(self, kind: str, start: int, end: int, name: str, strand: int = 1) -> None:
        """Add a feature by its local interval."""
        self._features.add(
            kind,
            *self.interval(start, end),
            name=name,
            strand=strand * self._strand,
            parent=self._gene,
        )

    def site(self, matrix: pwm.Matrix, start: int, rng: CounterRng, strand: int = 1) -> None:
        """Draw a site of a matrix, write it, and add it as a feature."""
        end = start + matrix.width
        drawn = matrix.draw(rng)
        self.codes[start:end] = drawn if strand > 0 else reverse_complement_codes(drawn)
        self.add("site", start, end, matrix.name, strand)


def write_gene(
    codes: NDArray[np.uint8],
    start: int,
    plan: GenePlan,
    gene: int,
    *,
    gc_permille: int,
    families: list[str],
    features: FeatureList,
    rng: CounterRng,
) -> list[tuple[int, int]]:
    """Write a gene into the genome.

    Parameters
    ----------
    codes : ndarray, uint8, shape (length,)
        The genome; changed in ``[start, start + plan.total_bp)``.
    start : int
        Where the stretch of the gene starts, genome-wide.
    plan : GenePlan
        Its lengths.
    gene : int
        Its number, from 0.
    gc_permille : int
        GC content of the untranslated regions, 1/1000; introns have less.
    families : list of str
        Protein domain families.
    features : FeatureList
        Gets the gene, its pieces and its sites.
    rng : CounterRng
        Where everything is drawn from.

    Returns
    -------
    list of (int, int)
        The inner parts of long introns, genome-wide: room for repeats.
    """
    end = start + plan.total_bp
    local = codes[start:end].copy()
    if plan.strand < 0:
        local = reverse_complement_codes(local)
    stretch = Stretch(local, start, plan.strand, gene, features)
    spliced = _draw_spliced(plan, gc_permille, families, rng)
    cuts = _choose_cuts(spliced, plan, rng)
    intron_gc = gc_permille * _INTRON_GC_PERCENT // 100
    room = _write_transcript(stretch, spliced, cuts, plan, gene, intron_gc, rng)
    _write_promoter(stretch, plan, gene, rng)
    codes[start:end] = stretch.codes if plan.strand > 0 else reverse_complement_codes(stretch.codes)
    return room


def _draw_spliced(
    plan: GenePlan, gc_permille: int, families: list[str], rng: CounterRng
) -> NDArray[np.uint8]:
    """Return the mature transcript without its sites in the untranslated regions."""
    protein = draw_protein(plan.codons - 1, families, rng)
    coding = draw_codons(protein, rng)
    five = background(np.full(plan.five_utr_bp, gc_permille), rng)
    three = background(np.full(plan.three_utr_bp, gc_permille), rng)
    five[-pwm.KOZAK.width :] = pwm.KOZAK.draw(rng)
    return np.concatenate([five, coding, three])


def _choose_cuts(spliced: NDArray[np.uint8], plan: GenePlan, rng: CounterRng) -> list[int]:
    """Return the sorted offsets in the mature transcript at which introns cut it."""
    coding, stop = plan.five_utr_bp, plan.five_utr_bp + 3 * plan.codons
    weight = np.ones(len(spliced), dtype=np.int64)
    for column in range(pwm.DONOR_EXON_BP):
        back = pwm.DONOR_EXON_BP - column
        weight[back:] *= pwm.DONOR.percent[column][spliced[:-back]]
    weight *= pwm.ACCEPTOR.percent[-1][spliced]
    weight[:_FIRST_EXON_BP] = 0
    weight[coding - _KEEP_FROM_CODON_BP : coding + _KEEP_FROM_CODON_BP] = 0
    weight[stop - _KEEP_FROM_CODON_BP :] = 0
    cuts: list[int] = []
    for _ in plan.introns_bp:
        cut = int(rng.choice(weight, 1)[0])
        cuts.append(cut)
        weight[max(0, cut - _EXON_BP) : cut + _EXON_BP + 1] = 0
    return sorted(cuts)


def _write_transcript(
    stretch: Stretch,
    spliced: NDArray[np.uint8],
    cuts: list[int],
    plan: GenePlan,
    gene: int,
    intron_gc: int,
    rng: CounterRng,
) -> list[tuple[int, int]]:
    """Write exons and introns, add them as features, return the room in long introns."""
    name = f"g{gene + 1:05d}"
    coding, stop = plan.five_utr_bp, plan.five_utr_bp + 3 * plan.codons
    room = []
    place = PROMOTER_BP
    for number, (left, right) in enumerate(zip([0, *cuts], [*cuts, len(spliced)], strict=True)):
        end = place + right - left
        stretch.codes[place:end] = spliced[left:right]
        stretch.add("exon", place, end, name)
        cds = place + max(coding - left, 0), place + min(stop, right) - left
        if cds[0] < cds[1]:
            stretch.add("cds", *cds, name)
        if left <= coding - pwm.KOZAK.width and coding <= right:
            kozak = place + coding - left
            stretch.add("site", kozak - pwm.KOZAK.width, kozak, pwm.KOZAK.name)
        place = end
        if number < len(cuts):
            place += plan.introns_bp[number]
            room += _write_intron(stretch, end, place, intron_gc, rng)
    stretch.add("gene", PROMOTER_BP, place, name)
    low, high = _POLYA_FROM_END_BP
    stretch.site(pwm.POLYA, place - rng.integer(low, high) - pwm.POLYA.width, rng)
    return room


def _write_intron(
    stretch: Stretch, start: int, end: int, gc_permille: int, rng: CounterRng
) -> list[tuple[int, int]]:
    """Write the intron [start, end) and its signals; return the room in it, if it is long."""
    gc = np.full(end - start, gc_permille)
    stretch.codes[start:end] = background(gc, rng, t_permille=_INTRON_T_PERMILLE)
    exon = stretch.codes[start - pwm.DONOR_EXON_BP : start].copy()
    stretch.site(pwm.DONOR, start - pwm.DONOR_EXON_BP, rng)
    stretch.codes[start - pwm.DONOR_EXON_BP : start] = exon  # the codons stay
    acceptor = end - (pwm.ACCEPTOR.width - pwm.ACCEPTOR_EXON_BP)
    stretch.site(pwm.ACCEPTOR, acceptor, rng)  # its exon base is written over by the next exon
    branch = acceptor - rng.integer(*_BRANCH_GAP_BP) - pwm.BRANCH_POINT.width
    stretch.site(pwm.BRANCH_POINT, branch, rng)
    if end - start < 300:
        return []
    return [stretch.interval(start + 20, branch - 20)]


def _write_promoter(stretch: Stretch, plan: GenePlan, gene: int, rng: CounterRng) -> None:
    """Write initiator, TATA box and two to four factor sites."""
    start = PROMOTER_BP  # of transcription
    stretch.add("promoter", 0, start + PROMOTER_INSIDE_BP, f"g{gene + 1:05d}")
    stretch.site(pwm.INITIATOR, start - pwm.INITIATOR_OFFSET, rng)
    if plan.tata:
        stretch.site(pwm.TATA, start - pwm.TATA_OFFSET, rng)
    names = pwm.TATA_FACTORS if plan.tata else pwm.TATALESS_FACTORS
    place_sites(stretch, names, 5, start - pwm.TATA_OFFSET - 5, rng.integer(2, 5), rng)


def place_sites(
    stretch: Stretch, names: tuple[str, ...], start: int, end: int, count: int, rng: CounterRng
) -> None:
    """Write `count` factor sites into [start, end), each in its own equal part of it."""
    for number in range(count):
        low = start + (end - start) * number // count
        high = start + (end - start) * (number + 1) // count
        matrix = pwm.FACTORS[names[rng.integer(0, len(names))]]
        place = rng.integer(low, high - matrix.width + 1)
        stretch.site(matrix, place, rng, 1 - 2 * rng.integer(0, 2))
