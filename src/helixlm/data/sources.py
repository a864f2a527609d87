"""The genomes that a corpus is made from, and what belongs to each.

In: paths on the command line, a YAML file that lists species, or a folder that `helixlm download`
has filled. Out: a `Source` for each species: a genome, or sequences without one (a CDS FASTA file,
a column of a data set), see `records.py`. Paths in a file are relative to it.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from helixlm.data.download import DownloadedFile, read_downloads
from helixlm.data.formats.datasets_column import TABLES
from helixlm.data.windows import WindowConfig
from helixlm.errors import InputError

_ENDINGS = {
    kind: re.compile(rf"{ends}$", re.IGNORECASE)
    for kind, ends in {
        # such as Ensembl's .cds.all.fa.gz and NCBI's _cds_from_genomic.fna.gz
        "cds": r"[._]cds[._]([^/]*\.)?(fa|fna|fasta)(\.b?gz)?",
        "fasta": r"\.((fa|fna|fasta|ffn)(\.b?gz)?|2bit)",
        "vcf": r"\.(vcf(\.b?gz)?|bcf)",
        "gff": r"\.gff3?(\.b?gz)?",
        "bed": r"\.bed(\.b?gz)?",
    }.items()
}
_KINDS = ("fasta", "cds", "dataset")
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


class SourceError(InputError):
    """A list of genomes that cannot be used."""


class Source(BaseModel):
    """One genome and what belongs to it; or sequences that stand for themselves.

    Exactly one of `fasta`, `cds` and `dataset` is given. What has coordinates of the genome (`vcf`,
    `gff`, `bed`, `weights`) goes with `fasta` alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fasta: tuple[Path, ...] = ()
    """FASTA (plain, gzip, bgzip) or 2bit files; contig names are unique over all of them."""
    cds: tuple[Path, ...] = ()
    """FASTA files of coding sequences, such as Ensembl's `.cds.all.fa.gz`; names are unique over
    all of them."""
    dataset: str | None = None
    """A table (CSV, TSV, Parquet, JSON), a folder of a Hugging Face dataset, or its name on the
    hub."""
    column: str | None = None
    """Column of `dataset` with the sequences; if not given, the only one that holds DNA."""
    dataset_split: str = "train"
    """Split of `dataset`; tables have only "train"."""
    species: str = ""
    """Written into each row. Needed, and another for each, where there are several genomes."""
    assembly: str = ""
    """Written into each row."""
    group: str = ""
    """Such as "mammals"; for the report and for balance."""
    weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Mean number of copies of a training window, before the other factors of `weights`."""
    vcf: tuple[Path, ...] = ()
    """Genotypes of individuals, for haplotypes."""
    gff: Path | None = None
    """Annotation, for coding sequences and windows around features."""
    bed: Path | None = None
    """Intervals outside which nothing is taken."""
    weights: Path | None = None
    """Weights of regions, bedGraph."""
    windows: WindowConfig | None = None
    """How it is cut, if not as the recipe says."""

    @field_validator("fasta", "cds", "vcf", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str | Path) else value

    @field_validator("dataset", mode="before")
    @classmethod
    def _name(cls, value: object) -> object:
        return str(value) if isinstance(value, Path) else value

    @model_validator(mode="after")
    def _check(self) -> "Source":
        given = [name for name in _KINDS if getattr(self, name)]
        if not given:
            raise ValueError("no sequence: expected fasta, cds or dataset, found none of them")
        if len(given) > 1:
            raise ValueError(
                f"found {' and '.join(given)}, expected one of fasta, cds and dataset: list each "
                "as a genome of its own (--sources)"
            )
        misplaced = list(dict.fromkeys(name for name, _ in self.others))
        if misplaced and not self.fasta:
            raise ValueError(
                f"found {' and '.join(misplaced)} beside {given[0]}, and no genome that they have "
                "coordinates of: leave them out, or give the genome (fasta)"
            )
        if not self.dataset and (self.column or self.dataset_split != "train"):
            raise ValueError("found column or dataset_split, expected a dataset with them")
        return self

    @property
    def kind(self) -> Literal["fasta", "cds", "dataset"]:
        """How its sequence is given."""
        return "fasta" if self.fasta else "cds" if self.cds else "dataset"

    @property
    def sequence_inputs(self) -> tuple[str, ...]:
        """Paths of what holds its sequence, or the name of a dataset on the hub."""
        if self.dataset:
            return (self.dataset,)
        return tuple(map(str, self.fasta or self.cds))

    @property
    def sequence_files(self) -> tuple[Path, ...]:
        """Files on disk with its sequence; of a folder, all in it."""
        return tuple(file for name in self.sequence_inputs for file in files_below(Path(name)))

    @property
    def files(self) -> tuple[Path, ...]:
        """All its files that are on disk."""
        return (*self.sequence_files, *(path for _, path in self.others))

    @property
    def others(self) -> tuple[tuple[str, Path], ...]:
        """All files but those of sequence, each with the name of its field."""
        found = [("vcf", path) for path in self.vcf]
        for kind, path in (("gff", self.gff), ("bed", self.bed), ("weights", self.weights)):
            if path is not None:
                found.append((kind, path))
        return tuple(found)


def files_below(path: Path) -> list[Path]:
    """Return a file, the files of a folder but hidden ones, or nothing, in the order of names."""
    if not path.is_dir():
        return [path] if path.exists() else []
    found = (file for file in path.rglob("*") if file.is_file())
    return sorted(
        file
        for file in found
        if not any(part.startswith(".") for part in file.relative_to(path).parts)
    )


def prefix_of(sources: Sequence[Source], number: int) -> str:
    """Return what tells the contigs of a genome from those of others: nothing if it is alone."""
    return f"{sources[number].species}:" if len(sources) > 1 else ""


def read_sources(path: str | Path) -> list[Source]:
    """Read a list of genomes.

    Parameters
    ----------
    path : path
        A YAML file with a list, or a mapping with the list under `sources`; each entry has the
        fields of `Source`. Or a folder of downloads, whose files belong together by species,
        however files without sequence spell its assembly; what each is, its name says.

    Returns
    -------
    list of Source
        In the order of the file, paths made relative to the working folder.

    Raises
    ------
    SourceError
        If the file cannot be read; all problems at once. If a species of a folder has no sequence,
        that of several assemblies, or several files of annotation or of intervals.
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
            "genomes, each with at least 'fasta' (or 'cds', or 'dataset')"
        )
    sources, problems = [], []
    for number, entry in enumerate(entries, start=1):
        try:
            sources.append(_beside(path.parent, Source.model_validate(entry)))
        except ValidationError as error:
            for found in error.errors():
                place = "".join(f"{part}: " for part in found["loc"])
                problems.append(f"genome {number}: {place}{_problem_of(found)}")
    if problems:
        raise SourceError(f"{path}: " + "; ".join(problems))
    return sources


