"""What to download: a list of files with their addresses, checksums, groups and weights.

Comes in: the name of a manifest that ships with helixlm, or a YAML or TSV file. Goes out: a
checked `DownloadManifest`, or one error that lists every problem with its place. Where the files
lie on the servers is worked out in `addresses.py`; nothing here opens a connection.
"""

import difflib
import re
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from helixlm.data.download.addresses import parse_accession
from helixlm.data.download.checksums import Checksums, parse_checksum
from helixlm.data.folder import MANIFEST
from helixlm.data.formats.delimited import delimiter_of, iter_rows
from helixlm.errors import InputError

_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=@,-]{0,199}")
_SECTIONS = ("name", "description", "entries", "unresolved")


class ManifestError(InputError):
    """A manifest that cannot be found, read or used."""


class Entry(BaseModel, frozen=True, extra="forbid"):
    """One file to download."""

    name: str = Field(min_length=1)
    """Unique in the manifest; a species, or what else tells the file from the others."""
    accession: str = ""
    """``GCF_...`` or ``GCA_...`` with its version, ``ucsc:DATABASE``, or
    ``ensembl:RELEASE/SPECIES``; in place of `url`."""
    assembly: str = ""
    """Name of the assembly, such as GRCh38.p14; with an accession of NCBI it spares a look into
    the server's folder."""
    url: str = ""
    """Address, https:// or http://; in place of `accession`."""
    file: str = ""
    """Name in the output folder; by default the last part of the address."""
    checksum: str = ""
    """MD5 (32 digits), SHA-256 (64 digits), or both with a blank between them."""
    checksums: str = ""
    """Address of a published list of checksums that names the file; a list beside the file may be
    given by its name alone."""
    bytes: int | None = Field(None, gt=0)
    """Size, where it is known."""
    species: str = ""
    """Species; by default the name."""
    group: str = ""
    """Group that the species belongs to, such as fungi."""
    weight: float = Field(1.0, gt=0, allow_inf_nan=False)
    """How much of it to take in a mixture, against the weights of the others."""

    @field_validator("accession")
    @classmethod
    def _is_accession(cls, value: str) -> str:
        if value:
            parse_accession(value)
        return value

    @field_validator("assembly")
    @classmethod
    def _is_one_name(cls, value: str) -> str:
        if "/" in value:
            raise ValueError("expected the name of an assembly, such as GRCh38.p14, without a /")
        return value

    @field_validator("url", "checksums")
    @classmethod
    def _is_address(cls, value: str, info: Any) -> str:
        if not value or (info.field_name == "checksums" and _SAFE_NAME.fullmatch(value)):
            return value
        parts = urlsplit(value)
        if parts.scheme == "ftp":
            raise ValueError(
                "expected https:// or http://; NCBI, Ensembl, UCSC and EBI answer https:// at the "
                "same address"
            )
        if parts.scheme not in ("https", "http") or not parts.netloc:
            raise ValueError("expected an address that begins with https:// or http://")
        return value

    @field_validator("checksum")
    @classmethod
    def _is_checksum(cls, value: str) -> str:
        parse_checksum(value)
        return value

    @field_validator("file")
    @classmethod
    def _is_safe(cls, value: str) -> str:
        if value and (problem := _name_problem(value)):
            raise ValueError(problem)
        return value

    @model_validator(mode="after")
    def _can_be_named(self) -> "Entry":
        if self.url and not self.file and (problem := _name_problem(self.file_name)):
            raise ValueError(f"the address ends in {self.file_name!r}: {problem}: give 'file'")
        return self

    @property
    def file_name(self) -> str:
        """Name in the output folder; empty where it is known only from the server."""
        return self.file or unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def expected(self) -> Checksums:
        """The checksums that the manifest gives."""
        return parse_checksum(self.checksum)


class Unresolved(BaseModel, frozen=True, extra="forbid"):
    """Species that belong to the set, but whose files are not known."""

    group: str
    """Group that they belong to."""
    count: int = Field(gt=0)
    """How many species."""
    reason: str = Field(min_length=1)
    """Why they cannot be fetched."""
    names: tuple[str, ...] = ()
    """Their names, as far as they are known."""

    @model_validator(mode="after")
    def _names_fit(self) -> "Unresolved":
        if len(self.names) > self.count:
            raise ValueError(f"{len(self.names)} names, expected at most count {self.count}")
        return self


