"""The first two verbs alone: a corpus from sequences, a tokenizer from a corpus, FASTA or text."""

import logging
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from helixlm.compute import Compute
from helixlm.data.corpus.base import Corpus, CorpusManifest, open_corpus
from helixlm.data.corpus.prepare import prepare_corpus
from helixlm.data.folder import new_folder, refuse_existing
from helixlm.data.formats.fasta import iter_chunks
from helixlm.data.formats.text_lines import holds_sequence_lines, iter_text_lines
from helixlm.data.genome_files import needs_annotation
from helixlm.data.hub import find_corpus
from helixlm.data.sources import Source, SourceError, make_source, read_sources
from helixlm.data.windows import (
    DnabertWindows,
    FeatureWindows,
    FixedWindows,
    PieceWindows,
    WindowConfig,
)
from helixlm.errors import InputError, StateError
from helixlm.pipeline.progress import Reporter, Silent
from helixlm.recipes.load import load_recipe
from helixlm.recipes.schema import Recipe
from helixlm.report.corpus import describe_corpus, render_corpus, whole_tally
from helixlm.report.numerals import percent
from helixlm.tokenizers.base import Tokenizer, TokenizerConfig
from helixlm.tokenizers.build import build_tokenizer
from helixlm.tokenizers.hf import load_tokenizer

logger = logging.getLogger(__name__)

TEXT = "report.txt"
"""the same as text"""
PAGE = "report.html"
"""the page of a corpus, in its folder"""
LINE_BP = 1000
"""bases of a line of FASTA where none are named: those of DNABERT-2's training text"""

MOST_N = 0.5
"""share of N in the windows above which a warning is given"""

_NOT_N = re.compile("[^Nn]+")


def prepare(
    recipe: str | Path | Recipe,
    output: str | Path,
    *,
    fasta: Sequence[str | Path] = (),
    cds: Sequence[str | Path] = (),
    dataset: str | Path | None = None,
    column: str | None = None,
    dataset_split: str = "train",
    vcf: Sequence[str | Path] = (),
    gff: str | Path | None = None,
    bed: str | Path | None = None,
    weights: str | Path | None = None,
    sources: str | Path | None = None,
    overrides: Sequence[str] = (),
    species: str = "",
    assembly: str = "",
    compute: Compute | None = None,
    report: Reporter | None = None,
) -> Corpus:
    """Cut genomes, or other sequences, into windows and write them as a Parquet corpus.

    Parameters
    ----------
    recipe : str, Path or Recipe
        Its sections `windows`, `weights`, `variants`, `duplicates` and `split`, and its `seed`,
        are used.
    output : path
        The corpus folder. The same corpus that is there already is opened.
    fasta : sequence of path
        FASTA files of one genome, plain, gzip or bgzip, or 2bit.
    cds : sequence of path
        Instead of `fasta`: FASTA files of coding sequences, plain, gzip or bgzip. With windows of
        the kind `coding` each record is one window.
    dataset : str or path, optional
        Instead of `fasta`: a table (CSV, TSV, Parquet, JSON), a folder of a Hugging Face dataset,
        or its name on the hub.
    column : str, optional
        Its column of sequences; if not given, the only one that holds DNA.
    dataset_split : str
        Its split.
    vcf : sequence of path
        Genotypes: one individual's haplotypes take the place of each window. VCF, bgzipped VCF or
        BCF; indexed ones are faster.
    gff : path, optional
        Annotation, GFF3, for coding sequences and windows around features.
    bed : path, optional
        Intervals outside which nothing is taken, or which windows are put around.
    weights : path, optional
        Weights of regions, bedGraph: how often windows come in training, see
        `helixlm.data.corpus.weights`.
    sources : path, optional
        Instead of `fasta`: a YAML file that lists genomes, see `helixlm.data.sources`.
    overrides : sequence of str
        ``section.key=value`` settings put on the recipe.
    species, assembly : str
        Written into each row; with `sources` they stand there.
    compute : Compute, optional
        Processes, or a Ray cluster, to work on.
    report : Reporter, optional
        Where to show progress.

    Returns
    -------
    Corpus
        The finished corpus; `PAGE` and `TEXT` in its folder describe it.

    Raises
    ------
    InputError
        If an input or the recipe is not what it must be.
    StateError
        If the folder holds something else, or cannot be written.
    """
    settings = load_recipe(recipe, overrides)
    genome: dict[str, Any] = {
        "fasta": tuple(map(Path, fasta)),
        "cds": tuple(map(Path, cds)),
        "dataset": dataset,
        "column": column,
        "vcf": tuple(map(Path, vcf)),
        "gff": gff,
        "bed": bed,
        "weights": weights,
        "species": species,
        "assembly": assembly,
    }
    if dataset_split != "train":
        genome["dataset_split"] = dataset_split
    genomes = _genomes(genome, sources)
    if gff is not None and not needs_annotation(settings.windows):
        raise SourceError(
            f"{gff}: found an annotation and windows of the kind {settings.windows.kind!r}, which "
            "are not made from it: leave out --gff, or choose the kind 'coding' or 'features'"
        )
    with (report or Silent()).stage("Preparing the corpus") as progress:
        manifest = prepare_corpus(
            genomes,
            output,
            windows=settings.windows,
            weights=settings.weights,
            variants=settings.variants,
            duplicates=settings.duplicates,
            split=settings.split,
            seed=settings.seed,
            compute=compute,
            progress=progress,
            describe=_pages,
        )
    if manifest.repeats is not None and not manifest.repeats.total.masked_bp:
        logger.warning(
            "no base is in lower case, so no repeat was left out: windows.kind 'repeatfree' needs "
            "a soft-masked genome, such as hg38.fa.gz of UCSC or a '.dna_sm.' file of Ensembl"
        )
    _warn_of_n(manifest, settings.windows)
    return open_corpus(output)