def make_source(fields: Mapping[str, Any]) -> Source:
    """Return the genome that options name.

    Parameters
    ----------
    fields : mapping of str to object
        Fields of `Source`.

    Raises
    ------
    SourceError
        If they make none; all problems at once.
    """
    try:
        return Source.model_validate(fields)
    except ValidationError as error:
        problems = [_problem_of(found) for found in error.errors()]
        raise SourceError(f"inputs: {'; '.join(problems)}") from error


def check_sources(sources: list[Source]) -> None:
    """Refuse genomes that cannot be told apart, and files that are not there.

    Raises
    ------
    SourceError
        If there is none, if two of several have the same species, or if a file is missing.
    """
    if not sources:
        raise SourceError(
            "expected at least one genome (--fasta, --cds, --dataset or --sources), found none"
        )
    names = [source.species for source in sources]
    if len(sources) > 1 and (len(set(names)) < len(names) or "" in names):
        raise SourceError(
            f"{len(sources)} genomes with the species {', '.join(map(repr, names[:12]))}: expected "
            "a species for each, and each another"
        )
    for source in sources:
        for file in (*source.fasta, *source.cds, *(path for _, path in source.others)):
            if not file.is_file():
                instead = "a folder" if file.is_dir() else "nothing there"
                raise SourceError(
                    f"{file}: expected a file to read, found {instead}: check the path"
                )
        name = source.dataset
        if name and not Path(name).exists() and not _may_be_on_hub(name):
            raise SourceError(
                f"{name}: expected a file, a folder, or the name of a dataset on the hub "
                "(owner/name), found nothing there"
            )


