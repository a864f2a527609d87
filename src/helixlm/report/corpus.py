"""The page of a corpus: what went in, what was dropped and why, and what its windows are like.

Comes in: a `CorpusManifest`. Goes out: one HTML page like that of a run, and the same as text.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from markupsafe import Markup

from helixlm.data.corpus.base import CorpusManifest, InputFile, OtherFile
from helixlm.data.corpus.tally import LENGTH_BINS_PER_OCTAVE, Tally, total
from helixlm.data.corpus.weights import WeightConfig
from helixlm.data.haplotypes.alleles import SKIP_REASONS
from helixlm.data.windows import DROP_REASONS, FEATURE_REASONS, LOST_WINDOWS
from helixlm.report.bars import bar_chart, histogram_chart
from helixlm.report.contigs import contigs_chart
from helixlm.report.html import environment
from helixlm.report.numerals import brief_hash, count, fixed, percent, short
from helixlm.report.repeats import describe_repeats, repeat_rows
from helixlm.version import __version__

MOST_BARS = 24
"""contigs and species that are drawn; the rest is one bar"""
BASES = "ACGTN"
WORDS = {"train": "training", "validation": "validation"}


def render_corpus(manifest: CorpusManifest) -> str:
    """Return the page of a corpus as text.

    Parameters
    ----------
    manifest : CorpusManifest
        Of the finished corpus.

    Returns
    -------
    str
        HTML that is well-formed XML too; it loads nothing and runs no script.
    """
    whole = whole_tally(manifest)
    by_split = {name: found.num_bases for name, found in manifest.splits.items()}
    page = (
        environment()
        .get_template("corpus.html.j2")
        .render(
            title=manifest.species or "Corpus",
            words=in_words(manifest),
            manifest=manifest,
            held_out=_names(manifest.validation_contigs),
            settings=_settings(manifest),
            bar=_parts_of_bases(manifest),
            dropped=dropped_in_words(manifest),
            lost_features=lost_features_in_words(whole),
            splits=by_split,
            lengths=histogram_chart(
                whole.lengths,
                per_octave=LENGTH_BINS_PER_OCTAVE,
                key="lengths",
                title="Length of the windows",
                about="Share of the windows by their length in bases.",
                x_name="length of a window, bp (logarithmic)",
                y_name="share of the windows",
            ),
            lengths_in_words=_lengths(whole),
            letters=bar_chart(
                [(letter, amount / max(1, whole.bases)) for letter, amount in _letters(whole)],
                key="letters",
                title="Letters",
                about="Share of each letter in the windows.",
                write=percent,
            ),
            softmasked=whole.softmasked_bases / max(1, whole.bases),
            gc=_gc(whole),
            contigs_wide=_contig_bars(manifest, "contigs-wide", width=840),
            contigs_narrow=_contig_bars(manifest, "contigs-narrow", width=360),
            along_wide=contigs_chart(manifest.coverage, key="along-wide", width=840),
            along_narrow=contigs_chart(manifest.coverage, key="along-narrow"),
            more_contigs=_num_contigs(manifest) - len(manifest.coverage),
            repeats=manifest.repeats,
            repeat_rows=manifest.repeats and repeat_rows(manifest.repeats),
            species=_species(manifest),
            variants=_amounts(whole.variants, "variants", "Alleles applied, by kind"),
            skipped=skipped_in_words(whole),
            version=__version__,
        )
    )
    return page + "\n"


def describe_corpus(manifest: CorpusManifest) -> str:
    """Return what the page says as a text of some lines, but for the pictures."""
    whole = whole_tally(manifest)
    lines = [in_words(manifest), *_describe_sources(manifest)]
    lines += [
        f"  left out: {count(bases)} bases, {reason}"
        for reason, bases in dropped_in_words(manifest)
    ]
    lines += [
        f"  features without a window of their own: {count(number)} {reason}"
        for reason, number in lost_features_in_words(whole)
    ]
    if manifest.validation_contigs:
        lines.append(f"  held out: {_names(manifest.validation_contigs)}")
    lines.append(f"  windows of {_lengths(whole)}")
    letters = ", ".join(f"{name} {percent(n / whole.bases)}" for name, n in _letters(whole))
    lines.append(f"  letters: {letters}; G and C {percent(_gc(whole))} of the known bases")
    softmasked = percent(whole.softmasked_bases / max(1, whole.bases))
    lines.append(f"  in lower case (repeats): {softmasked} of the bases")
    if manifest.repeats is not None:
        lines += [f"  outside repeats, {line}" for line in describe_repeats(manifest.repeats)]
    for kind, number in sorted(whole.variants.items()):
        lines.append(f"  variants applied, {kind}: {count(number)}")
    for reason, number in skipped_in_words(whole):
        lines.append(f"  variants left out, {reason}: {count(number)}")
    lines.append(
        "  settings: " + ", ".join(f"{name} {value}" for name, value in _settings(manifest))
    )
    return "\n".join(lines)


def _describe_sources(manifest: CorpusManifest) -> Iterator[str]:
    """Yield a line for each of the first genomes and each of their files."""
    bases = max(1, whole_tally(manifest).bases)
    for row in _species(manifest)[:MOST_BARS]:
        about = [
            row["assembly"],
            row["group"],
            "" if row["weight"] == 1 else f"weight {row['weight']}",
        ]
        named = (
            f"{row['species']} ({', '.join(filter(None, about))})" if any(about) else row["species"]
        )
        if len(manifest.sources) > 1:
            windows, share = count(row["windows"]), percent(row["bases"] / bases)
            yield f"  {named}: {windows} windows, {count(row['bases'])} bases ({share})"
        for name, contigs, digest in row["files"]:
            yield f"  file {name}: {contigs}SHA-256 {digest}"
    if len(manifest.sources) > MOST_BARS:
        yield f"  and {count(len(manifest.sources) - MOST_BARS)} more genomes"


def _lengths(tally: Tally) -> str:
    """Say how long windows are."""
    shortest, longest = count(tally.shortest_bp), count(tally.longest_bp)
    if shortest == longest:
        return f"{longest} bp"
    return f"{shortest} to {longest} bp, {fixed(tally.bases / tally.windows, 1)} bp on average"


def in_words(manifest: CorpusManifest) -> str:
    """Say in a sentence how large a corpus is."""
    parts = " and ".join(
        f"{count(found.num_windows)} windows with {short(found.num_bases, 'bp')} for {WORDS[name]}"
        for name, found in manifest.splits.items()
    )
    files = sum(len(source.inputs) for source in manifest.sources)
    if len(manifest.sources) > 1:
        genomes = f"{len(manifest.sources)} genomes"
    elif manifest.sources[0].kind == "fasta":
        genomes = "one genome"
    else:
        genomes = f"{count(sum(file.num_contigs for file in manifest.inputs))} records"
    return f"{parts}, from {genomes} in {count(files)} file{'s' if files > 1 else ''}."


def whole_tally(manifest: CorpusManifest) -> Tally:
    """Add up the tallies of all genomes and splits."""
    return total(tally for source in manifest.sources for tally in source.tallies.values())


def _parts_of_bases(manifest: CorpusManifest) -> list[tuple[str, str, int]]:
    """Return (name, class, bases) of what became of the input.

    Bases of windows count as often as they are in one, of those that are left out too.
    """
    lost = sum(manifest.dropped_bases.get(reason, 0) for reason in LOST_WINDOWS)
    parts = [
        ("training", "train", manifest.splits["train"].num_bases),
        ("validation", "validation", manifest.splits["validation"].num_bases),
        ("in no window", "dropped", sum(manifest.dropped_bases.values()) - lost),
        ("in windows left out", "lost", lost),
    ]
    return [part for part in parts if part[2]]


def dropped_in_words(manifest: CorpusManifest) -> list[tuple[str, int]]:
    """Return reasons in words with their bases, most first."""
    found = [(DROP_REASONS[key], bases) for key, bases in manifest.dropped_bases.items() if bases]
    return sorted(found, key=lambda pair: -pair[1])


def lost_features_in_words(whole: Tally) -> list[tuple[str, int]]:
    """Return why features have no window of their own, with their numbers, most first."""
    found = [(FEATURE_REASONS[key], number) for key, number in whole.lost_features.items()]
    return sorted(found, key=lambda pair: -pair[1])


def skipped_in_words(whole: Tally) -> list[tuple[str, int]]:
    """Return reasons why alleles were left out, in words, with their numbers, most first."""
    found = [(SKIP_REASONS[key], number) for key, number in whole.skipped_variants.items()]
    return sorted(found, key=lambda pair: -pair[1])


def _contigs(file: InputFile | OtherFile) -> str:
    """Say how many contigs or records a file of sequence holds; nothing of other files."""
    if isinstance(file, OtherFile):
        return ""
    name = "contig" if file.contigs else "record"
    return f"{count(file.num_contigs)} {name}{'s' if file.num_contigs > 1 else ''}, "


def _names(contigs: Sequence[str]) -> str:
    """Name some contigs and count the others."""
    more = len(contigs) - MOST_BARS
    return ", ".join(contigs[:MOST_BARS]) + (f" and {count(more)} more" if more > 0 else "")


def _num_contigs(manifest: CorpusManifest) -> int:
    return sum(len(file.contigs) for file in manifest.inputs)


def _settings(manifest: CorpusManifest) -> list[tuple[str, str]]:
    """Return the settings that made the corpus, by their names in a recipe."""
    sections: dict[str, Any] = {"windows": manifest.windows, "split": manifest.split}
    for source in manifest.sources:
        if source.windows is not None:
            sections[f"{source.species}: windows"] = source.windows
    if manifest.weights != WeightConfig():
        sections["weights"] = manifest.weights
    if whole_tally(manifest).variants:
        sections["variants"] = manifest.variants
    if manifest.duplicates is not None:
        sections["duplicates"] = manifest.duplicates
    found = [
        (name, _setting(value))
        for section, config in sections.items()
        for name, value in _flat(section, config.model_dump())
    ]
    return [*found, ("seed", str(manifest.seed))]


def _flat(name: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        return [(name, value)]
    return [pair for key, inner in value.items() for pair in _flat(f"{name}.{key}", inner)]


def _setting(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _contig_bars(manifest: CorpusManifest, key: str, width: float) -> Markup:
    """Draw the bases in windows; contigs of several genomes are named ``species:contig``."""
    several = len(manifest.sources) > 1
    bases = {
        f"{source.species}:{contig}" if several else contig: bases
        for source in manifest.sources
        for contig, bases in total(source.tallies.values()).contigs.items()
    }
    return _amounts(
        bases, key, "Bases in windows, by contig", width, write=partial(short, unit="bp")
    )


def _letters(tally: Tally) -> list[tuple[str, int]]:
    """Return the bases in their order and all other letters as one."""
    others = sum(amount for letter, amount in tally.letters.items() if letter not in BASES)
    found = [(letter, tally.letters.get(letter, 0)) for letter in BASES]
    return [pair for pair in [*found, ("others", others)] if pair[1] or pair[0] in "ACGT"]


def _gc(tally: Tally) -> float | None:
    known = sum(tally.letters.get(letter, 0) for letter in "ACGT")
    return (tally.letters.get("G", 0) + tally.letters.get("C", 0)) / known if known else None


def _amounts(
    amounts: dict[str, int],
    key: str,
    title: str,
    width: float = 360,
    write: Callable[[float], str] = short,
) -> Markup:
    """Draw amounts, the largest first and those that are left as one."""
    order = sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0]))
    rest = order[MOST_BARS:]
    shown = order[:MOST_BARS]
    if rest:
        shown.append((f"{count(len(rest))} others", sum(amount for _, amount in rest)))
    about = "; ".join(f"{name}: {count(amount)}" for name, amount in shown) + "."
    return bar_chart(shown, key=key, title=title, about=about, width=width, write=write)


def _species(manifest: CorpusManifest) -> list[dict[str, Any]]:
    """Return a row for each genome."""
    rows = []
    for source in manifest.sources:
        tally = total(source.tallies.values())
        rows.append(
            {
                "species": source.species or "genome",
                "assembly": source.assembly,
                "group": source.group,
                "weight": source.weight,
                "balance": source.balance,
                "windows": tally.windows,
                "bases": tally.bases,
                "softmasked": tally.softmasked_bases / tally.bases if tally.bases else None,
                "gc": _gc(tally),
                "files": [
                    (file.path.rpartition("/")[2], _contigs(file), brief_hash(file.sha256))
                    for file in source.files
                ],
            }
        )
    return rows
