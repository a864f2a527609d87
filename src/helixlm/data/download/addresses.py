"""Addresses from accessions: NCBI, UCSC and Ensembl keep their files by rules that are known.

Comes in: an accession as a manifest has it. Goes out: the address of the soft-masked genome (for
Ensembl also of the coding sequences) and of the checksums that the server publishes beside it.
Where the rule needs a name that the accession does not hold, the server's folder is read; how it
is read is for the caller, who gives a function.
"""

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote

from helixlm.errors import InputError

NCBI = "https://ftp.ncbi.nlm.nih.gov/genomes/all"
UCSC = "https://hgdownload.soe.ucsc.edu/goldenPath"
ENSEMBL = "https://ftp.ensembl.org/pub"

ReadFolder = Callable[[str], str | None]
"""Gives the listing of a server's folder as HTML, or None if there is no such folder."""

_NCBI = re.compile(r"(GC[AF])_(\d{3})(\d{3})(\d{3})\.(\d+)(?:_([^/]+))?")
_UCSC = re.compile(r"ucsc:([A-Za-z0-9]+)")
_ENSEMBL = re.compile(r"ensembl:(\d+)/([a-z0-9_]+)(/cds)?")
_LINK = re.compile(r"""href\s*=\s*["']?([^"'>\s]+)""", re.IGNORECASE)


class AddressError(InputError):
    """An accession that the server does not know, or a folder that cannot be understood."""


class Address(NamedTuple):
    """Where a file is."""

    url: str
    checksums: str = ""
    """Address of a list of checksums beside it; empty where the server publishes none of use."""


def parse_accession(accession: str) -> tuple[str, re.Match[str]]:
    """Tell whose accession it is.

    Returns
    -------
    tuple of str and re.Match
        "ncbi", "ucsc" or "ensembl", and the parts.

    Raises
    ------
    ValueError
        If it is none of them, or an NCBI accession without its version.
    """
    for server, pattern in (("ncbi", _NCBI), ("ucsc", _UCSC), ("ensembl", _ENSEMBL)):
        if parts := pattern.fullmatch(accession):
            return server, parts
    raise ValueError(
        "expected GCF_ or GCA_ with nine digits and a version (GCF_000001405.40), ucsc:DATABASE "
        "(ucsc:hg38), ensembl:RELEASE/SPECIES or ensembl:RELEASE/SPECIES/cds "
        "(ensembl:113/homo_sapiens)"
    )


def find_address(accession: str, assembly: str, read_folder: ReadFolder) -> Address:
    """Turn an accession into the address of a file.

    Parameters
    ----------
    accession : str
        See `parse_accession`.
    assembly : str
        Name of the assembly, or "". With an accession of NCBI it spares reading the folder; what
        Ensembl has is compared with it; UCSC's database is an assembly.
    read_folder : callable
        Gives the listing of a server's folder.

    Returns
    -------
    Address
        Of the genome, or the coding sequences.

    Raises
    ------
    AddressError
        If the server has nothing of that accession, or another assembly.
    """
    server, parts = parse_accession(accession)
    if server == "ncbi":
        return _ncbi(parts, assembly, read_folder)
    if server == "ucsc":
        return ucsc_address(parts[1])
    return _ensembl(int(parts[1]), parts[2], assembly, bool(parts[3]), read_folder)


def ncbi_address(accession: str, assembly: str) -> Address:
    """Return the address of a genome at NCBI; its repeats are in lower case.

    Parameters
    ----------
    accession : str
        With its version, such as ``GCF_000001405.40``.
    assembly : str
        Name of the assembly, such as ``GRCh38.p14``; blanks become underscores.

    References
    ----------
    https://ftp.ncbi.nlm.nih.gov/genomes/all/README.txt: "three levels of directories named for
    digits 1-3, 4-6 & 7-9 of the assembly accession".

    Examples
    --------
    >>> ncbi_address("GCF_000001405.40", "GRCh38.p14").url.removeprefix(NCBI)
    '/GCF/000/001/405/GCF_000001405.40_GRCh38.p14/GCF_000001405.40_GRCh38.p14_genomic.fna.gz'
    """
    _, parts = parse_accession(accession)
    name = f"{accession}_{assembly.replace(' ', '_')}"
    folder = f"{_ncbi_parent(parts)}/{name}"
    return Address(f"{folder}/{name}_genomic.fna.gz", f"{folder}/md5checksums.txt")


def ucsc_address(database: str) -> Address:
    """Return the address of a soft-masked genome at UCSC.

    Examples
    --------
    >>> ucsc_address("hg38").url.removeprefix(UCSC)
    '/hg38/bigZips/hg38.fa.gz'
    """
    folder = f"{UCSC}/{database}/bigZips"
    return Address(f"{folder}/{database}.fa.gz", f"{folder}/md5sum.txt")


def _ncbi_parent(parts: re.Match[str]) -> str:
    return f"{NCBI}/{parts[1]}/{parts[2]}/{parts[3]}/{parts[4]}"


def _ncbi(parts: re.Match[str], assembly: str, read_folder: ReadFolder) -> Address:
    accession = f"{parts[1]}_{parts[2]}{parts[3]}{parts[4]}.{parts[5]}"
    if assembly := parts[6] or assembly:
        return ncbi_address(accession, assembly)
    parent = f"{_ncbi_parent(parts)}/"
    names = _listed(parent, read_folder)
    found = [name for name in names if name.startswith(f"{accession}_")]
    if len(found) != 1:
        there = ", ".join(name for name in names if name.startswith(parts[1])) or "none"
        raise AddressError(
            f"{parent}: found {len(found)} folders of {accession}, expected one; assemblies "
            f"there: {there}: check the version"
        )
    return ncbi_address(accession, found[0].removeprefix(f"{accession}_"))


def _ensembl(
    release: int, species: str, assembly: str, cds: bool, read_folder: ReadFolder
) -> Address:
    """Find a genome without alternative loci, where Ensembl has it so, else its top level.

    Ensembl's names have the pattern ``<species>.<assembly>.<sequence type>.<id type>.fa.gz``; a
    species without a primary assembly file has no alternative loci at its top level (README of
    the ``dna`` folders). ``CHECKSUMS`` there are 16-bit sums, too weak to be of use.
    """
    folder = f"{ENSEMBL}/release-{release}/fasta/{species}/{'cds' if cds else 'dna'}/"
    names = _listed(folder, read_folder)
    endings = ("cds.all",) if cds else ("dna_sm.primary_assembly", "dna_sm.toplevel")
    for ending in endings:
        ending = f".{ending}.fa.gz"
        found = [name for name in names if name.endswith(ending)]
        if len(found) == 1:
            there = found[0].removesuffix(ending).partition(".")[2]
            if assembly and there != assembly:
                raise AddressError(
                    f"{folder}: found assembly {there}, expected {assembly}: choose the release "
                    "of Ensembl that has it"
                )
            return Address(folder + found[0])
    raise AddressError(
        f"{folder}: no file that ends in {' or '.join(endings)}.fa.gz among {len(names)}: check "
        "release and species"
    )


def _listed(folder: str, read_folder: ReadFolder) -> list[str]:
    """Names in the listing of a server's folder."""
    text = read_folder(folder)
    if text is None:
        raise AddressError(
            f"{folder}: the server has no such folder: check the accession and its version"
        )
    links = (unquote(link).rstrip("/") for link in _LINK.findall(text))
    return sorted({link for link in links if "/" not in link and not link.startswith("?")})