def _problem_of(error: Mapping[str, Any]) -> str:
    """Say what is wrong with a field, as one of pydantic's errors tells it."""
    fields = ", ".join(Source.model_fields)
    if error["type"] == "extra_forbidden":
        return "unknown field" + (f", expected {fields}" if len(error["loc"]) == 1 else "")
    if error["type"] == "model_type":
        return f"found {error['input']!r}, expected {fields}"
    if error["type"] == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    return f"found {error['input']!r}: {error['msg']}"


def _may_be_on_hub(name: str) -> bool:
    return bool(_HUB_NAME.fullmatch(name)) and not name.lower().endswith(TABLES)


def kind_of(file: str) -> str | None:
    """Return the field of `Source` that a file is for, as its name says; None if it is for none.

    Examples
    --------
    >>> kind_of("hg38.fa.gz"), kind_of("chr1.vcf.gz"), kind_of("chr1.vcf.gz.tbi")
    ('fasta', 'vcf', None)
    """
    return next((kind for kind, end in _ENDINGS.items() if end.search(file)), None)


def _downloaded(folder: Path) -> list[Source]:
    """Return the genomes of a folder of downloads, in the order of their species."""
    found: dict[str, dict[str, list[DownloadedFile]]] = {}
    for record in read_downloads(folder).files:
        kind = kind_of(record.file)
        if kind is not None:
            files = found.setdefault(record.species or record.name, {})
            files.setdefault(kind, []).append(record)
    missing = [species for species, files in found.items() if not files.keys() & {"fasta", "cds"}]
    if missing or not found:
        raise SourceError(
            f"{folder}: no FASTA or 2bit file of {', '.join(missing) or 'any species'}: expected "
            "the sequence of each; download it into the same folder, or list the files in a YAML "
            "file (--sources)"
        )
    return [_together(folder, species, files) for species, files in sorted(found.items())]


def _together(folder: Path, species: str, files: Mapping[str, Sequence[DownloadedFile]]) -> Source:
    """Return the genome that files of one species make; what has no sequence goes with it."""
    place = f"{folder}: {species}"
    if files.keys() >= {"fasta", "cds"}:
        raise SourceError(
            f"{place}: found both a genome and coding sequences, expected one "
            "of them: list the files that are wanted in a YAML file (--sources)"
        )
    sequence = files.get("fasta") or files["cds"]
    for name in ("assembly", "accession"):  # one assembly of two servers is two genomes as well
        several: dict[str, list[str]] = {}
        for record in sequence:
            several.setdefault(getattr(record, name), []).append(record.file)
        if len(several) > 1:
            shown = "; ".join(f"{key or 'none'}: {', '.join(v)}" for key, v in several.items())
            raise SourceError(
                f"{place}: found sequence of more than one {name} ({shown}), expected one genome "
                "of a species: list the files of one in a YAML file (--sources), or download the "
                "others into another folder"
            )
    for kind in ("gff", "bed"):
        names = [record.file for record in files.get(kind, ())]
        if len(names) > 1:
            raise SourceError(
                f"{place}: found {' and '.join(names)}, expected one {kind.upper()} file of a "
                "genome: list the one that is wanted in a YAML file (--sources)"
            )
    last = sequence[-1]
    return Source.model_validate(
        {
            "species": species,
            "assembly": last.assembly,
            "group": last.group,
            "weight": last.weight,
            **{
                kind: [folder / record.file for record in files.get(kind, ())]
                for kind in ("fasta", "cds", "vcf")
            },
            **{kind: folder / files[kind][0].file for kind in ("gff", "bed") if kind in files},
        }
    )


def _beside(folder: Path, source: Source) -> Source:
    """Make the paths of a source relative to a folder."""
    dataset = source.dataset
    if dataset and (not _may_be_on_hub(dataset) or (folder / dataset).exists()):
        dataset = str(folder / dataset)
    return source.model_copy(
        update={
            "fasta": tuple(folder / path for path in source.fasta),
            "cds": tuple(folder / path for path in source.cds),
            "dataset": dataset,
            "vcf": tuple(folder / path for path in source.vcf),
            "gff": None if source.gff is None else folder / source.gff,
            "bed": None if source.bed is None else folder / source.bed,
            "weights": None if source.weights is None else folder / source.weights,
        }
    )