def _pages(manifest: CorpusManifest) -> dict[str, str]:
    """Return what describes a corpus, by the names of the files."""
    return {PAGE: render_corpus(manifest), TEXT: describe_corpus(manifest) + "\n"}


def _warn_of_n(manifest: CorpusManifest, windows: WindowConfig) -> None:
    """Warn where windows are mostly N, and name the setting that leaves such windows out."""
    whole = whole_tally(manifest)
    share = whole.letters.get("N", 0) / max(1, whole.bases)
    if share <= MOST_N:
        return
    match windows:
        case FixedWindows() | PieceWindows() | FeatureWindows() if windows.n != "drop":
            advice = (
                "leave such windows out with --set windows.n=drop (windows.max_n_fraction is the "
                "largest share of N in a window that stays)"
            )
        case FixedWindows() | PieceWindows() | FeatureWindows():
            advice = f"lower windows.max_n_fraction (now {windows.max_n_fraction:g})"
        case DnabertWindows() if windows.n == "keep":
            advice = "cut windows at N with --set windows.n=split"
        case _:
            advice = "give sequence with fewer N"
    logger.warning(
        "%s of the letters in the windows are N, from which nothing can be learned: %s",
        percent(share),
        advice,
    )


def _genomes(genome: Mapping[str, Any], sources: str | Path | None) -> list[Source]:
    """Return the genomes of a file, or the one whose fields are given."""
    if sources is None:
        return [make_source(genome)]
    given = [f"--{name.replace('_', '-')}" for name, value in genome.items() if value]
    if given:
        raise SourceError(
            f"{sources} lists genomes with their files and species: give it alone, without "
            + ", ".join(given)
        )
    return read_sources(sources)


def train_tokenizer(
    inputs: Sequence[str | Path],
    output: str | Path,
    config: TokenizerConfig | None = None,
    *,
    line_bp: int = LINE_BP,
    memory_bytes: int | None = None,
    threads: int | None = None,
    report: Reporter | None = None,
) -> Tokenizer:
    """Train, or construct, a tokenizer and save it for AutoTokenizer.

    Parameters
    ----------
    inputs : sequence of path
        What `training_sequences` reads. Each is a part of its own where the method is iterative
        and the configuration names no bases of a part. May be
        empty where there is nothing to train.
    output : path
        Folder to write; it must not exist yet. The same tokenizer that is there already is read,
        where none is trained.
    config : TokenizerConfig, optional
        What to make; TinyDNABERT's tokenizer if not given.
    line_bp : int
        Bases of the lines that FASTA is cut into, see `training_sequences`.
    memory_bytes, threads : int, optional
        What training may use, see `helixlm.tokenizers.bpe_train.train_bpe`. They change no result.
    report : Reporter, optional
        Where to show progress.

    Returns
    -------
    Tokenizer
        As loaded from `output`.

    Raises
    ------
    InputError
        If the input is unsound or too little.
    StateError
        If the folder exists already or cannot be written.
    """
    output = Path(output)
    config = config or TokenizerConfig()
    if config.needs_text and not inputs:
        raise InputError(
            "a byte-pair vocabulary is learned from a text and none is given: give FASTA files or "
            "a corpus (--input)"
        )
    if (output / "tokenizer.json").is_file():
        return _made_before(output, config)
    refuse_existing(output)
    with (report or Silent()).stage("Training the tokenizer") as progress:
        made = build_tokenizer(
            config,
            *(training_sequences([path], line_bp) for path in inputs),
            memory_bytes=memory_bytes,
            threads=threads,
            progress=progress,
        )
    with new_folder(output) as folder:
        made.save(folder)
    return load_tokenizer(output)


