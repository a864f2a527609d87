"""Operations on sequences: complements and base composition.

In and out: text in the letters of IUPAC, with its case, or codes of `alphabet.DNA`. Positions on
the other strand are turned around in `interval.py`.
"""

import math

import numpy as np
from numpy.typing import NDArray

from helixlm.seq.alphabet import DNA, AlphabetError

# Each letter and its complement, in the order of DNA.symbols: an ambiguity code stands for a set
# of bases, and its complement for the set of their complements (R is A or G, Y is T or C).
_COMPLEMENTS = "TGCANYRSWMKVHDB"


def _complement_table() -> bytes:
    table = bytearray(256)
    for letter, complement in zip(DNA.symbols, _COMPLEMENTS, strict=True):
        table[ord(letter)] = ord(complement)
        table[ord(letter.lower())] = ord(complement.lower())
    return bytes(table)


_TEXT_TABLE = _complement_table()
_CODE_TABLE = DNA.encode(_COMPLEMENTS)


def reverse_complement(text: str) -> str:
    """Return the sequence of the other strand, read in its own direction.

    Parameters
    ----------
    text : str
        DNA in IUPAC letters; each letter keeps its case.

    Returns
    -------
    str
        As long as `text`.

    Raises
    ------
    AlphabetError
        If a letter is not one of IUPAC's for DNA; the message has its position, from 0.

    Examples
    --------
    >>> reverse_complement("AACGtR")
    'YaCGTT'
    """
    try:
        complement = text.encode("ascii").translate(_TEXT_TABLE)
    except UnicodeEncodeError:
        complement = b"\0"
    if b"\0" in complement:
        DNA.encode(text)  # raises, with letter and position
    return complement[::-1].decode("ascii")


def complement_codes(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the codes of the complements, in the same order; ``[..., ::-1]`` reverses them.

    Parameters
    ----------
    codes : NDArray, uint8, any shape
        Codes of `alphabet.DNA`.

    Returns
    -------
    NDArray, uint8, shape of `codes`
        Codes of the complements.

    Raises
    ------
    AlphabetError
        If a value is not a code of DNA.
    """
    array = np.asarray(codes)
    if array.size and array.max() >= len(DNA):
        raise AlphabetError(f"code {array.max()}, expected 0 to {len(DNA) - 1}, the codes of DNA")
    return _CODE_TABLE[array]


def gc_fraction(text: str) -> float:
    """Return the share of G and C among the bases that are known to be strong or weak.

    Parameters
    ----------
    text : str
        DNA in IUPAC letters, either case. S (G or C) counts as strong, W (A or T) as weak; N and
        the other ambiguity codes are left out.

    Returns
    -------
    float
        0 to 1; nan if no base counts.

    Raises
    ------
    AlphabetError
        If a letter is not one of IUPAC's for DNA.

    Examples
    --------
    >>> gc_fraction("ACGTNNcc")
    0.6666666666666666
    """
    counts = np.bincount(DNA.encode(text), minlength=len(DNA))
    of = dict(zip(DNA.symbols, counts.tolist(), strict=True))
    strong = of["C"] + of["G"] + of["S"]
    known = strong + of["A"] + of["T"] + of["W"]
    return strong / known if known else math.nan