class DownloadManifest(BaseModel, frozen=True, extra="forbid"):
    """A checked manifest."""

    name: str
    """What the manifest is called."""
    description: str = ""
    """What is in it, where the figures come from, and what is missing."""
    entries: tuple[Entry, ...] = ()
    """Files that can be fetched."""
    unresolved: tuple[Unresolved, ...] = ()
    """Species that cannot."""
    source: str = ""
    """Where it was read from."""

    @property
    def num_unresolved(self) -> int:
        """Species that cannot be fetched."""
        return sum(part.count for part in self.unresolved)

    def missing(self) -> str:
        """Say in one line what cannot be fetched and why; empty where all can."""
        counts: dict[str, list[str]] = {}
        for part in self.unresolved:
            counts.setdefault(part.reason, []).append(f"{part.count} {part.group}")
        return "; ".join(f"{', '.join(groups)}: {reason}" for reason, groups in counts.items())


class _Row(NamedTuple):
    """One entry as it was written, and where."""

    place: str
    values: dict[str, Any]


def list_manifests() -> dict[str, str]:
    """Return the manifests that ship with helixlm: name to first sentence of the description."""
    found = {}
    for file in sorted(_shipped().iterdir(), key=lambda file: file.name):
        if file.name.endswith(".yaml"):
            values = yaml.safe_load(file.read_text(encoding="utf-8"))
            found[file.name.removesuffix(".yaml")] = " ".join(
                str(values["description"]).partition(". ")[0].removesuffix(".").split()
            )
    return found


def load_manifest(source: str | Path) -> DownloadManifest:
    """Read and check a manifest.

    Parameters
    ----------
    source : str or Path
        The name of a manifest that ships with helixlm (`list_manifests`), or a file. ``.yaml``
        has the keys ``name``, ``description``, ``entries`` (a list; the fields of `Entry`) and
        ``unresolved``; ``.tsv`` (tab-separated) or ``.csv`` has the fields of `Entry` as columns.

    Returns
    -------
    DownloadManifest
        Complete and frozen.

    Raises
    ------
    ManifestError
        If there is no such manifest, if it is not YAML, or listing every problem with its place.
    TableError
        If a table cannot be read.
    """
    path = Path(source)
    if path.name.lower().endswith((".tsv", ".csv")):
        values: dict[str, Any] = {"name": path.stem}
        rows, problems = list(_table_rows(path)), _column_problems(path)
    else:
        values = _read_yaml(source)
        rows, problems = _yaml_rows(values)
    entries = [entry for row in rows if (entry := _check_row(row, problems)) is not None]
    problems += _doubles(rows)
    if not rows and not values.get("unresolved") and not problems:
        problems.append("entries: expected at least one, found none")
    known = {key: values[key] for key in ("description", "unresolved") if values.get(key)}
    try:
        manifest = DownloadManifest(
            name=str(values.get("name") or path.stem),
            entries=tuple(entries),
            source=_location(source),
            **known,
        )
    except ValidationError as error:
        problems += [_describe(problem) for problem in error.errors()]
    if problems:
        listed = "\n".join(f"  {line}" for line in problems)
        raise ManifestError(f"manifest {source}: {len(problems)} problem(s):\n{listed}")
    return manifest


def _shipped() -> Any:
    return resources.files("helixlm.data") / "manifests"


def _location(source: str | Path) -> str:
    """Where the text of a manifest can be looked at."""
    return str(source) if Path(source).is_file() else str(_shipped() / f"{source}.yaml")


