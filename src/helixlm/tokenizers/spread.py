"""From one value a token to one value a base.

In: values of the tokens of a sequence and the bases that each covers. Out: values of its bases.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from helixlm.errors import InputError
from helixlm.tokenizers.base import Encoding


def spread(
    values: ArrayLike,
    encoding: Encoding,
    length: int,
    *,
    how: Literal["mean", "sum"] = "mean",
) -> NDArray[np.float64]:
    """Give each base the values of the tokens that cover it.

    Parameters
    ----------
    values : array-like, float, shape (n,) or (n, d)
        One value, or one row of d values, a token; without those of special tokens such as <s>.
    encoding : Encoding
        The tokens of the sequence, as `Tokenizer.encode_with_offsets` gives them.
    length : int
        Letters of the sequence.
    how : {"mean", "sum"}
        The mean or the sum over all tokens that cover the base. A token's value goes to each of its
        bases whole, it is not divided among them. Where tokens do not overlap the two differ
        only at bases that no token covers.

    Returns
    -------
    ndarray, float64, shape (length,) or (length, d)
        Values of the bases. Where no token covers a base: NaN for the mean, 0 for the sum.

    Raises
    ------
    InputError
        If values, encoding and length do not fit each other.

    Examples
    --------
    >>> encoding = Encoding(np.array([7, 8]), np.array([0, 1]), np.array([3, 4]))
    >>> spread([1.0, 2.0], encoding, 5).tolist()
    [1.0, 1.5, 1.5, 2.0, nan]
    >>> spread([1.0, 2.0], encoding, 5, how="sum").tolist()
    [1.0, 3.0, 3.0, 2.0, 0.0]
    """
    values_n = np.asarray(values, dtype=np.float64)
    _check(values_n, encoding, length, how)
    lengths_n = encoding.ends - encoding.starts
    # Each token's bases one after the other: its first base, and so many steps from it.
    owners = np.repeat(np.arange(len(lengths_n)), lengths_n)
    steps = np.arange(len(owners)) - np.repeat(np.cumsum(lengths_n) - lengths_n, lengths_n)
    bases = encoding.starts[owners] + steps
    total = np.zeros((length, *values_n.shape[1:]))
    np.add.at(total, bases, values_n[owners])
    if how == "sum":
        return total
    count = np.bincount(bases, minlength=length).astype(np.float64)
    count[count == 0] = np.nan
    return total / count.reshape(-1, *[1] * (values_n.ndim - 1))


def _check(values_n: NDArray[np.float64], encoding: Encoding, length: int, how: str) -> None:
    """Refuse what does not fit together."""
    if how not in ("mean", "sum"):
        raise InputError(f"how is {how!r}, expected 'mean' or 'sum'")
    if values_n.ndim not in (1, 2) or len(values_n) != len(encoding.ids):
        raise InputError(
            f"values have shape {values_n.shape}, expected ({len(encoding.ids)},) or "
            f"({len(encoding.ids)}, d), one row a token: leave out the rows of special tokens"
        )
    starts, ends = encoding.starts, encoding.ends
    if len(starts) and (starts.min() < 0 or ends.max() > length or (ends < starts).any()):
        raise InputError(
            f"the tokens cover bases {starts.min()} to {ends.max()}, expected at most 0 to "
            f"{length}: the length is not that of the sequence which was encoded"
        )
