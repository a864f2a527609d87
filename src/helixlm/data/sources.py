"""The genomes that a corpus is made from, and what belongs to each.

In: paths on the command line, a YAML file that lists species, or a folder that `helixlm download`
has filled. Out: a `Source` for each species. Paths in a file are relative to it.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import ErrorDetails

from helixlm.data.download import read_downloads
from helixlm.errors import InputError

_ENDINGS = {
    kind: re.compile(rf"\.({ends})$", re.IGNORECASE)
    for kind, ends in {
        "fasta": r"(fa|fna|fasta|ffn)(\.b?gz)?|2bit",
        "vcf": r"vcf(\.b?gz)?|bcf",
        "gff": r"gff3?(\.b?gz)?",
        "bed": r"bed(\.b?gz)?",
    }.items()
}


class SourceError(InputError):
    """A list of genomes that cannot be used."""


class Source(BaseModel):
    """One genome and what belongs to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fasta: tuple[Path, ...] = Field(min_length=1)
    """FASTA (plain, gzip, bgzip) or 2bit files; contig names are unique over all of them."""
    species: str = ""
    """Written into each row. Needed, and another for each, where there are several genomes."""
    assembly: str = ""
    """Written into each row."""
    group: str = ""
    """Such as "mammals"; for the report and for balance."""
    weight: float = Field(default=1.0, gt=0)
    """Mean number of copies of a training window, before the other factors of `weights`."""
    vcf: tuple[Path, ...] = ()
    """Genotypes of individuals, for haplotypes."""
    gff: Path | None = None
    """Annotation, for coding sequences and windows around features."""
    bed: Path | None = None
    """Intervals outside which nothing is taken."""
    weights: Path | None = None
    """Weights of regions, bedGraph."""

    @field_validator("fasta", "vcf", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value

    @property
    def files(self) -> tuple[Path, ...]:
        """All its files."""
        return (*self.fasta, *(path for _, path in self.others))

    @property
    def others(self) -> tuple[tuple[str, Path], ...]:
        """All files but those of sequence, each with the name of its field."""
        found = [("vcf", path) for path in self.vcf]
        for kind, path in (("gff", self.gff), ("bed", self.bed), ("weights", self.weights)):
            if path is not None:
                found.append((kind, path))
        return tuple(found)


def prefix_of(sources: Sequence[Source], number: int) -> str:
    """Return what tells the contigs of a genome from those of others: nothing if it is alone."""
    return f"{sources[number].species}:" if len(sources) > 1 else ""


def read_sources(path: str | Path) -> list[Source]:
    """Read a list of genomes.

    Parameters
    ----------
    path : path
        A YAML file with a list, or a mapping with the list under `sources`; each entry has the
        fields of `Source`. Or a folder of downloads, whose files belong together by species; what
        each is, its name says.

    Returns
    -------
    list of Source
        In the order of the file, paths made relative to the working folder.

    Raises
    ------
    SourceError
        If the file cannot be read; all problems at once. If a species has no sequence.
    StateError
        If a folder is not one of downloads, or a file in it is missing or cut short.
    """
    path = Path(path)
    sources = _downloaded(path) if path.is_dir() else _listed(path)
    try:
        check_sources(sources)
    except SourceError as error:
        raise SourceError(f"{path}: {error}") from error
    return sources


def _listed(path: Path) -> list[Source]:
    """Return the genomes of a YAML file."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SourceError(f"{path}: cannot be read: {error.strerror}: check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    entries = content.get("sources") if isinstance(content, dict) else content
    if not isinstance(entries, list) or not entries:
        raise SourceError(
            f"{path}: found {'nothing' if not entries else repr(content)[:40]}, expected a list of "
            "genomes, each with at least 'fasta'"
        )
    sources, problems = [], []
    for number, entry in enumerate(entries, start=1):
        try:
            sources.append(_beside(path.parent, Source.model_validate(entry)))
        except ValidationError as error:
            problems += [f"genome {number}: {_problem(found)}" for found in error.errors()]
    if problems:
        raise SourceError(f"{path}: " + "; ".join(problems))
    return sources


def _problem(error: ErrorDetails) -> str:
    """Say what is wrong with an entry of a list."""
    place = ".".join(map(str, error["loc"]))
    if error["type"] in ("extra_forbidden", "missing") or not place:
        found = {"extra_forbidden": "unknown field", "missing": "is missing"}.get(
            error["type"], f"found {error['input']!r}"
        )
        return f"{f'{place}: ' if place else ''}{found}, expected {', '.join(Source.model_fields)}"
    return f"{place}: found {error['input']!r}: {error['msg']}"


def check_sources(sources: list[Source]) -> None:
    """Refuse genomes that cannot be told apart, and files that are not there.

    Raises
    ------
    SourceError
        If there is none, if two of several have the same species, or if a file is missing.
    """
    if not sources:
        raise SourceError("expected at least one genome (--fasta or --sources), found none")
    names = [source.species for source in sources]
    if len(sources) > 1 and (len(set(names)) < len(names) or "" in names):
        raise SourceError(
            f"{len(sources)} genomes with the species {', '.join(map(repr, names[:12]))}: expected "
            "a species for each, and each another"
        )
    for source in sources:
        for file in source.files:
            if not file.is_file():
                instead = "a folder" if file.is_dir() else "nothing there"
                raise SourceError(
                    f"{file}: expected a file to read, found {instead}: check the path"
                )


def _downloaded(folder: Path) -> list[Source]:
    """Return the genomes of a folder of downloads, in the order of their species."""
    found: dict[str, dict[str, Any]] = {}
    for record in read_downloads(folder).files:
        kind = next((kind for kind, end in _ENDINGS.items() if end.search(record.file)), None)
        if kind is None:
            continue
        genome = found.setdefault(record.species or record.name, {"fasta": [], "vcf": []})
        if kind in ("fasta", "vcf"):
            genome[kind].append(folder / record.file)
        else:
            genome[kind] = folder / record.file
        if kind == "fasta":
            genome |= {"assembly": record.assembly, "group": record.group, "weight": record.weight}
    missing = [species for species, genome in found.items() if not genome["fasta"]]
    if missing or not found:
        raise SourceError(
            f"{folder}: no FASTA or 2bit file of {', '.join(missing) or 'any species'}: expected "
            "the sequence of each; download it into the same folder, or list the files in a YAML "
            "file (--sources)"
        )
    return [Source(species=species, **genome) for species, genome in sorted(found.items())]


def _beside(folder: Path, source: Source) -> Source:
    """Make the paths of a source relative to a folder."""
    return source.model_copy(
        update={
            "fasta": tuple(folder / path for path in source.fasta),
            "vcf": tuple(folder / path for path in source.vcf),
            "gff": None if source.gff is None else folder / source.gff,
            "bed": None if source.bed is None else folder / source.bed,
            "weights": None if source.weights is None else folder / source.weights,
        }
    )
