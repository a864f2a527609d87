"""`helixlm convert`: a published model made a folder of safetensors."""

from typing import Annotated

import typer

from helixlm.cli.arguments import Output


def convert(
    model: Annotated[str, typer.Argument(help="A run, a model folder, or a hub name.")],
    output: Output,
) -> None:
    """Write a model and its tokenizer as a folder of safetensors that transformers loads.

    Reads DNABERT, DNABERT-2, Nucleotide Transformer, GENA-LM, GROVER, TinyDNABERT, and BERT,
    RoBERTa, ESM and ModernBERT of DNA, without running code of theirs.

    Example: helixlm convert zhihan1996/DNABERT-2-117M -o dnabert2
    """
    from helixlm.pipeline.convert import convert as run_convert

    done = run_convert(model, output)
    task = done.class_name[done.class_name.index("For") :]
    needs = "import helixlm; " if done.home == "helixlm" else ""
    how = f'{needs}transformers.AutoModel{task}.from_pretrained("{output}")'
    if done.home is None:
        how = f'helixlm.load("{output}")'
    further = f"predict {output} --input sequences.fa -o predicted.csv"
    if task != "ForSequenceClassification":
        further = f"finetune {output} --train train.csv --test test.csv -o tuned"
    typer.echo(
        f"Wrote {output}: {done.num_parameters:,} parameters, as {done.class_name}\n"
        f"Load it: {how}\n"
        f"Next: helixlm {further}"
    )