def _made_before(output: Path, config: TokenizerConfig) -> Tokenizer:
    """Read the tokenizer that is there, if it is the one that is asked for.

    Raises
    ------
    StateError
        If it is another one, or was trained: its text is not kept, so it cannot be compared.
    """
    found = load_tokenizer(output)
    there = f"{output}: holds a tokenizer already ({found.kind}, {found.vocab_size:,} tokens)"
    advice = "delete the folder or choose another name"
    if config.needs_text:
        raise StateError(f"{there}: use it as it is; to train one, {advice}")
    made = build_tokenizer(config)
    if (made.sha256, made.max_tokens) != (found.sha256, found.max_tokens):
        raise StateError(f"{there}, which is another: {advice}")
    logger.info("%s: holds this tokenizer already", output)
    return found


def tokenizer_command(config: TokenizerConfig, corpus: str | Path) -> str:
    """Return the command, but for its output, that makes a recipe's tokenizer.

    Examples
    --------
    >>> tokenizer_command(TokenizerConfig(vocab_size=4096), "corpus")
    'helixlm tokenizer train --input corpus --vocab-size 4096'
    """
    words = ["helixlm", "tokenizer", "train"]
    words += ["--input", str(corpus)] if config.needs_text else []
    words += ["--preset", config.preset] if config.preset else []
    plain = TokenizerConfig(preset=config.preset)
    for name, value in config:
        if name == "overlap" and value != plain.overlap:
            words.append("--overlap" if value else "--no-overlap")
        elif value != getattr(plain, name):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)


def training_sequences(inputs: Sequence[str | Path], line_bp: int = LINE_BP) -> Iterator[str]:
    """Yield the sequences of corpora, FASTA files and texts; a file's contents tell which it is.

    Parameters
    ----------
    inputs : sequence of path
        Corpora, folders or ``OWNER/NAME`` on the Hugging Face hub, of which the training windows
        are used; FASTA files, of which each record is cut into lines; or texts with one sequence
        on each line, which are used as they are. Files are plain, gzip or bgzip; a pipe is taken
        for FASTA.
    line_bp : int
        Bases of a line of FASTA; the last one of a record is shorter. N is left out, which cuts a
        line too. No other base is lost, but the pairs of tokens across the cuts are.

    Yields
    ------
    str
        In the case of the input, streamed.

    Raises
    ------
    InputError
        If there is no such input, it is none of these, or a FASTA file holds N alone.
    StateError
        If a folder holds no corpus.
    """
    for path in map(find_corpus, inputs):
        if not path.exists():
            raise InputError(
                f"{path}: no such file or folder, expected FASTA, a text with one sequence on each "
                "line, or a corpus folder that 'helixlm prepare' wrote"
            )
        if path.is_dir():
            yield from open_corpus(path).iter_sequences("train")
        elif path.is_file() and holds_sequence_lines(path):
            yield from iter_text_lines(path)
        else:
            yield from _fasta_lines(path, line_bp)


def _fasta_lines(path: Path, line_bp: int) -> Iterator[str]:
    """Yield the records of a FASTA file in lines of so many bases, without N."""
    empty = True
    for chunk in iter_chunks(path, line_bp):
        for line in _NOT_N.findall(chunk.sequence):
            empty = False
            yield line
    if empty:
        raise InputError(f"{path}: holds no letter but N, expected sequences; leave it out")
