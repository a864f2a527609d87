"""`helixlm push`: a corpus or a model to the Hugging Face hub."""

from pathlib import Path
from typing import Annotated

import typer


def push(
    source: Annotated[
        Path,
        typer.Argument(
            help="A corpus that `prepare` wrote, a run, or a model folder.", show_default=False
        ),
    ],
    name: Annotated[str, typer.Argument(help="OWNER/NAME on the hub.", show_default=False)],
    private: Annotated[
        bool, typer.Option("--private", help="Make it visible to its owner only.")
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option("--license", help="Licence for the card, such as cc-by-4.0 or mit."),
    ] = None,
) -> None:
    """Send a corpus or a model to the Hugging Face hub, with a card made from its records.

    The access token is that of 'hf auth login', or HF_TOKEN. What is there already is not sent
    again; what is there is replaced in one change.

    Example: helixlm push corpus OWNER/NAME --license cc-by-4.0
    """
    from helixlm.data.corpus.base import open_corpus
    from helixlm.data.folder import MANIFEST
    from helixlm.pipeline.hub import push_corpus
    from helixlm.pipeline.hub_model import push_model

    if source.is_dir() and not (source / MANIFEST).exists():
        done = push_model(source, name, licence=licence, private=private)
        further = f'Load it: helixlm.load("{name}")\nNext: open {done.url} and complete its card'
    else:
        done = push_corpus(open_corpus(source), name, licence=licence, private=private)
        further = (
            f'Load it: datasets.load_dataset("{name}", split="train", streaming=True)\n'
            f"Next: helixlm pretrain --recipe tinydnabert-mini --corpus {name} -o RUN"
        )
    typer.echo(
        f"Wrote {done.url}: {done.sent:,} file(s) sent, {done.deleted:,} deleted, "
        f"revision {done.revision[:12]}\n{further}"
    )
