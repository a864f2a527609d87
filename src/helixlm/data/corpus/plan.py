"""What a corpus is to be made from, and whether the one that is there was made from that.

In: genomes and settings. Out: a `Plan`, by which an interrupted run knows its work; the manifest of
a finished corpus, if it fits the plan.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from helixlm.data.corpus.base import CorpusManifest, CorpusSource
from helixlm.data.corpus.rows import VariantConfig
from helixlm.data.corpus.weights import WeightConfig
from helixlm.data.folder import check_files, file_sha256, read_manifest, refuse_differences
from helixlm.data.similarity.duplicates import DuplicateConfig
from helixlm.data.sources import Source, files_below
from helixlm.data.splits import SplitConfig
from helixlm.data.windows import WindowConfig
from helixlm.version import __version__

logger = logging.getLogger(__name__)


class Plan(BaseModel):
    """What a corpus is made from, and how; files by size and time, so that looking is quick."""

    model_config = ConfigDict(frozen=True)

    helixlm_version: str = __version__
    sources: tuple[Source, ...]
    files: tuple[tuple[str, int, int], ...]
    windows: WindowConfig
    weights: WeightConfig
    variants: VariantConfig
    duplicates: DuplicateConfig | None
    split: SplitConfig
    seed: int


def stamps(sources: Sequence[Source]) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of each file."""
    found = []
    for source in sources:
        for path in source.files:
            status = path.stat()
            found.append((str(path), status.st_size, status.st_mtime_ns))
    return tuple(found)


def made_before(output: Path, plan: Plan) -> CorpusManifest:
    """Return the manifest of a finished corpus, if it is the one that is asked for.

    Parameters
    ----------
    output : Path
        The folder of the corpus.
    plan : Plan
        What is asked for.

    Returns
    -------
    CorpusManifest
        Its manifest; all its files are there.

    Raises
    ------
    StateError
        If the corpus was made from other inputs or with other settings, with all that differ; or if
        it is damaged.
    """
    found = read_manifest(output, CorpusManifest)
    compared: dict[str, tuple[object, object]] = {
        "seed": (found.seed, plan.seed),
        "duplicates": (found.duplicates, plan.duplicates),
        "number of genomes": (len(found.sources), len(plan.sources)),
        "weights.species_exponent": (
            found.weights.species_exponent,
            plan.weights.species_exponent,
        ),
        # Their order matters, and dictionaries in another order are equal.
        "weights.contigs": (
            list(found.weights.contigs.items()),
            list(plan.weights.contigs.items()),
        ),
    }
    groups: dict[str, tuple[BaseModel, BaseModel]] = {
        "windows": (found.windows, plan.windows),
        "variants": (found.variants, plan.variants),
        "split": (found.split, plan.split),
    }
    for group, (old, new) in groups.items():
        there, wanted = old.model_dump(), new.model_dump()
        for name in {**there, **wanted}:
            compared[f"{group}.{name}"] = (there.get(name), wanted.get(name))
    if len(found.sources) == len(plan.sources):
        for record, source in zip(found.sources, plan.sources, strict=True):
            compared |= _source_differences(record, source)
    refuse_differences(output, compared)
    check_files(output, found.files)
    logger.info("%s: the corpus is there already", output)
    return found


def _source_differences(found: CorpusSource, wanted: Source) -> Mapping[str, tuple[object, object]]:
    name = wanted.species or "genome"
    compared: dict[str, tuple[object, object]] = {
        f"{name}: {field}": (getattr(found, field), getattr(wanted, field))
        for field in (
            "kind", "species", "assembly", "group", "weight", "column", "dataset_split",
        )
    }  # fmt: skip
    num_wanted = len(wanted.sequence_inputs) + len(wanted.others)
    compared[f"{name}: number of files"] = (len(found.files), num_wanted)
    compared[f"{name}: other files"] = (
        [record.kind for record in found.others],
        [kind for kind, _ in wanted.others],
    )
    compared[f"{name}: windows"] = (found.windows, wanted.windows)
    if len(found.files) != num_wanted:
        return compared
    others = [(kind, str(path), file_sha256(path)) for kind, path in wanted.others]
    others.sort(key=lambda file: _order(file[0], file[2]))
    files = [(path, input_sha256(path)) for path in wanted.sequence_inputs]
    files += [(path, sha256) for _, path, sha256 in others]
    there = [(record.path, record.sha256) for record in found.inputs]
    there += [
        (record.path, record.sha256)
        for record in sorted(found.others, key=lambda file: _order(file.kind, file.sha256))
    ]
    for (old_path, old_sha256), (path, sha256) in zip(there, files, strict=True):
        if sha256 is None:  # on the hub, where nothing is read again
            compared[f"{name}: dataset"] = (old_path, path)
        else:
            compared[f"SHA-256 of {path}"] = (old_sha256[:12], sha256[:12])
    return compared


def _order(kind: str, sha256: str) -> tuple[bool, str]:
    """Sort genotypes by content, as their order changes no row, and leave others as they are."""
    return (False, sha256) if kind == "vcf" else (True, "")


def input_sha256(name: str) -> str | None:
    """Return the hash of a file or folder, as `InputFile` says; None: it is not on disk."""
    path = Path(name)
    if not path.is_dir():
        return file_sha256(path) if path.exists() else None
    digest = hashlib.sha256()
    for file in files_below(path):
        digest.update(f"{file.relative_to(path).as_posix()}\t{file_sha256(file)}\n".encode())
    return digest.hexdigest()
