"""Download what a manifest names: genomes and variant files, resumed, checked and recorded.

From a manifest to files: `manifest` (what to get) -> `addresses` (from accessions to addresses)
-> `checksums` (what is published beside a file) -> `session` (HTTP with patience) -> `fetch` (one
file, resumed) -> `run` (all files, in parallel) -> `records` (what was got, for `prepare` and
others).
"""

from helixlm.data.download.addresses import AddressError
from helixlm.data.download.checksums import ChecksumError
from helixlm.data.download.manifest import (
    DownloadManifest,
    Entry,
    ManifestError,
    Unresolved,
    list_manifests,
    load_manifest,
)
from helixlm.data.download.records import DownloadedFile, Downloads, read_downloads
from helixlm.data.download.run import DownloadResult, download
from helixlm.data.download.session import DownloadError, SessionConfig

__all__ = [
    "AddressError",
    "ChecksumError",
    "DownloadError",
    "DownloadManifest",
    "DownloadResult",
    "DownloadedFile",
    "Downloads",
    "Entry",
    "ManifestError",
    "SessionConfig",
    "Unresolved",
    "download",
    "list_manifests",
    "load_manifest",
    "read_downloads",
]
