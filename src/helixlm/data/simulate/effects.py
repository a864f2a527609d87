"""What every possible single-base change does, and what it costs.

Comes in: a genome with its features, of any species. Goes out: for each base and each other letter
the effect (a name) and the selection coefficient s <= 0. `evolve.py` rejects mutations by it,
`individuals.py` shapes allele frequencies by it, and the files publish it: so the truth that a
variant score is later compared with is the truth that shaped the data.

A base with several roles (an exon base inside a donor site) gets the most severe of them. A
change for the better costs nothing; a change is never an advantage.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate import matrices as pwm
from helixlm.data.simulate.codons import MAX_COST, START, codon_costs
from helixlm.data.simulate.config import SelectionConfig
from helixlm.data.simulate.features import Features

# "none" is the reference letter itself, or a base that is N.
EFFECTS = (
    "none",
    "intergenic",
    "intron",
    "five_prime_utr",
    "three_prime_utr",
    "synonymous",
    "missense",
    "stop_gained",
    "stop_lost",
    "start_lost",
    "splice_donor",
    "splice_acceptor",
    "splice_region",
    "branch_point",
    "kozak",
    "tata",
    "initiator",
    "motif",
    "polya",
)
_CODE = {name: code for code, name in enumerate(EFFECTS)}
_PLACES = _CODE["three_prime_utr"]  # effects up to here only say where a base is
# What would take a gene apart; no species differs from its ancestor by one of these.
_BREAKING = ("stop_gained", "stop_lost", "start_lost", "splice_donor", "splice_acceptor")
# A base is called constrained if a change costs at least this on average, 1/1,000,000.
CONSTRAINED_COST = 500


class Effects(NamedTuple):
    """Effect and selection coefficient of each possible change of a genome.

    Attributes
    ----------
    effect : ndarray, uint8, shape (length, 4)
        Index into `EFFECTS` of writing A, C, G or T at a base; 0 for the letter it has.
    selection : ndarray, int16, shape (length, 4)
        Selection coefficient in 1/1,000,000, zero or negative.
    """

    effect: NDArray[np.uint8]
    selection: NDArray[np.int16]

    def breaking(self) -> NDArray[np.bool_]:
        """Return the changes that take a gene apart, bool, shape (length, 4)."""
        return np.isin(self.effect, [_CODE[name] for name in _BREAKING])

    def constrained(self) -> NDArray[np.bool_]:
        """Return the bases of which a change costs `CONSTRAINED_COST` or more on average."""
        return -self.selection.astype(np.int64).sum(axis=1) >= 3 * CONSTRAINED_COST


class _Sites(NamedTuple):
    matrix: pwm.Matrix
    effect_wl: NDArray[np.uint8]  # (width, 4) effect, by column and letter the site has
    cost_wll: NDArray[np.int64]  # (width, 4, 4) cost, by column, letter it has, letter it gets
    base_nw: NDArray[np.int64]  # (sites, width) genome-wide places, in the matrix's direction
    reverse_n: NDArray[np.bool_]


class EffectModel:
    """Knows the codons and sites of a genome; `table` gives the effects for its bases.

    Parameters
    ----------
    features : Features
        Of the genome.
    length : int
        Of the genome, bp.
    selection : SelectionConfig
        What changes cost.
    """

    def __init__(self, features: Features, length: int, selection: SelectionConfig) -> None:
        self._place = _places(features, length)
        self.codon_base, self._reverse, self._start = codon_bases(features)
        effect, cost = codon_costs(selection)
        self._codon_effect = np.vectorize(_CODE.get, otypes=[np.uint8])(effect)
        self._codon_cost = cost
        self._start_cost = round(1e6 * selection.start_lost)
        self._sites = [
            sites
            for matrix in pwm.MATRICES.values()
            if (sites := _collect(matrix, features, selection)) is not None
        ]

    def table(self, codes: NDArray[np.uint8]) -> Effects:
        """Return the effects of all changes of the given bases.

        Parameters
        ----------
        codes : ndarray, uint8, shape (length,)
            The genome, A C G T as 0 1 2 3 and N as 4.
        """
        effect = np.repeat(self._place[:, None], 4, axis=1)
        selection = np.zeros((len(codes), 4), dtype=np.int16)
        self._add_coding(codes, effect, selection)
        for sites in self._sites:
            _add_sites(sites, codes, effect, selection)
        known = np.flatnonzero(codes < 4)
        effect[known, codes[known]] = 0
        selection[known, codes[known]] = 0
        return Effects(effect, selection)

    def _add_coding(
        self, codes: NDArray[np.uint8], effect: NDArray[np.uint8], selection: NDArray[np.int16]
    ) -> None:
        letter = codes[self.codon_base].astype(np.int64)
        letter[self._reverse] = 3 - letter[self._reverse]
        codon = 16 * letter[:, 0] + 4 * letter[:, 1] + letter[:, 2]
        assert (codon[self._start] == START).all()
        effects = self._codon_effect[codon]
        costs = self._codon_cost[codon]
        effects[self._start] = _CODE["start_lost"]
        costs[self._start] = self._start_cost
        # Letter b of the genome is letter 3 - b of a codon on the reverse strand.
        effects[self._reverse] = effects[self._reverse][:, :, ::-1]
        costs[self._reverse] = costs[self._reverse][:, :, ::-1]
        effect[self.codon_base] = effects
        selection[self.codon_base] = -costs


def codon_bases(
    features: Features,
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return where the three bases of each codon are.

    Returns
    -------
    bases : ndarray, int64, shape (codons, 3)
        Genome-wide places, in the direction of transcription.
    reverse : ndarray, bool, shape (codons,)
        Whether the gene is on the reverse strand.
    start : ndarray, bool, shape (codons,)
        Whether it is the start codon of its gene.
    """
    cds = features.of("cds")
    pieces: dict[int, list[NDArray[np.int64]]] = {}
    strand: dict[int, int] = {}
    for gene, left, right, sign in zip(
        cds.parent.tolist(), cds.start.tolist(), cds.end.tolist(), cds.strand.tolist(), strict=True
    ):
        pieces.setdefault(gene, []).append(np.arange(left, right))
        strand[gene] = sign
    bases, reverse, start = [], [], []
    for gene, parts in pieces.items():
        line = np.concatenate(parts)[:: strand[gene]]
        assert len(line) % 3 == 0, gene
        count = len(line) // 3
        bases.append(line.reshape(count, 3))
        reverse.append(np.full(count, strand[gene] < 0))
        start.append(np.arange(count) == 0)
    return np.concatenate(bases), np.concatenate(reverse), np.concatenate(start)


