"""The tree of the species: a Newick string in, its branches in pre-order out.

Nothing here knows about sequences; `evolve.py` walks the branches.
"""

import re
from typing import NamedTuple

from helixlm.errors import InputError

_TOKEN = re.compile(r"\s*([(),;]|:[^(),;:]*|[^(),;:\s]+)")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


class TreeError(InputError):
    """A Newick string that is not a tree of named species with branch lengths."""


class Branch(NamedTuple):
    """One branch of the tree, from a node to its child.

    Attributes
    ----------
    parent, child : int
        Numbers of the two nodes; the root is 0, and a parent comes before its children.
    species : str
        Name of the child if it is a leaf, else "".
    length : float
        Expected substitutions per neutral site.
    """

    parent: int
    child: int
    species: str
    length: float


def parse_newick(text: str) -> tuple[Branch, ...]:
    """Return the branches of a rooted tree in pre-order.

    Parameters
    ----------
    text : str
        A Newick tree in which every leaf has a name of letters, digits and underscores, and every
        branch a length in substitutions per neutral site, such as ``"(a:0.1,b:0.1);"``.

    Returns
    -------
    tuple of Branch
        One entry a branch; a parent's branch comes before those of its children.

    Raises
    ------
    TreeError
        If the string is no such tree, with the place or the name that is wrong.

    Examples
    --------
    >>> [branch.species for branch in parse_newick("((a:0.1,b:0.1):0.05,c:0.2);")]
    ['', 'a', 'b', 'c']
    """
    tokens = _tokens(text)
    branches: list[Branch] = []
    place = _read_node(tokens, 0, parent=-1, branches=branches, count=[0])
    if tokens[place] != ";":
        raise TreeError(f"tree {text!r}: found {tokens[place]!r} after the root, expected ';'")
    if place + 1 < len(tokens):
        raise TreeError(f"tree {text!r}: found {tokens[place + 1]!r} after ';', expected the end")
    names = [branch.species for branch in branches if branch.species]
    if len(names) < 2:
        raise TreeError(f"tree {text!r}: found {len(names)} species, expected two or more")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TreeError(f"tree {text!r}: the species {twice[0]!r} is there twice, name it once")
    return tuple(branches)


def _tokens(text: str) -> list[str]:
    tokens = _TOKEN.findall(text)
    # The end is made visible, so that a string that stops early is met by the same checks.
    return tokens if tokens and tokens[-1] == ";" else [*tokens, "the end"]


def _read_node(
    tokens: list[str], place: int, *, parent: int, branches: list[Branch], count: list[int]
) -> int:
    """Read the subtree at `tokens[place]`, append its branches, return the place after it."""
    node = count[0]
    count[0] += 1
    own = len(branches)
    if parent >= 0:
        branches.append(Branch(parent, node, "", 0.0))
    leaf = tokens[place] != "("
    if not leaf:
        while tokens[place] in ("(", ","):
            place = _read_node(tokens, place + 1, parent=node, branches=branches, count=count)
        if tokens[place] != ")":
            raise TreeError(f"tree: found {tokens[place]!r}, expected ')' to close a group")
        place += 1
    name = ""
    if tokens[place][0] not in "(),;:" and tokens[place] != "the end":
        name = tokens[place]
        place += 1
    if leaf and not _NAME.fullmatch(name):
        found = name or tokens[place]
        raise TreeError(
            f"tree: found {found!r} where a species name of letters, digits and _ was expected"
        )
    if parent < 0:
        return place + tokens[place].startswith(":")  # a length before the root means nothing
    length = _read_length(tokens[place], name)
    branches[own] = Branch(parent, node, name if leaf else "", length)
    return place + 1


def _read_length(token: str, name: str) -> float:
    try:
        length = float(token[1:]) if token[0] == ":" else -1.0
    except ValueError:
        length = -1.0
    if not 0 <= length <= 1:
        raise TreeError(
            f"tree: the branch to {name or 'an inner node'} has {token!r}, expected a length from "
            "0 to 1 substitutions per site, such as ':0.03'"
        )
    return length
