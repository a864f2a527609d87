"""The card of a corpus on the Hugging Face hub: its README.md there.

Comes in: a `CorpusManifest`. Goes out: Markdown, below a front matter in YAML that the hub and
`datasets` read. It says nothing that the manifest does not say.
"""

import re
from typing import Any

import yaml

from helixlm.data.corpus.base import CorpusManifest, CorpusSource
from helixlm.data.corpus.tally import total
from helixlm.data.corpus.window_files import SCHEMA
from helixlm.report.corpus import (
    dropped_in_words,
    in_words,
    lost_features_in_words,
    skipped_in_words,
    whole_tally,
)
from helixlm.report.html import environment
from helixlm.report.numerals import count

MOST_CONTIGS = 50
"""held-out contigs that are named; the manifest names all"""
TAGS = ("biology", "genomics", "dna", "helixlm")

COLUMNS = {
    "species": "species, if it was given",
    "assembly": "assembly, if it was given",
    "contig": "chromosome or other sequence, as its file names it",
    "start": "first base on the contig, 0-based, forward strand",
    "end": "base after the last one",
    "strand": "strand that `sequence` is read on; coordinates are those of the forward strand",
    "name": "name of a coding sequence: of its transcript, or of its record; null: other windows",
    "sample": "individual whose haplotype this is; null: the reference",
    "haplotype": "1 or 2, which of the individual's two; null: the reference",
    "softmask_fraction": "share of the letters that are lower case, which marks repeats",
    "split": "train or validation",
    "sequence": "letters of IUPAC's code; the case is that of the input",
}
"""What the columns of a corpus mean."""

_HELD_OUT = {
    "contig": "Whole contigs are held out for validation",
    "block": "Blocks of {block_bp:,} bp are held out for validation",
    "group": "Blocks of {block_bp:,} bp are held out for validation, and those that share sequence "
    "stay together",
}
_SIZES = (("K", 10**3), ("M", 10**6), ("B", 10**9), ("T", 10**12))


def render_card(manifest: CorpusManifest, name: str, *, licence: str | None = None) -> str:
    """Return the card of a corpus.

    Parameters
    ----------
    manifest : CorpusManifest
        Of the finished corpus. Paths of its inputs stand in the card.
    name : str
        ``OWNER/NAME`` on the hub.
    licence : str, optional
        The hub's identifier of a licence, such as ``"cc-by-4.0"``; none is named if not given.

    Returns
    -------
    str
        Markdown with a front matter in YAML; the same for the same corpus.

    References
    ----------
    https://huggingface.co/docs/hub/datasets-cards,
    https://huggingface.co/docs/hub/datasets-data-files-configuration.
    """
    whole = whole_tally(manifest)
    card = environment().overlay(autoescape=False)
    card.filters["cell"] = cell
    text = card.get_template("card.md.j2").render(
        front_matter=to_yaml(_front_matter(manifest, licence)),
        title=_title(manifest),
        name=name,
        words=in_words(manifest),
        manifest=manifest,
        genomes=[(source, total(source.tallies.values())) for source in manifest.sources],
        held_out=held_out_in_words(manifest),
        dropped=dropped_in_words(manifest),
        lost_features=lost_features_in_words(whole),
        variants=sorted(whole.variants.items()),
        skipped=skipped_in_words(whole),
        columns=[
            (field.name, f"{field.type}{', may be null' if field.nullable else ''}")
            for field in SCHEMA
        ],
        meaning=COLUMNS,
        recipe=to_yaml(_recipe(manifest)),
        sources=to_yaml([_source(source) for source in manifest.sources]),
    )
    return text + "\n"


def size_category(rows: int) -> str:
    """Return the hub's name for datasets of this size.

    Examples
    --------
    >>> [size_category(rows) for rows in (999, 1000, 123_456, 10**9, 10**12)]
    ['n<1K', '1K<n<10K', '100K<n<1M', '1B<n<10B', 'n>1T']
    """
    if rows < 10**3:
        return "n<1K"
    if rows >= 10**12:
        return "n>1T"
    low = 10 ** (len(str(rows)) - 1)
    return f"{_power(low)}<n<{_power(10 * low)}"


def _power(number: int) -> str:
    """Write a power of ten from a thousand on: 10K."""
    letter, unit = next(size for size in reversed(_SIZES) if number >= size[1])
    return f"{number // unit}{letter}"


def _front_matter(manifest: CorpusManifest, licence: str | None) -> dict[str, Any]:
    rows = sum(split.num_windows for split in manifest.splits.values())
    return {
        "pretty_name": _title(manifest),
        **({"license": licence} if licence else {}),
        "tags": list(TAGS),
        "task_categories": ["fill-mask"],
        "size_categories": [size_category(rows)],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": split, "path": f"{split}/*.parquet"} for split in manifest.splits
                ],
            }
        ],
    }


def _title(manifest: CorpusManifest) -> str:
    if len(manifest.sources) > 1:
        return f"Windows of {len(manifest.sources)} genomes"
    named = " ".join(filter(None, (manifest.species, manifest.assembly)))
    return f"Windows of {' '.join(named.split()) or 'a genome'}"


def held_out_in_words(manifest: CorpusManifest) -> str:
    """Say what is held out, and name contigs that are held out as a whole, or the first of them."""
    text = _HELD_OUT[manifest.split.by].format(block_bp=manifest.split.block_bp)
    names = manifest.validation_contigs
    if names:
        text += ": " + ", ".join(cell(name) for name in names[:MOST_CONTIGS])
    more = len(names) - MOST_CONTIGS
    return text + (f" and {count(more)} more, which manifest.json names." if more > 0 else ".")


def _recipe(manifest: CorpusManifest) -> dict[str, Any]:
    """Return the recipe that makes the corpus again."""
    settings = manifest.model_dump(mode="json")
    sections = ("seed", "windows", "weights", "variants", "duplicates", "split")
    return {"base": "tinydnabert", **{name: settings[name] for name in sections}}


def _source(source: CorpusSource) -> dict[str, Any]:
    """Return the entry of a genome in a list of genomes."""
    entry: dict[str, Any] = {
        "species": source.species,
        "assembly": source.assembly,
        "group": source.group,
        "weight": source.weight,
    }
    paths = [file.path for file in source.inputs]
    if source.kind == "dataset":
        entry |= {"dataset": paths[0], "dataset_split": source.dataset_split}
        entry |= {"column": source.column} if source.column else {}
    else:
        entry[source.kind] = paths
    if source.windows is not None:
        entry["windows"] = source.windows.model_dump(mode="json")
    for file in source.others:
        if file.kind == "vcf":
            entry.setdefault("vcf", []).append(file.path)
        else:
            entry[file.kind] = file.path
    return {key: value for key, value in entry.items() if value != ""}


def to_yaml(value: object) -> str:
    """Write a value as YAML, its keys in their order."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def cell(text: str) -> str:
    """Write text for a table: on one line, and none of it taken for Markdown or HTML."""
    return re.sub(r"[\\|`*_<>\[\]&]", r"\\\g<0>", " ".join(text.split()))