def _places(features: Features, length: int) -> NDArray[np.uint8]:
    """Return where each base is, as an effect that costs nothing."""
    place = np.full(length, _CODE["intergenic"], dtype=np.uint8)
    place[features.of("gene").mask(length)] = _CODE["intron"]
    cds = features.of("cds")
    first = {gene: int(cds.start[cds.parent == gene].min()) for gene in set(cds.parent.tolist())}
    exons = features.of("exon")
    for gene, start, end, strand in zip(
        exons.parent.tolist(),
        exons.start.tolist(),
        exons.end.tolist(),
        exons.strand.tolist(),
        strict=True,
    ):
        # An exon's bases left of the coding ones are 5' on the forward strand; the coding ones
        # themselves are written over later.
        left, right = ("five_prime_utr", "three_prime_utr")[::strand]
        border = max(start, min(end, first[gene]))
        place[start:border] = _CODE[left]
        place[border:end] = _CODE[right]
    place[features.of("gap").mask(length)] = _CODE["none"]
    return place


def _collect(matrix: pwm.Matrix, features: Features, selection: SelectionConfig) -> _Sites | None:
    """Return the sites of a matrix with the costs of their changes, or None if it has none."""
    sites = features.sites(matrix.name)
    if len(sites.start) == 0:
        return None
    assert (sites.end - sites.start == matrix.width).all(), matrix.name
    base = sites.start[:, None] + np.arange(matrix.width)
    reverse = sites.strand < 0
    base[reverse] = base[reverse, ::-1]
    weak = matrix.effect in ("splice_region", "branch_point")
    per_bit = round(1e6 * (selection.splice_region_per_bit if weak else selection.matrix_per_bit))
    drop = matrix.millibits[:, :, None] - matrix.millibits[:, None, :]
    cost = (np.maximum(drop, 0) * per_bit + 500) // 1000
    name = np.full((matrix.width, 4), _CODE[matrix.effect], dtype=np.uint8)
    if matrix.fixed.any():
        cost[matrix.fixed] = round(1e6 * selection.splice_site)
        name[matrix.fixed] = _CODE["splice_donor" if matrix is pwm.DONOR else "splice_acceptor"]
    return _Sites(matrix, name, np.minimum(cost, MAX_COST), base, reverse)


def _add_sites(
    sites: _Sites,
    codes: NDArray[np.uint8],
    effect: NDArray[np.uint8],
    selection: NDArray[np.int16],
) -> None:
    for column in range(sites.matrix.width):
        base = sites.base_nw[:, column]
        letter = codes[base].astype(np.int64)
        letter[sites.reverse_n] = 3 - letter[sites.reverse_n]
        cost = sites.cost_wll[column][letter]
        cost[sites.reverse_n] = cost[sites.reverse_n, ::-1]
        name = sites.effect_wl[column][letter][:, None]
        old_effect, old_selection = effect[base], selection[base]
        worse = (-cost < old_selection) | (old_effect <= _PLACES)
        effect[base] = np.where(worse, name, old_effect)
        selection[base] = np.where(worse, -cost, old_selection)
