"""Records of a VCF or BCF file in the order of the file, by htslib through cyvcf2.

In: a path to a VCF (plain, gzip, bgzip) or BCF file. Out: `VcfRecord`, with 0-based positions and,
when asked for, the genotypes of all samples as one array. Records are streamed, so memory does not
depend on the size of the file; where an index lies beside it, reading can begin at a position.
What a record does to a sequence is in `haplotypes/alleles.py`.

cyvcf2 and not pysam, because pysam makes Python objects of every genotype. Its region queries end
without a word where a file is damaged, so they only find the first record; from there on the file
is read in order, and every error of htslib is raised.
"""

import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from helixlm.data.formats.fasta_bytes import packing_of
from helixlm.data.formats.numbered_lines import iter_lines
from helixlm.errors import InputError, require
from helixlm.seq.contigs import ContigError, match_contig, missing_contig

# The empty block that ends a bgzip or BCF file (SAM specification, 4.1.2): without it, a file that
# is cut between two blocks would look whole.
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")


class VcfError(InputError):
    """A VCF file that cannot be read, or does not hold what is asked for."""


class Info(Protocol):
    """The INFO column: integers, strings or tuples of them by their key."""

    def get(self, key: str, /) -> Any:
        """Return the value of a key, None where the record does not have it."""


@dataclass(frozen=True, slots=True)
class VcfRecord:
    """One line of a VCF file; `str` says which."""

    source: str
    """The file, for messages."""
    contig: str
    """As the file spells it."""
    position: int
    """POS, 0-based."""
    name: str | None
    """ID."""
    ref: str
    alts: tuple[str, ...]
    info: Info
    variant: Any = None
    """The record as cyvcf2 has it."""

    def __str__(self) -> str:
        name = f" {self.name}" if self.name else ""
        return f"{self.source}: record {self.contig}:{self.position + 1}{name} (as in the file)"

    @property
    def passes(self) -> bool:
        """Whether FILTER is PASS, or ``.`` for no filter applied."""
        return self.variant.FILTER is None  # as cyvcf2 has both

    def genotypes(self) -> NDArray[np.int16]:
        """Return the genotypes of all samples.

        Returns
        -------
        NDArray, int16, shape (samples, ploidy + 1)
            Numbers of alleles (0: REF; -1: missing; -2: the sample has fewer alleles than
            others; such a genotype counts as phased), and in the last column whether they are
            phased. The last column means nothing where the ploidy is 1.

        Raises
        ------
        VcfError
            If the record has no genotypes.
        """
        try:
            genotypes: NDArray[np.int16] = self.variant.genotype.array()
        except Exception as error:  # cyvcf2 raises nothing more specific
            raise VcfError(
                f"{self}: has no genotypes, expected GT in its FORMAT column: leave such records "
                f"out, for example with `bcftools view -i 'GT!=\"\"'`"
            ) from error
        return genotypes


