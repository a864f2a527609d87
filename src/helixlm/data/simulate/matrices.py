"""Position weight matrices of the world: what they are, how sites are drawn and scored.

The matrices have the shape of well-known ones, but are written here from consensus strings and
from round numbers; they are not copies of a database. All weights are whole percents and all
scores whole thousandths of a bit, so that no result depends on a machine's last digit.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.rng import CounterRng

# Percent for (the named letters, each of the others), by the number of named letters.
_STRONG = {1: (85, 5), 2: (45, 5), 4: (25, 0)}
_WEAK = {1: (67, 11), 2: (38, 12), 4: (25, 0)}
_IUPAC = {"A": "A", "C": "C", "G": "G", "T": "T", "R": "AG", "Y": "CT", "S": "CG", "W": "AT"}
_IUPAC |= {"K": "GT", "M": "AC", "N": "ACGT"}


class Matrix(NamedTuple):
    """A position weight matrix.

    Attributes
    ----------
    name : str
        Its name in every file.
    effect : str
        What a mutation in one of its sites is called, one of `effects.EFFECTS`.
    percent : ndarray, int64, shape (width, 4)
        Percent of A, C, G, T in each column, in the direction of transcription.
    millibits : ndarray, int64, shape (width, 4)
        Log-odds against equal base frequencies, in 1/1000 bit, with one percent added to every
        count: ``1000 log2((percent + 1) / 26)``, rounded.
    fixed : ndarray, bool, shape (width,)
        Columns of which no other letter works, such as the GT of a donor.
    """

    name: str
    effect: str
    percent: NDArray[np.int64]
    millibits: NDArray[np.int64]
    fixed: NDArray[np.bool_]

    @property
    def width(self) -> int:
        """Number of columns, bp."""
        return len(self.percent)

    def score(self, codes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the log-odds of sites, int64, shape (n,), in 1/1000 bit.

        Parameters
        ----------
        codes : ndarray, uint8, shape (n, width)
            Codes 0 to 3 of each site in the direction of the matrix.
        """
        return self.millibits[np.arange(self.width), codes].sum(axis=1)

    @property
    def best(self) -> int:
        """The score of the consensus, in 1/1000 bit."""
        return int(self.millibits.max(axis=1).sum())

    def draw(self, rng: CounterRng) -> NDArray[np.uint8]:
        """Return a site drawn from the matrix, uint8 codes, shape (width,).

        Of up to eight draws, the first that scores at least 0.6 of the consensus is taken, else
        the best: a planted site is one that a reader of the matrix can find again.
        """
        bounds = np.cumsum(self.percent, axis=1)
        word = rng.integers(0, 100, 8 * self.width).reshape(8, self.width)
        draws = (word[:, :, None] >= bounds).sum(axis=2).astype(np.uint8)
        scores = self.score(draws)
        good = np.flatnonzero(10 * scores >= 6 * self.best)
        return draws[good[0] if len(good) else int(np.argmax(scores))]


def _matrix(name: str, effect: str, columns: list[tuple[int, ...]]) -> Matrix:
    percent = np.array(columns, dtype=np.int64)
    assert (percent.sum(axis=1) == 100).all(), name
    millibits = [[round(1000 * math.log2((p + 1) / 26)) for p in row] for row in columns]
    return Matrix(name, effect, percent, np.array(millibits, np.int64), percent.max(axis=1) == 100)


def _consensus(name: str, effect: str, consensus: str) -> Matrix:
    """Write a consensus out: capitals are strong columns, small letters weak ones."""
    columns = []
    for letter in consensus:
        named = _IUPAC[letter.upper()]
        first, other = (_STRONG if letter.isupper() else _WEAK)[len(named)]
        columns.append(tuple(first if base in named else other for base in "ACGT"))
    return _matrix(name, effect, columns)


_FACTORS = {
    "SP1": "GGGGCGGGGc",
    "NRF1": "yGCGCATGCGC",
    "ETS": "aCCGGAAGt",
    "NFY": "rRCCAATSr",
    "YY1": "AAgATGGCGGC",
    "CREB": "TGACGTCA",
    "AP1": "rTGAGTCAy",
    "GATA": "wGATAAGr",
    "EBOX": "gCACGTGr",
    "HSF": "GAAnnTTCnnGAA",
}
# Transcription factor motifs, planted in promoters and enhancers.
FACTORS = {name: _consensus(name, "motif", text) for name, text in _FACTORS.items()}
# Factors of promoters with a TATA box, of promoters without one, and of enhancers.
TATA_FACTORS = ("NFY", "CREB", "AP1", "GATA", "EBOX")
TATALESS_FACTORS = ("SP1", "NRF1", "ETS", "YY1", "NFY")
ENHANCER_FACTORS = ("AP1", "GATA", "EBOX", "HSF", "ETS")

TATA = _consensus("TATA", "tata", "TATAWAWR")
INITIATOR = _consensus("INR", "initiator", "YYANWYY")
CORE = {matrix.name: matrix for matrix in (TATA, INITIATOR)}
# The A of the initiator is the first transcribed base; the TATA box starts 31 bp before it.
INITIATOR_OFFSET = 2
TATA_OFFSET = 31

KOZAK = _consensus("KOZAK", "kozak", "gccRcc")
POLYA = _consensus("POLYA", "polya", "AATAAA")
BRANCH_POINT = _consensus("BRANCH", "branch_point", "yactrAc")
# Rounded from the usual pictures of vertebrate splice sites.
DONOR = _matrix(
    "DONOR",
    "splice_region",
    [
        (33, 37, 18, 12),
        (60, 13, 12, 15),
        (8, 4, 81, 7),
        (0, 0, 100, 0),
        (0, 0, 0, 100),
        (52, 3, 42, 3),
        (71, 8, 12, 9),
        (7, 6, 80, 7),
        (16, 17, 21, 46),
    ],
)
ACCEPTOR = _matrix(
    "ACCEPTOR",
    "splice_region",
    [
        *[(9, 33, 9, 49)] * 12,
        (25, 25, 25, 25),
        (4, 67, 1, 28),
        (100, 0, 0, 0),
        (0, 0, 100, 0),
        (25, 15, 48, 12),
    ],
)
# Columns of the donor before the cut, and of the acceptor after it.
DONOR_EXON_BP = 3
ACCEPTOR_EXON_BP = 1
SIGNALS = {m.name: m for m in (DONOR, BRANCH_POINT, ACCEPTOR, KOZAK, POLYA)}

MATRICES = FACTORS | CORE | SIGNALS
