"""The genetic code, the codon usage of the world, and proteins made of domain families.

A codon is a number from 0 to 63: 16 x first + 4 x second + third base, A C G T being 0 1 2 3.
"""

import math

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate.config import SelectionConfig
from helixlm.rng import CounterRng

AMINO_ACID = "KNKNTTTTRSRSIIMIQHQHPPPPRRRRLLLLEDEDAAAAGGGGVVVV*Y*YSSSS*CWCLFLF"

# Codons of each amino acid, the most used first; strong usage makes coding sequence learnable.
_USAGE = {
    "A": "GCT GCC GCA GCG",
    "R": "AGA CGT AGG CGC CGA CGG",
    "N": "AAC AAT",
    "D": "GAC GAT",
    "C": "TGC TGT",
    "Q": "CAA CAG",
    "E": "GAG GAA",
    "G": "GGT GGC GGA GGG",
    "H": "CAC CAT",
    "I": "ATC ATT ATA",
    "L": "CTG TTG CTC CTT TTA CTA",
    "K": "AAG AAA",
    "M": "ATG",
    "F": "TTC TTT",
    "P": "CCA CCT CCC CCG",
    "S": "TCC TCT AGC AGT TCA TCG",
    "T": "ACC ACT ACA ACG",
    "W": "TGG",
    "Y": "TAC TAT",
    "V": "GTT GTC GTG GTA",
    "*": "TAA TGA TAG",
}
_SHARES = {1: (100,), 2: (88, 12), 3: (78, 17, 5), 4: (70, 17, 9, 4), 6: (62, 17, 9, 6, 4, 2)}

# Amino acids that stand in for each other at little cost; the others form groups of one.
_GROUPS = ("AVLIM", "FYW", "STNQ", "KRH", "DE", "G", "P", "C")
# Amino acids in 1/1000, about as in real proteins.
_COMPOSITION = {"L": 96, "A": 78, "G": 70, "S": 70, "V": 68, "E": 65, "K": 60, "I": 58}
_COMPOSITION |= {"T": 55, "D": 54, "R": 52, "P": 46, "N": 42, "Q": 40, "F": 39, "Y": 31}
_COMPOSITION |= {"M": 23, "H": 22, "C": 14, "W": 12}
_DOMAIN_SHARE = 4  # parts of five of the amino acids that lie in domains, before rounding


def codon_number(text: str) -> int:
    """Return the number of a codon such as "ATG"."""
    first, second, third = ("ACGT".index(letter) for letter in text)
    return 16 * first + 4 * second + third


MAX_COST = 30_000  # 1/1,000,000; selection coefficients are kept in 16 bits
START = codon_number("ATG")
_USAGE_NUMBERS = {aa: [codon_number(c) for c in text.split()] for aa, text in _USAGE.items()}


def codon_weights() -> NDArray[np.int64]:
    """Return how often each codon is used for its amino acid, percent, int64, shape (64,)."""
    weights = np.zeros(64, dtype=np.int64)
    for codons in _USAGE_NUMBERS.values():
        weights[codons] = _SHARES[len(codons)]
    return weights


def draw_codons(protein: str, rng: CounterRng) -> NDArray[np.uint8]:
    """Return a coding sequence of a protein, with a stop codon, after the codon usage.

    Parameters
    ----------
    protein : str
        Amino acids in one-letter code; the first should be M.
    rng : CounterRng
        Where the codons are drawn from.

    Returns
    -------
    ndarray, uint8, shape (3 * len(protein) + 3,)
        Base codes 0 to 3.
    """
    word = rng.integers(0, 100, len(protein) + 1)
    codons = np.empty(len(word), dtype=np.int64)
    letters = np.array([*protein, "*"])
    for aa, numbers in _USAGE_NUMBERS.items():
        here = letters == aa
        bounds = np.cumsum(_SHARES[len(numbers)])
        codons[here] = np.array(numbers)[np.searchsorted(bounds, word[here], side="right")]
    return np.stack([codons // 16, codons // 4 % 4, codons % 4], axis=1).astype(np.uint8).ravel()


def draw_families(count: int, rng: CounterRng) -> list[str]:
    """Return the consensus of `count` protein domain families, 25 to 60 amino acids each."""
    return [draw_peptide(rng.integer(25, 61), rng) for _ in range(count)]


def draw_peptide(length: int, rng: CounterRng) -> str:
    """Return `length` amino acids drawn independently with the world's composition."""
    letters = "".join(_COMPOSITION)
    picks = rng.choice(list(_COMPOSITION.values()), length)
    return "".join(letters[pick] for pick in picks.tolist())


def draw_protein(length: int, families: list[str], rng: CounterRng) -> str:
    """Return a protein of `length` amino acids: M, then linkers and diverged domain copies.

    A copy has each amino acid redrawn with probability 1/5, and is cut at the protein's end.
    """
    protein = "M" + draw_peptide(rng.integer(3, 12), rng)
    while len(protein) < length:
        if rng.integer(0, 5) < _DOMAIN_SHARE:
            consensus = families[rng.integer(0, len(families))]
            fresh = draw_peptide(len(consensus), rng)
            redraw = rng.integers(0, 5, len(consensus)) == 0
            protein += "".join(
                new if change else old
                for old, new, change in zip(consensus, fresh, redraw, strict=True)
            )
        protein += draw_peptide(rng.integer(3, 16), rng)
    return protein[:length]


def codon_costs(
    selection: SelectionConfig,
) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """Return what each change of each base of each codon is, and what it costs.

    Parameters
    ----------
    selection : SelectionConfig
        The costs.

    Returns
    -------
    effect : ndarray of str, shape (64, 3, 4)
        Effect of writing base b at place i of codon c: "none" where nothing changes, else
        "synonymous", "missense", "stop_gained" or "stop_lost".
    cost : ndarray, int64, shape (64, 3, 4)
        Cost in 1/1,000,000, not negative.
    """
    weights = codon_weights()
    group = {aa: number for number, group in enumerate(_GROUPS) for aa in group}
    effect = np.full((64, 3, 4), "none", dtype="<U16")
    cost = np.zeros((64, 3, 4), dtype=np.int64)
    for codon in range(64):
        for i, power in enumerate((16, 4, 1)):
            for base in range(4):
                other = codon + (base - codon // power % 4) * power
                if other == codon:
                    continue
                old, new = AMINO_ACID[codon], AMINO_ACID[other]
                if old == new:
                    bits = max(0.0, math.log2(weights[codon] / weights[other]))
                    effect[codon, i, base] = "synonymous"
                    value = selection.synonymous_per_bit * bits
                elif new == "*":
                    effect[codon, i, base] = "stop_gained"
                    value = selection.stop_gained
                elif old == "*":
                    effect[codon, i, base] = "stop_lost"
                    value = selection.stop_lost
                else:
                    effect[codon, i, base] = "missense"
                    near = group[old] == group[new]
                    value = selection.missense_conservative if near else selection.missense_radical
                cost[codon, i, base] = min(round(1e6 * value), MAX_COST)
    return effect, cost
