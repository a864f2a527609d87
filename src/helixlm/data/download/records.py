"""What a folder of downloads holds: ``manifest.json`` beside the files, for `prepare` and others.

It is replaced after every file, so it names what is there at any moment. Several manifests may be
downloaded into one folder; a file is known by its name.
"""

from pathlib import Path

from pydantic import Field

from helixlm.data.folder import MANIFEST, FileRecord, Manifest, check_files, read_manifest
from helixlm.files import replace_file
from helixlm.version import __version__


class DownloadedFile(FileRecord, frozen=True, extra="forbid"):
    """One file that was got."""

    name: str
    """Name of the entry in the manifest."""
    species: str
    group: str
    weight: float = Field(gt=0)
    """How much of it to take in a mixture, against the weights of the others."""
    manifest: str
    """The manifest that named it."""
    url: str
    accession: str
    assembly: str
    md5: str
    checked: str
    """What it was compared with: "manifest", "published" (a list on the server), or "" where no
    checksum was published: then `sha256` says what came, not what should have come."""
    etag: str
    last_modified: str


class Downloads(Manifest):
    """All files of a folder, by name."""

    format: str = "helixlm download folder"
    format_version: int = 1
    helixlm_version: str = __version__
    files: tuple[DownloadedFile, ...] = ()

    def with_file(self, file: DownloadedFile) -> "Downloads":
        """Return these records with one more, or with one in place of that of its name."""
        others = [known for known in self.files if known.file != file.file]
        files = sorted([*others, file], key=lambda known: known.file)
        return Downloads(files=tuple(files))


def read_downloads(folder: str | Path, *, contents: bool = False) -> Downloads:
    """Read what was downloaded into a folder.

    Parameters
    ----------
    folder : str or Path
        The folder.
    contents : bool
        Also read every file and compare its SHA-256; otherwise its size only.

    Returns
    -------
    Downloads
        Name, species, group, weight, path inside the folder and checksums of every file.

    Raises
    ------
    StateError
        If it is no folder of downloads, or a file is missing or is not what came.
    """
    found = read_manifest(Path(folder), Downloads)
    check_files(Path(folder), found.files, contents=contents)
    return found


def known_downloads(folder: Path) -> Downloads:
    """Return the records of a folder as they are; none where it has no records yet."""
    if not (folder / MANIFEST).exists():
        return Downloads()
    return read_manifest(folder, Downloads)


def write_downloads(folder: Path, downloads: Downloads) -> None:
    """Replace the records of a folder."""
    with replace_file(folder / MANIFEST) as temporary:
        temporary.write_text(downloads.model_dump_json(indent=2) + "\n", encoding="utf-8")