def _read_yaml(source: str | Path) -> dict[str, Any]:
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise ManifestError(f"manifest {source}: no such file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ManifestError(f"manifest {source}: cannot be read: {error}") from error
    else:
        names = list_manifests()
        if str(source) not in names:
            raise ManifestError(
                f"manifest {str(source)!r}: neither a .yaml, .tsv or .csv file nor one that ships "
                f"with helixlm; these are: {', '.join(names)}{_suggest(str(source), list(names))}"
            )
        text = (_shipped() / f"{source}.yaml").read_text(encoding="utf-8")
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ManifestError(f"manifest {source}: not YAML: {error}") from error
    if not isinstance(values, dict):
        found = "nothing" if values is None else type(values).__name__
        raise ManifestError(f"manifest {source}: found {found}, expected keys such as 'entries:'")
    return values


def _yaml_rows(values: dict[str, Any]) -> tuple[list[_Row], list[str]]:
    problems = [
        f"{key}: unknown key{_suggest(str(key), _SECTIONS)}"
        for key in values
        if key not in _SECTIONS
    ]
    listed = values.get("entries") or []
    if not isinstance(listed, list):
        return [], [*problems, f"entries: found {type(listed).__name__}, expected a list"]
    rows = []
    for number, given in enumerate(listed, 1):
        if isinstance(given, dict):
            rows.append(_Row(f"entry {number}", given))
        else:
            problems.append(f"entry {number}: found {given!r}, expected keys such as 'name:'")
    return rows, problems


def _table_rows(path: Path) -> Iterator[_Row]:
    optional = [field for field in Entry.model_fields if field != "name"]
    for row in iter_rows(path, ["name"], optional=optional):
        given = {key: value for key, value in row.fields.items() if value or key == "name"}
        yield _Row(f"line {row.line}", given)


def _column_problems(path: Path) -> list[str]:
    """Columns of a sound table that mean nothing here."""
    with path.open(encoding="utf-8-sig", errors="replace") as text:
        header = next((line for line in text if line.strip()), "")
    names = [name.strip().strip('"').lower() for name in header.split(delimiter_of(path))]
    fields = list(Entry.model_fields)
    return [
        f"column {name!r}: unknown key{_suggest(name, fields)}"
        for name in names
        if name not in fields
    ]


def _check_row(row: _Row, problems: list[str]) -> Entry | None:
    """Make an entry, or add what is wrong with it to the problems."""
    name = row.values.get("name")
    place = f"{row.place} ({name!r})" if name else row.place
    before = len(problems)
    given = [key for key in ("accession", "url") if row.values.get(key)]
    if len(given) != 1:
        found = "both" if given else "neither"
        problems.append(f"{place}: found {found} url and accession, expected one of them")
    try:
        entry = Entry.model_validate(row.values)
    except ValidationError as error:
        problems += [f"{place}: {_describe(problem)}" for problem in error.errors()]
        return None
    return entry if len(problems) == before else None


def _doubles(rows: Sequence[_Row]) -> list[str]:
    """Names, and names of files, that stand at two entries."""
    problems = []
    for key, read in (("name", _written_name), ("file", _written_file)):
        first: dict[str, str] = {}
        for row in rows:
            # Some file systems do not tell A.fa from a.fa.
            value = read(row.values)
            if not value:
                continue
            if value.casefold() in first:
                problems.append(
                    f"{row.place}: {key}: {value!r} is also that of {first[value.casefold()]}: "
                    f"give each a {key} of its own"
                )
            first.setdefault(value.casefold(), row.place)
    return problems


def _written_name(values: dict[str, Any]) -> str:
    return str(values.get("name") or "")


def _written_file(values: dict[str, Any]) -> str:
    """Return the file that an entry will write, or the accession that decides it."""
    last = unquote(urlsplit(str(values.get("url") or "")).path.rpartition("/")[2])
    return str(values.get("file") or last or values.get("accession") or "")


def _name_problem(name: str) -> str:
    """Say what is wrong with the name of a file; empty if nothing is."""
    if not _SAFE_NAME.fullmatch(name):
        return "expected a file name of letters, digits and ._+=@,- without a folder"
    if name.casefold() == MANIFEST:
        return f"{MANIFEST} is the name of the record that is kept beside the files"
    return ""


def _describe(problem: Any) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = Unresolved if "unresolved" in problem["loc"] else Entry
        return f"{path}: unknown key{_suggest(str(problem['loc'][-1]), list(known.model_fields))}"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem.get("input")
    if problem["type"] == "string_type":
        message = "expected text; put it in quotes"
    shown = "" if isinstance(given, dict | BaseModel) else f" (found {given!r})"
    return f"{path}: {message}{shown}" if path else f"{message}{shown}"


def _suggest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(known)}"
