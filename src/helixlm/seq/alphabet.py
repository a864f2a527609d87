"""Alphabets: letters to integer codes and back.

In: sequences as text, in either case. Out: uint8 codes, on which arithmetic is done. `DNA` is the
alphabet of the package: A, C, G, T are 0 to 3, so that ``3 - code`` is the complement of a base;
N is 4; the other ambiguity codes of IUPAC are 5 to 14. Codes carry no case: what is in lower case
(soft-masked) is told by `softmask`. Complements are in `ops.py`, tokens in the tokenizers.

References
----------
Cornish-Bowden (1985), Nomenclature for incompletely specified bases in nucleic acid sequences.
Nucleic Acids Research 13, 3021-3030.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helixlm.errors import InputError

_UNKNOWN = 255


class AlphabetError(InputError):
    """Text that holds a letter, or an array that holds a code, that the alphabet lacks."""


class Alphabet:
    """Letters and their codes; a letter's code is its index in `symbols`.

    Parameters
    ----------
    symbols : str
        Different upper-case ASCII letters or signs, 1 to 255 of them.
    name : str
        What the alphabet is called in messages.

    Raises
    ------
    ValueError
        If `symbols` is empty, or holds a letter twice, in lower case or outside ASCII.

    Examples
    --------
    >>> DNA.encode("ACGTn").tolist()
    [0, 1, 2, 3, 4]
    >>> DNA.decode([3, 4, 0])
    'TNA'
    """

    def __init__(self, symbols: str, name: str = "alphabet") -> None:
        if not symbols or not symbols.isascii() or symbols != symbols.upper():
            raise ValueError(f"symbols {symbols!r}: expected at least one upper-case ASCII letter")
        if len(set(symbols)) < len(symbols):
            raise ValueError(f"symbols {symbols!r}: expected each letter once")
        self.symbols = symbols
        self.name = name
        codes = bytearray([_UNKNOWN]) * 256
        for code, symbol in enumerate(symbols):
            codes[ord(symbol)] = codes[ord(symbol.lower())] = code
        self._codes = bytes(codes)
        self._letters = symbols.encode().ljust(256, b"\0")

    def __len__(self) -> int:
        return len(self.symbols)

    def __repr__(self) -> str:
        return f"Alphabet({self.symbols!r}, name={self.name!r})"

    def encode(self, text: str | bytes) -> NDArray[np.uint8]:
        """Return the codes of a text; upper and lower case have the same code.

        Parameters
        ----------
        text : str or bytes
            Letters of the alphabet.

        Returns
        -------
        NDArray, uint8, shape (L,)
            Codes, 0 to ``len(self) - 1``.

        Raises
        ------
        AlphabetError
            If a letter is not in the alphabet; the message has its position, from 0.
        """
        data = text if isinstance(text, bytes) else _ascii(text, self)
        codes = np.frombuffer(bytearray(data).translate(self._codes), dtype=np.uint8)
        if len(codes) and codes.max() == _UNKNOWN:
            position = int(np.argmax(codes == _UNKNOWN))
            raise self._unknown(chr(data[position]), position)
        return codes

    def decode(self, codes: ArrayLike) -> str:
        """Return the text of an array of codes, in upper case.

        Parameters
        ----------
        codes : array-like, any integer dtype, shape (L,)
            Codes, 0 to ``len(self) - 1``.

        Returns
        -------
        str
            One letter for each code.

        Raises
        ------
        AlphabetError
            If a value is not a code of the alphabet, or the array is not a row of integers.
        """
        array = np.asarray(codes)
        if array.size == 0:
            return ""
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise AlphabetError(
                f"codes of dtype {array.dtype} and shape {array.shape}: expected a row of integers"
            )
        wrong = (array < 0) | (array >= len(self))
        if wrong.any():
            position = int(np.argmax(wrong))
            raise AlphabetError(
                f"code {array[position]} at position {position}, expected 0 to {len(self) - 1}, "
                f"the codes of {self.name}"
            )
        return array.astype(np.uint8).tobytes().translate(self._letters).decode("ascii")

    def _unknown(self, letter: str, position: int) -> AlphabetError:
        hint = ""
        if letter in "Uu" and "T" in self.symbols:
            hint = "; write RNA with T in place of U"
        return AlphabetError(
            f"letter {letter!r} at position {position}, expected the letters of {self.name}, "
            f"{self.symbols} in either case{hint}"
        )


DNA = Alphabet("ACGTNRYSWKMBDHV", name="DNA")


def softmask(text: str) -> NDArray[np.bool_]:
    """Return which letters of a sequence are in lower case.

    Parameters
    ----------
    text : str
        A sequence of ASCII letters; what is not a letter is not lower case.

    Returns
    -------
    NDArray, bool, shape (L,)
        True where the letter is one of a to z.

    Raises
    ------
    AlphabetError
        If a letter is not ASCII.
    """
    letters = np.frombuffer(_ascii(text, DNA), dtype=np.uint8)
    return (letters >= ord("a")) & (letters <= ord("z"))


def _ascii(text: str, alphabet: Alphabet) -> bytes:
    """Return the bytes of a text; a letter outside ASCII is in no alphabet."""
    try:
        return text.encode("ascii")
    except UnicodeEncodeError as error:
        # The codec stops at the first letter outside ASCII; a wrong one may stand before it.
        alphabet.encode(text[: error.start].encode("ascii"))
        raise alphabet._unknown(text[error.start], error.start) from None
