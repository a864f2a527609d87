"""A small world with known truth: a clade of species, individuals, and what every base is for.

`simulate` makes a folder of ordinary files (FASTA, GFF3, BED, VCF, MEME, CSV) that agree with
each other by construction, so that everything built on such files can be tried, tested and
demonstrated without a download. The same settings give the same bytes on every machine.

From the settings to the files: `config` -> `layout`, `genes`, `repeats` (with `matrices` and
`codons`) -> `ancestor` -> `evolve` (with `effects`) -> `individuals` (with `spectrum` and
`variants`) -> `formats`, `vcf`, `labels`, `tasks` -> `build`, `world`.
"""

from helixlm.data.simulate.build import simulate
from helixlm.data.simulate.config import SelectionConfig, WorldConfig, small_config
from helixlm.data.simulate.effects import EFFECTS
from helixlm.data.simulate.layout import LayoutError
from helixlm.data.simulate.tree import TreeError
from helixlm.data.simulate.world import (
    VariantEffect,
    World,
    WorldManifest,
    load_world,
)

__all__ = [
    "EFFECTS",
    "LayoutError",
    "SelectionConfig",
    "TreeError",
    "VariantEffect",
    "World",
    "WorldConfig",
    "WorldManifest",
    "load_world",
    "simulate",
    "small_config",
]
