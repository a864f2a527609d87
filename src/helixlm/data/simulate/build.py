"""`simulate`: settings in, a folder with a world and its truth out.

The folder is made under a hidden name and renamed when it is complete (`data/folder.py`). Every
file has the same bytes on every machine; `world.py` says what they are.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from helixlm.data.folder import (
    MANIFEST,
    FileRecord,
    file_sha256,
    new_folder,
    refuse_differences,
    write_manifest,
)
from helixlm.data.simulate.ancestor import Genome, build_ancestor
from helixlm.data.simulate.config import WorldConfig
from helixlm.data.simulate.effects import EffectModel, Effects
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
from helixlm.data.simulate.world import EFFECT_DTYPE, World, WorldManifest, load_world
from helixlm.version import __version__

Progress = Callable[[int, int | None], None]
_log = logging.getLogger(__name__)


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
        If `output` holds something else (other files, or a world with other settings), or the
        disk is full.
    LayoutError
        If a contig cannot hold what the settings ask for.

    Examples
    --------
    >>> world = simulate(Path("world"), WorldConfig(seed=7))  # doctest: +SKIP
    """
    config = WorldConfig() if config is None else config
    output = Path(output)
    if (output / MANIFEST).is_file():
        world = load_world(output)
        there = world.manifest.config
        refuse_differences(
            output,
            {
                name: (getattr(there, name), getattr(config, name))
                for name in type(config).model_fields
            },
        )
        return world
    with new_folder(output) as folder:
        manifest = _write_world(folder, config, progress)
        write_manifest(folder, manifest)
    return World(output, manifest)


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
        helixlm_version=__version__,
        config=config,
        species=config.species,
        contigs={name: frames[name].lengths for name in config.species},
        split_of_contig=config.split_of_contig,
        counts=_count(genome, effects, variants) | {"labels": labels} | rows,
        files=tuple(_record(part, folder) for part in files),
    )
    tick()
    _log.info("simulated %d species, %d files", len(config.species), len(files))
    return manifest


def _record(path: Path, folder: Path) -> FileRecord:
    name = path.relative_to(folder).as_posix()
    return FileRecord(file=name, bytes=path.stat().st_size, sha256=file_sha256(path))


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
