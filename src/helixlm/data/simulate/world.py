"""`simulate`: settings in, a folder with a world and its truth out; `load_world` opens it again.

What the folder holds, with S for each species and F for the focal one::

    manifest.json             settings, counts, splits, size and SHA-256 of every file
    tree.nwk                  the tree
    S.fa  S.gff3              genome (repeats in lower case) and genes
    annotation/S/*.bed        promoters tss tata initiators motifs signals enhancers repeats
                              gaps gc_regions; for F also constrained (bases that selection keeps)
    motifs.meme signals.meme  the matrices of the planted sites
    alignments/S.chain        F aligned with each other species
    effects/CONTIG.npy        effect and selection coefficient of every possible SNV of F
    variants.vcf              phased variants of individuals of F
    haplotypes.tsv            SHA-256 of each of their haplotypes
    variant_labels.tsv        deleterious and neutral SNVs
    tasks/TASK/SPLIT.csv      sequence,label; the .bed beside it has the place of each row

The folder is made under another name and renamed when it is complete. Every file has the same
bytes on every machine.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from helixlm.data.simulate.ancestor import Genome, build_ancestor
from helixlm.data.simulate.config import WorldConfig
from helixlm.data.simulate.effects import EFFECTS, EffectModel, Effects
from helixlm.data.simulate.evolve import Lineage, align, evolve
from helixlm.data.simulate.formats import (
    Frame,
    write_beds,
    write_chain,
    write_fasta,
    write_gff3,
    write_intervals,
    write_motif_files,
    write_text,
)
from helixlm.data.simulate.individuals import draw_variants
from helixlm.data.simulate.labels import write_labels
from helixlm.data.simulate.matrices import FACTORS
from helixlm.data.simulate.tasks import write_tasks
from helixlm.data.simulate.variants import Variant
from helixlm.data.simulate.vcf import sample_names, write_haplotypes, write_vcf
from helixlm.errors import InputError, StateError
from helixlm.version import __version__

Progress = Callable[[int, int | None], None]

FORMAT_VERSION = 1  # raised with every change of what the same settings give
EFFECT_DTYPE = np.dtype([("effect", "u1", (4,)), ("selection", "<i2", (4,))])
_log = logging.getLogger(__name__)


class FileEntry(BaseModel):
    """Size and hash of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bytes: int
    sha256: str


