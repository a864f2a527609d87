"""`helixlm tokenizer`: train, encode, report."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from helixlm.cli.arguments import LineBp, Memory, Output, Threads
from helixlm.cli.verb import Verb
from helixlm.errors import InputError
from helixlm.tokenizers.presets import PresetName

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Train, use and describe tokenizers."
)

Input = Annotated[
    list[Path],
    typer.Option(
        "--input",
        "-i",
        help="FASTA files, texts with a sequence on each line, or corpora of `prepare`; several "
        "are allowed.",
    ),
]


@app.command(cls=Verb)
def train(
    output: Output,
    inputs: Annotated[
        list[Path] | None,
        typer.Option(
            "--input",
            "-i",
            help="FASTA files, texts with a sequence on each line, or corpora of `prepare`; "
            "several are allowed. A corpus on the hub is OWNER/NAME. Not needed for kinds char, "
            "kmer.",
        ),
    ] = None,
    kind: Annotated[
        Literal["bpe", "char", "kmer"] | None,
        typer.Option(
            help="Kind of tokenizer. Default: the preset's, else bpe.", show_default=False
        ),
    ] = None,
    preset: Annotated[
        PresetName | None,
        typer.Option(help="A published tokenizer by name; it fixes the other options."),
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", min=2, max=7, help="kmer: letters of a word. Default: 6.")
    ] = None,
    overlap: Annotated[
        bool | None,
        typer.Option(
            "--overlap/--no-overlap",
            help="kmer: a word at each letter (default), or side by side.",
            show_default=False,
        ),
    ] = None,
    vocab_size: Annotated[
        int | None,
        typer.Option(help="bpe: entries of the vocabulary. Default: 1024, or the preset's."),
    ] = None,
    min_frequency: Annotated[
        int | None, typer.Option(min=1, help="bpe: least count of a merged pair. Default: 4.")
    ] = None,
    max_token_bp: Annotated[
        int | None,
        typer.Option("--max-token-bp", min=2, help="bpe: longest token in bases. Default: any."),
    ] = None,
    method: Annotated[
        Literal["exact", "sample", "iterative"] | None,
        typer.Option(
            help="bpe: on all of the text (default), a sample (TinyDNABERT), or part by part "
            "(dnaGrinder).",
            show_default=False,
        ),
    ] = None,
    sample_every: Annotated[
        int | None, typer.Option(min=1, help="sample: every n-th line or window. Default: 10.")
    ] = None,
    part_bp: Annotated[
        int | None,
        typer.Option("--part-bp", min=1, help="iterative: bases of a part. Default: each input."),
    ] = None,
    special_order: Annotated[
        Literal["roberta", "published", "dnabert2", "gena-lm"] | None,
        typer.Option(
            help="Order of the special tokens; published: as TinyDNABERT's script. "
            "Default: roberta.",
            show_default=False,
        ),
    ] = None,
    max_tokens: Annotated[
        int | None,
        typer.Option(
            min=1, help="Longest input of the model in tokens. Default: the preset's, else 512."
        ),
    ] = None,
    line_bp: LineBp = None,
    memory: Memory = None,
    threads: Threads = None,
) -> None:
    """Train or make a tokenizer and save it for AutoTokenizer.

    Example: helixlm tokenizer train --input corpus --kind bpe --vocab-size 1024 -o tokenizer

    Example: helixlm tokenizer train --preset nt-v2 -o tokenizer
    """
    from pydantic import ValidationError

    from helixlm.cli.progress import Terminal
    from helixlm.pipeline.prepare import LINE_BP, train_tokenizer
    from helixlm.tokenizers.base import TokenizerConfig

    options: dict[str, Any] = {
        "kind": kind,
        "preset": preset,
        "k": k,
        "overlap": overlap,
        "vocab_size": vocab_size,
        "min_frequency": min_frequency,
        "max_token_bp": max_token_bp,
        "method": method,
        "sample_every": sample_every,
        "part_bp": part_bp,
        "special_order": special_order,
        "max_tokens": max_tokens,
    }
    try:
        config = TokenizerConfig(**{name: x for name, x in options.items() if x is not None})
    except ValidationError as error:  # options that do not fit together
        problems = (problem["msg"].removeprefix("Value error, ") for problem in error.errors())
        raise InputError("; ".join(problems)) from error
    found: dict[str, str] = {"kind": config.kind, "method": config.method}
    _refuse_idle(found, {**options, "line_bp": line_bp})
    _refuse_idle_line_bp(line_bp, inputs or [])
    made = train_tokenizer(
        inputs or [],
        output,
        config,
        line_bp=line_bp or LINE_BP,
        memory_bytes=memory,
        threads=threads,
        report=Terminal(),
    )
    typer.echo(
        f"Wrote {output}: {made.kind}, {made.vocab_size:,} tokens\n"
        f"Next: helixlm tokenizer report {output} --input {inputs[0] if inputs else 'CORPUS'}"
    )


@app.command(cls=Verb)
def encode(
    tokenizer: Annotated[Path, typer.Argument(help="Tokenizer folder.")],
    inputs: Input,
    output: Output,
) -> None:
    """Encode a corpus into a memory-mapped token store.

    Example: helixlm tokenizer encode tokenizer --input corpus -o store
    """
    from helixlm.cli.progress import Terminal
    from helixlm.data.corpus.base import open_corpus
    from helixlm.pipeline.stages import make_store
    from helixlm.tokenizers.hf import load_tokenizer

    if len(inputs) != 1 or not inputs[0].is_dir():
        raise InputError(
            "--input: expected one corpus folder; make it with: helixlm prepare --fasta F -o CORPUS"
        )
    store = make_store(open_corpus(inputs[0]), load_tokenizer(tokenizer), output, Terminal())
    for name in store.splits:
        split = store.split(name)
        typer.echo(f"{name}: {split.num_documents:,} documents, {split.num_tokens:,} tokens")
    typer.echo(
        f"Wrote {output}\n"
        f"Next: read it with helixlm.data.store.open_store({str(output)!r}), or train on the "
        f"corpus: helixlm pretrain --corpus {inputs[0]} -o run"
    )


@app.command(cls=Verb)
def report(
    tokenizers: Annotated[
        list[Path], typer.Argument(help="Tokenizer folders, or runs; several are compared.")
    ],
    inputs: Input,
    names: Annotated[
        str | None,
        typer.Option(help="What to call them, separated by commas. Default: their paths."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Write a page (NAME.html), or a folder with page, pictures and tables.",
        ),
    ] = None,
    sample_every: Annotated[
        int, typer.Option(min=1, help="Take every n-th sequence; 1: all.")
    ] = 10,
    line_bp: LineBp = None,
) -> None:
    """Describe a tokenizer on a text, or compare several: lengths, shares, overlap, bits a base.

    Example: helixlm tokenizer report run/tokenizer --input run/corpus

    Example: helixlm tokenizer report exact sampled --input genome.fa -o compared
    """
    from helixlm.cli.progress import Terminal
    from helixlm.data.formats.text_lines import holds_sequence_lines
    from helixlm.pipeline.prepare import LINE_BP
    from helixlm.pipeline.vocabularies import compare_vocabularies

    _refuse_idle_line_bp(line_bp, inputs)
    found = compare_vocabularies(
        tokenizers,
        inputs,
        output,
        names=None if names is None else [name.strip() for name in names.split(",")],
        sample_every=sample_every,
        line_bp=line_bp or LINE_BP,
        report=Terminal(),
    )
    several = len(tokenizers) > 1
    typer.echo(found.as_text() if several else found.reports[0].as_text())
    files = " ".join(map(str, inputs))
    if output is not None:
        typer.echo(f"Wrote {output}")
    if several:
        if output is None:
            typer.echo("Next: the same command with -o FOLDER, for page, pictures and tables")
    elif inputs[0].is_dir():
        typer.echo(f"Next: helixlm tokenizer encode {tokenizers[0]} --input {inputs[0]} -o store")
    elif not holds_sequence_lines(inputs[0]):
        typer.echo(f"Next: helixlm prepare --fasta {files} -o corpus")


def _refuse_idle(found: dict[str, str], given: dict[str, Any]) -> None:
    """Refuse options that were named and change nothing: who names one expects that it does."""
    of_bpe = ("vocab_size", "min_frequency", "max_token_bp", "method", "sample_every", "part_bp")
    for names, setting, needed in (
        (("k", "overlap"), "kind", "kmer"),
        ((*of_bpe, "line_bp"), "kind", "bpe"),
        (("sample_every",), "method", "sample"),
        (("part_bp",), "method", "iterative"),
    ):
        for name in names:
            if given[name] is not None and found[setting] != needed:
                option = f"--{name.replace('_', '-')}"
                raise InputError(
                    f"{option} belongs to {setting} {needed!r}, but the {setting} is "
                    f"{found[setting]!r}: leave {option} out, or choose --{setting} {needed}"
                )


def _refuse_idle_line_bp(line_bp: int | None, inputs: list[Path]) -> None:
    """Refuse lengths of lines where no input is FASTA, of which alone lines are cut."""
    from helixlm.data.formats.text_lines import holds_sequence_lines
    from helixlm.data.hub import may_be_on_hub

    others = (
        path.is_dir() or may_be_on_hub(path) or (path.is_file() and holds_sequence_lines(path))
        for path in inputs
    )
    if line_bp is not None and all(others):
        raise InputError(
            "--line-bp belongs to FASTA, but no input is FASTA: leave --line-bp out; lines of a "
            "text and windows of a corpus are taken as they are"
        )
