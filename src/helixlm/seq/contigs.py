"""Names of contigs: which of a file's names means the same sequence as another file's name.

In: names as files spell them: ``17`` (Ensembl, 1000 Genomes on GRCh37), ``chr17`` (UCSC, 1000
Genomes on GRCh38), ``NC_000017.11`` (NCBI), ``CM000679.2`` (GenBank). Out: the matching name. Only
names are compared: whether the sequences are the same is for whoever holds their letters.

Accessions of chromosomes are known for human assemblies; UCSC's names of other pieces, such as
``chr14_GL000009v2_random``, hold the accession. An accession has a version, and two versions are
two sequences: NC_000017.10 (GRCh37) is not NC_000017.11 (GRCh38).

References
----------
NCBI Assembly, GRCh37 (GCF_000001405.13) and GRCh38 (GCF_000001405.26), assembly reports.
"""

import difflib
import re
from collections.abc import Iterable

from helixlm.errors import InputError

_ACCESSION = re.compile(r"([A-Z]{1,2}_?\d{5,9})\.(\d+)")
_UCSC_PIECE = re.compile(r"chr\w+?_([A-Z]{1,2}\d{5,6})v(\d+)(?:_(?:random|alt|fix))?")
_HUMAN = [*map(str, range(1, 23)), "X", "Y"]
_HUMAN_ACCESSIONS = {
    **{f"NC_{i:06d}": name for i, name in enumerate(_HUMAN, start=1)},
    **{f"CM{i:06d}": name for i, name in enumerate(_HUMAN, start=663)},
    "NC_012920": "MT",
    "J01415": "MT",
}


class ContigError(InputError):
    """A name that no contig has, or that could mean several."""


def match_contig(name: str, contigs: Iterable[str]) -> str | None:
    """Return the contig that a name means, or None if there is none.

    Parameters
    ----------
    name : str
        A name in any of the spellings above.
    contigs : iterable of str
        The names to choose from. One that is spelled the same is taken before all others.

    Returns
    -------
    str or None
        One of `contigs`.

    Raises
    ------
    ContigError
        If several contigs are spelled otherwise but could be meant.

    Examples
    --------
    >>> match_contig("NC_000017.11", ["chr1", "chr17"])
    'chr17'
    >>> match_contig("NC_000017.11", ["NC_000017.10"]) is None
    True
    """
    names = list(contigs)
    if name in names:
        return name
    wanted, accession = _read_name(name)
    found = []
    for contig in names:
        stem, other = _read_name(contig)
        if stem == wanted and not _other_version(accession, other):
            found.append(contig)
    if len(found) > 1:
        raise ContigError(
            f"contig {name!r}: could be {' or '.join(map(repr, found))}: rename one of them"
        )
    return found[0] if found else None


def missing_contig(name: str, contigs: Iterable[str]) -> str:
    """Say in a message that no contig has a name, and which there are.

    Examples
    --------
    >>> missing_contig("17", ["chr1", "chr17"])
    "no contig '17': found 'chr17'; use the names of the genome"
    """
    names = list(contigs)
    meant = match_contig(name, names)
    if meant is not None:
        return f"no contig {name!r}: found {meant!r}; use the names of the genome"
    near = difflib.get_close_matches(name, names, n=3) or names[:3]
    if not near:
        return f"no contig {name!r}: there are no contigs at all"
    more = " and others" if len(names) > len(near) else ""
    return f"no contig {name!r}: found {', '.join(map(repr, near))}{more}"


def _read_name(name: str) -> tuple[str, tuple[str, str] | None]:
    """Return what a name stands for, in one spelling, and its accession and version, if any."""
    if match := _ACCESSION.fullmatch(name) or _UCSC_PIECE.fullmatch(name):
        accession, version = match.groups()
        return _HUMAN_ACCESSIONS.get(accession, accession), (accession, version)
    stem = name[3:] if name[:3].lower() == "chr" and len(name) > 3 else name
    return ("MT" if stem in ("M", "Mt", "MT") else stem), None


def _other_version(one: tuple[str, str] | None, two: tuple[str, str] | None) -> bool:
    """Say whether two names are one accession in two versions.

    RefSeq and GenBank count versions apart, so theirs are not compared.
    """
    return one is not None and two is not None and one[0] == two[0] and one[1] != two[1]