class WorldManifest(BaseModel):
    """What a world holds; `manifest.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int
    helixlm_version: str
    config: WorldConfig
    species: tuple[str, ...]
    """The focal species first."""
    contigs: dict[str, dict[str, int]]
    """For each species, contig name to length in bp."""
    split_of_contig: dict[str, str]
    """"train", "dev" or "test"; the same names are homologous in all species."""
    counts: dict[str, int]
    """How many of what there are in the focal species."""
    files: dict[str, FileEntry]
    """All other files, by path relative to the folder."""


class VariantEffect(NamedTuple):
    """What a single-base change does.

    Attributes
    ----------
    effect : str
        One of `helixlm.data.simulate.EFFECTS`.
    selection : float
        Selection coefficient s <= 0, no unit; exactly 0.0 where nothing is lost.
    """

    effect: str
    selection: float


class World(NamedTuple):
    """A simulated world in a folder.

    Attributes
    ----------
    path : Path
        The folder.
    manifest : WorldManifest
        What it holds.
    """

    path: Path
    manifest: WorldManifest

    @property
    def species(self) -> tuple[str, ...]:
        """Names of the species, the focal one first."""
        return self.manifest.species

    @property
    def focal(self) -> str:
        """The species with individuals, variant effects, labels and tasks."""
        return self.manifest.species[0]

    def contigs_of_split(self, split: str) -> tuple[str, ...]:
        """Return the contigs of "train", "dev" or "test"; they are called so in every species."""
        return tuple(c for c, s in self.manifest.split_of_contig.items() if s == split)

    def fasta(self, species: str | None = None) -> Path:
        """Return the FASTA file of a species, by default of the focal one."""
        return self.path / f"{species or self.focal}.fa"

    def gff3(self, species: str | None = None) -> Path:
        """Return the GFF3 file of a species, by default of the focal one."""
        return self.path / f"{species or self.focal}.gff3"

    def bed(self, name: str, species: str | None = None) -> Path:
        """Return a BED file of a species, such as "repeats", by default of the focal one."""
        return self.path / "annotation" / (species or self.focal) / f"{name}.bed"

    def task(self, name: str, split: str) -> Path:
        """Return the CSV file of "promoter" or "splice_donor" for a split."""
        return self.path / "tasks" / name / f"{split}.csv"

    @property
    def vcf(self) -> Path:
        """The phased variants of the individuals."""
        return self.path / "variants.vcf"

    @property
    def labels(self) -> Path:
        """The labelled variants."""
        return self.path / "variant_labels.tsv"

    def effects(self, contig: str) -> NDArray[Any]:
        """Return effects and selection coefficients of all SNVs of a contig, memory-mapped.

        Returns
        -------
        ndarray, structured, shape (contig length,)
            Field ``effect``, uint8, shape (4,): index into `EFFECTS` of a change to A, C, G, T.
            Field ``selection``, int16, shape (4,): selection coefficient in 1/1,000,000.

        Raises
        ------
        InputError
            If the focal species has no such contig.
        """
        lengths = self.manifest.contigs[self.focal]
        if contig not in lengths:
            raise InputError(f"contig {contig!r}: {self.focal} has {', '.join(lengths)}")
        table: NDArray[Any] = np.load(self.path / "effects" / f"{contig}.npy", mmap_mode="r")
        return table

    def variant_effect(self, contig: str, position: int, alt: str) -> VariantEffect:
        """Return what a single-base change of the focal genome does.

        Parameters
        ----------
        contig : str
            Contig of the focal species.
        position : int
            0-based.
        alt : str
            The new letter; the letter that is there already gives the effect "none".

        Raises
        ------
        InputError
            If there is no such contig or position, or `alt` is not one of A, C, G, T.
        """
        table = self.effects(contig)
        if not 0 <= position < len(table):
            raise InputError(f"{contig}:{position}: expected a 0-based position below {len(table)}")
        if len(alt) != 1 or alt not in "ACGT":
            raise InputError(f"{contig}:{position}: found alt {alt!r}, expected A, C, G or T")
        letter = "ACGT".index(alt)
        row = table[position]
        effect = EFFECTS[int(row["effect"][letter])]
        return VariantEffect(effect, int(row["selection"][letter]) / 1_000_000)


def simulate(
    output: Path, config: WorldConfig | None = None, *, progress: Progress | None = None
) -> World:
    """Make a world, or return the one that is there if it has the same settings.

    Parameters
    ----------
    output : Path
        The folder to make; an empty one is taken too.
    config : WorldConfig, optional
        The settings, by default ``WorldConfig()``.
    progress : callable, optional
        Called as ``progress(done, total)`` after each part.

    Returns
    -------
    World
        The world in `output`.

    Raises
    ------
    StateError
        If `output` holds something else: other files, or a world with other settings.
    LayoutError
        If a contig cannot hold what the settings ask for.

    Examples
    --------
    >>> world = simulate(Path("world"), WorldConfig(seed=7))  # doctest: +SKIP
    """
    config = WorldConfig() if config is None else config
    output = Path(output)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        return _existing(output, config)
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.parent / f".{output.name}.partial-{os.getpid()}"
    try:
        partial.mkdir()
        manifest = _write_world(partial, config, progress)
        text = manifest.model_dump_json(indent=2)
        write_text(partial / "manifest.json", text.splitlines())
        partial.rename(output)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return World(output, manifest)


def _existing(output: Path, config: WorldConfig) -> World:
    if not (output / "manifest.json").is_file():
        raise StateError(
            f"{output}: is there already and is not a simulated world; choose another folder"
        )
    world = load_world(output)
    if world.manifest.config != config:
        old, new = world.manifest.config.model_dump(), config.model_dump()
        names = ", ".join(name for name in new if old[name] != new[name])
        raise StateError(
            f"{output}: holds a world with other settings ({names}); choose another folder, or "
            "remove this one"
        )
    return world


def load_world(path: Path, *, verify: bool = False) -> World:
    """Open a world.

    Parameters
    ----------
    path : Path
        The folder that `simulate` made.
    verify : bool
        Compute the SHA-256 of every file, and not only look at its size.

    Raises
    ------
    StateError
        If the folder holds no world, one of another format version, or a file is missing or has
        changed.
    """
    path = Path(path)
    file = path / "manifest.json"
    if not file.is_file():
        raise StateError(f"{path}: holds no manifest.json, so it is not a simulated world")
    try:
        manifest = WorldManifest.model_validate_json(file.read_text("ascii"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise StateError(
            f"{file}: cannot be read as the manifest of a world of this version of helixlm "
            f"({str(error).splitlines()[0]}); simulate it again"
        ) from error
    if manifest.format_version != FORMAT_VERSION:
        raise StateError(
            f"{file}: format version {manifest.format_version}, this helixlm makes and reads "
            f"{FORMAT_VERSION}; simulate it again"
        )
    for name, entry in manifest.files.items():
        part = path / name
        if not part.is_file() or part.stat().st_size != entry.bytes:
            raise StateError(f"{part}: missing or changed; simulate the world again")
        if verify and _sha256(part) != entry.sha256:
            raise StateError(f"{part}: the SHA-256 is not that of the manifest; simulate it again")
    return World(path, manifest)


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _write_world(folder: Path, config: WorldConfig, progress: Progress | None) -> WorldManifest:
    """Make the world and write all files but the manifest, which is returned."""
    total = 5 + len(config.species)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    ancestor = build_ancestor(config)
    tick()
    lineages = evolve(ancestor, config)
    tick()
    names = tuple(config.contig_bp)
    frames = {name: Frame(names, line.genome.bounds) for name, line in lineages.items()}
    for species, lineage in lineages.items():
        _write_species(folder, species, lineage, lineages[config.focal], frames, config)
        tick()
    genome, frame = lineages[config.focal].genome, frames[config.focal]
    effects = EffectModel(genome.features, len(genome.codes), config.selection).table(genome.codes)
    _write_effects(folder, effects, frame, config.focal)
    tick()
    variants = draw_variants(genome, effects, config)
    samples = sample_names(config.focal, config.individuals)
    write_vcf(folder / "variants.vcf", variants, samples, frame)
    write_haplotypes(folder / "haplotypes.tsv", variants, samples, genome, frame)
    tick()
    labels = write_labels(folder / "variant_labels.tsv", genome, effects, frame, config)
    rows = write_tasks(folder / "tasks", genome, frame, config)
    write_motif_files(folder)
    write_text(folder / "tree.nwk", [config.tree])
    files = sorted(part for part in folder.rglob("*") if part.is_file())
    manifest = WorldManifest(
        format_version=FORMAT_VERSION,
        helixlm_version=__version__,
        config=config,
        species=config.species,
        contigs={name: frames[name].lengths for name in config.species},
        split_of_contig=config.split_of_contig,
        counts=_count(genome, effects, variants) | {"labels": labels} | rows,
        files={
            part.relative_to(folder).as_posix(): FileEntry(
                bytes=part.stat().st_size, sha256=_sha256(part)
            )
            for part in files
        },
    )
    tick()
    _log.info("simulated %d species, %d files", len(config.species), len(files))
    return manifest


def _write_species(
    folder: Path,
    species: str,
    lineage: Lineage,
    focal: Lineage,
    frames: dict[str, Frame],
    config: WorldConfig,
) -> None:
    frame = frames[species]
    write_fasta(folder / f"{species}.fa", lineage.genome, frame)
    write_gff3(folder / f"{species}.gff3", lineage.genome, frame)
    write_beds(folder / "annotation" / species, lineage.genome, frame)
    if species != config.focal:
        place = align(focal, lineage)
        write_chain(folder / "alignments" / f"{species}.chain", place, frames[config.focal], frame)


def _write_effects(folder: Path, effects: Effects, frame: Frame, focal: str) -> None:
    (folder / "effects").mkdir()
    for index, contig in enumerate(frame.names):
        part = slice(int(frame.bounds[index]), int(frame.bounds[index + 1]))
        table = np.zeros(part.stop - part.start, dtype=EFFECT_DTYPE)
        table["effect"] = effects.effect[part]
        table["selection"] = effects.selection[part]
        np.save(folder / "effects" / f"{contig}.npy", table, allow_pickle=False)
    path = folder / "annotation" / focal / "constrained.bed"
    write_intervals(path, effects.constrained(), frame)


def _count(genome: Genome, effects: Effects, variants: list[Variant]) -> dict[str, int]:
    """Return how many of what there are in the focal species, and how many bases of what."""
    features, length = genome.features, len(genome.codes)
    counts = {f"bases_{k}": int(features.of(k).mask(length).sum()) for k in ("cds", "exon", "gap")}
    counts["bases_repeat"] = int(features.of("repeat", "tandem").mask(length).sum())
    counts["bases_constrained"] = int(effects.constrained().sum())
    counts["bases"] = length
    for kind in ("gene", "exon", "enhancer", "repeat", "tandem"):
        counts[f"{kind}s" if kind != "tandem" else "tandem_repeats"] = len(features.of(kind).start)
    counts["introns"] = len(features.sites("DONOR").start)
    counts["motif_sites"] = len(features.sites(*FACTORS).start)
    counts["tata_boxes"] = len(features.sites("TATA").start)
    for kind in ("SNV", "INDEL", "DEL", "INS", "DUP", "INV"):
        counts[f"variants_{kind}"] = sum(variant.kind == kind for variant in variants)
    return counts
