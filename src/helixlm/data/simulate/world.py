"""The folder of a simulated world: what it holds, and its effects by place.

With S for each species and F for the focal one::

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

`build.py` makes it; nothing here is random.
"""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from helixlm.data.folder import FileRecord, Manifest, check_files, read_manifest
from helixlm.data.simulate.config import WorldConfig
from helixlm.data.simulate.effects import EFFECTS
from helixlm.errors import InputError

EFFECT_DTYPE = np.dtype([("effect", "u1", (4,)), ("selection", "<i2", (4,))])


class WorldManifest(Manifest):
    """What a world holds; `manifest.json`."""

    format: str = "helixlm simulated world"
    format_version: int = 1
    """Raised with every change of what the same settings give."""
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
    files: tuple[FileRecord, ...]
    """All other files, sorted by path."""


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
    manifest = read_manifest(path, WorldManifest)
    check_files(path, manifest.files, contents=verify)
    return World(path, manifest)