class VcfFile:
    """An open VCF or BCF file.

    Parameters
    ----------
    path : path
        The file.
    samples : collection of str, optional
        Whose genotypes to read; all, if not given.

    Attributes
    ----------
    path : Path
        The file.
    samples : list of str
        Those whose genotypes are read, in the order of the file.
    contigs : list of str
        The names that the header or the index declares; may be empty.
    index : Path or None
        The index beside the file, however old, as htslib takes it; None if there is none.

    Raises
    ------
    VcfError
        If the file is missing, empty, not VCF or BCF, or cut short, or lacks a sample.
    StateError
        If cyvcf2 is not installed.
    """

    def __init__(self, path: str | Path, *, samples: Collection[str] | None = None) -> None:
        self.path = Path(path)
        packing = _check_file(self.path)
        self._vcf = self._open()
        if samples is not None:
            self._choose(samples)
        self.samples: list[str] = list(self._vcf.samples)
        self.contigs: list[str] = list(self._vcf.seqnames)
        self.index = _find_index(self.path) if packing == "bgzip" else None

    def records(self) -> Iterator[VcfRecord]:
        """Yield the records from where the file stands: after opening, all of them.

        Yields
        ------
        VcfRecord
            Contigs one after the other, positions ascending.

        Raises
        ------
        VcfError
            If the file is damaged, cut short, or not sorted. Plain text that is cut between two
            lines looks whole.
        """
        done: set[str] = set()
        contig, position = "", -1
        while (record := self._read_one(contig, position)) is not None:
            if record.contig != contig:
                if record.contig in done:
                    raise self._unsorted(record, "comes after the records of another contig")
                done.add(record.contig)
                contig, position = record.contig, -1
            if record.position < position:
                raise self._unsorted(record, f"comes after position {position + 1}")
            position = record.position
            yield record

    def records_from(self, contig: str, start: int) -> Iterator[VcfRecord]:
        """Yield the records of an indexed file from a position on.

        Parameters
        ----------
        contig : str
            As the file spells it.
        start : int
            0-based.

        Yields
        ------
        VcfRecord
            Those of the contig that reach beyond `start` or lie behind it; before them those that
            overlap these, and those that overlap those, and so on: so what overlaps a record that
            is given is given too. Records between, and of contigs behind, come along.

        Raises
        ------
        VcfError
            If the file is damaged or not sorted.
        """
        assert self.index is not None, "the file has no index"
        first = self._seek(contig, start)
        while first is not None and first.position < start:
            start = first.position
            first = self._seek(contig, start)
        if first is not None:
            yield first
            yield from self.records()

    def close(self) -> None:
        """Close the file."""
        self._vcf.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _open(self) -> Any:
        cyvcf2 = require("cyvcf2", "vcf")
        # What htslib would print is raised as an error, or does not matter here.
        cyvcf2.cyvcf2.set_htslib_log_level(0)
        try:
            return cyvcf2.VCF(str(self.path))
        except Exception as error:  # cyvcf2 raises OSError and plain Exception
            raise _header_error(self.path) from error

    def _choose(self, samples: Collection[str]) -> None:
        there = list(self._vcf.samples)
        for sample in samples:
            if sample not in there:
                found = ", ".join(map(repr, there[:3])) + (" and others" if there[3:] else "")
                raise VcfError(
                    f"{self.path}: no sample {sample!r}: found {found or 'no samples at all'}; "
                    "`bcftools query -l` lists them"
                )
        self._vcf.set_samples(list(samples))

    def _read_one(self, contig: str, position: int) -> VcfRecord | None:
        try:
            return self._record(next(self._vcf))
        except StopIteration:
            return None
        except Exception as error:  # cyvcf2 raises nothing more specific
            after = f"after {contig}:{position + 1}" if contig else "at its first record"
            raise VcfError(
                f"{self.path}: cannot be read {after}: the file is damaged or cut short: get it "
                f"anew, or see what `bcftools view` says of it"
            ) from error

    def _seek(self, contig: str, start: int) -> VcfRecord | None:
        """Return the first record that reaches beyond a position; `records` goes on behind it."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # cyvcf2 warns where a contig has no records
            query = self._vcf(f"{{{contig}}}:{start + 1}-")
            variant = next(query, None)
            query.close()
        return None if variant is None else self._record(variant)

    def _record(self, variant: Any) -> VcfRecord:
        return VcfRecord(
            str(self.path),
            variant.CHROM,
            variant.POS - 1,
            variant.ID,
            variant.REF,
            tuple(variant.ALT),
            variant.INFO,
            variant,
        )

    def _unsorted(self, record: VcfRecord, found: str) -> VcfError:
        return VcfError(
            f"{record}: {found}, expected records sorted by contig and position: sort the "
            f"file with `bcftools sort`"
        )


def find_contig(path: Path, contig: str, names: Iterable[str]) -> str | None:
    """Return how a file with contigs of these names spells a contig, or None.

    Raises
    ------
    VcfError
        If several names could be meant.
    """
    try:
        return match_contig(contig, names)
    except ContigError as error:
        raise VcfError(f"{path}: {error}") from error


def contig_of(file: VcfFile, contig: str) -> str:
    """Return how a file spells a contig.

    Raises
    ------
    VcfError
        If the file declares contigs, and this is none of them.
    """
    found = find_contig(file.path, contig, file.contigs)
    if found is None:
        raise VcfError(f"{file.path}: {missing_contig(contig, file.contigs)}")
    return found


def check_samples(file: VcfFile, at_least: int = 1) -> None:
    """Refuse a file of which too few samples are read.

    Raises
    ------
    VcfError
        If there are fewer than `at_least`.
    """
    if not file.samples:
        raise VcfError(
            f"{file.path}: has no samples, expected genotypes of at least one: "
            "leave the file out, or give one with genotypes"
        )
    if len(file.samples) < at_least:
        num_samples = len(file.samples)
        raise VcfError(
            f"{file.path}: found {num_samples} sample{'s' if num_samples > 1 else ''}, expected "
            f"{at_least} or more, as so many are drawn for each window: draw fewer (--set "
            f"variants.draws={num_samples}), or take more samples"
        )


def _check_file(path: Path) -> str:
    """Return how a file is packed; refuse what cannot be one, and bgzip that is cut short."""
    if path.is_dir():
        raise VcfError(f"{path}: is a folder, expected a VCF or BCF file")
    if not path.exists():
        raise VcfError(f"{path}: no such file, expected a VCF or BCF file")
    if not path.stat().st_size:
        raise VcfError(f"{path}: empty file, expected VCF or BCF: get the file anew")
    packing = packing_of(path)
    if packing == "bgzip":
        with path.open("rb") as stream:
            stream.seek(-min(len(_BGZIP_END), path.stat().st_size), 2)
            if stream.read() != _BGZIP_END:
                raise VcfError(
                    f"{path}: cut short: the end marker of bgzip is missing: get the file anew"
                )
    return packing


def _header_error(path: Path) -> VcfError:
    """Return what is wrong with a file that htslib does not open; all of it is read."""
    wanted = "expected a header that begins with ##fileformat=VCF and ends with the line #CHROM"
    for number, line in iter_lines(path, "VCF or BCF", VcfError):
        if number == 1 and line.startswith("BCF"):
            break
        if number == 1 and not line.startswith("##fileformat=VCF"):
            return VcfError(
                f"{path}: is neither VCF nor BCF: found {line[:40]!r}, {wanted}: give VCF, plain, "
                "gzip or bgzip, or BCF"
            )
        if not line.startswith("#CHROM"):
            continue
        columns = line.split("\t")
        if len(columns) < 8:
            return VcfError(
                f"{path}:{number}: found {line[:40]!r}, expected 8 columns or more with tabs "
                "between them: write tabs in place of blanks"
            )
        twice = [name for name, times in Counter(columns).items() if times > 1]
        if twice:
            return VcfError(
                f"{path}:{number}: two samples of the name {twice[0]!r}, expected a name of its "
                "own for each: rename one with `bcftools reheader`"
            )
    return VcfError(
        f"{path}: the header cannot be read, {wanted}: see what `bcftools view -h` says of it"
    )


def _find_index(path: Path) -> Path | None:
    """Return the index beside a file, the one that htslib looks for first."""
    files = [path.with_name(path.name + suffix) for suffix in (".csi", ".tbi")]
    return next((file for file in files if file.is_file()), None)
