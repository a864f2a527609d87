"""Labelled single-base variants, to judge variant scores by.

Comes in: the effects of all changes of the focal species. Goes out: as many deleterious variants
as neutral ones. The deleterious ones are spread evenly over their effects; half of the
neutral ones lie in genes (introns, untranslated regions, silent sites), so that being in a gene
is no answer.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from helixlm.data.simulate.ancestor import Genome
from helixlm.data.simulate.config import WorldConfig
from helixlm.data.simulate.effects import EFFECTS, Effects
from helixlm.data.simulate.formats import Frame, write_text
from helixlm.data.simulate.vcf import format_selection
from helixlm.rng import CounterRng

HEADER = "contig\tposition_1based\tref\talt\teffect\tselection\tlabel"


def write_labels(
    path: Path, genome: Genome, effects: Effects, frame: Frame, config: WorldConfig
) -> int:
    """Write labelled variants as TSV, sorted by place; return how many there are.

    Columns: contig, position_1based (as in VCF), ref, alt, effect, selection, label
    ("deleterious" or "neutral").
    """
    threshold = round(1e6 * config.selection.deleterious_from)
    rng = CounterRng("simulate", config.seed, "labels")
    half = config.labels // 2
    bad = np.flatnonzero((effects.selection <= -threshold).ravel() & (effects.effect > 0).ravel())
    bad_effect = effects.effect.ravel()[bad]
    groups = [bad[bad_effect == code] for code in np.unique(bad_effect)]
    deleterious = _draw_evenly(groups, half, rng)
    good = np.flatnonzero((effects.selection == 0).ravel() & (effects.effect > 0).ravel())
    in_gene = genome.features.of("gene").mask(len(genome.codes))[good // 4]
    neutral = _draw_evenly([good[in_gene], good[~in_gene]], len(deleterious), rng)
    # Both labels are cut to the same number, if one of them is short.
    count = min(len(deleterious), len(neutral))
    lines = []
    rows = [(index, "deleterious") for index in deleterious[:count].tolist()]
    rows += [(index, "neutral") for index in neutral[:count].tolist()]
    for index, label in sorted(rows):
        place, alt = divmod(index, 4)
        contig, start = frame.locate(place)
        ref = "ACGT"[genome.codes[place]]
        effect = EFFECTS[effects.effect[place, alt]]
        selection = format_selection(int(effects.selection[place, alt]))
        lines.append(f"{contig}\t{start + 1}\t{ref}\t{'ACGT'[alt]}\t{effect}\t{selection}\t{label}")
    write_text(path, [HEADER, *lines])
    return len(lines)


def _draw_evenly(groups: list[NDArray[np.int64]], count: int, rng: CounterRng) -> NDArray[np.int64]:
    """Return `count` members, as evenly over the groups as their sizes allow, in random order."""
    chosen: list[NDArray[np.int64]] = []
    left = count
    # From the smallest group up: what it cannot give is shared by those after it.
    for number, group in enumerate(sorted(groups, key=len)):
        share = min(len(group), left // (len(groups) - number))
        chosen.append(group[rng.permutation(len(group))[:share]])
        left -= share
    members = np.concatenate([np.zeros(0, dtype=np.int64), *chosen])
    return members[rng.permutation(len(members))]
