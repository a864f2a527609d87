"""`helixlm push`: a corpus to the Hugging Face hub."""

from pathlib import Path
from typing import Annotated

import typer


def push(
    corpus: Annotated[
        Path, typer.Argument(help="A corpus that `prepare` wrote.", show_default=False)
    ],
    name: Annotated[
        str, typer.Argument(help="OWNER/NAME of the dataset on the hub.", show_default=False)
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make a dataset that only its owner sees.")
    ] = False,
    licence: Annotated[
        str | None,
        typer.Option("--license", help="Licence for the card, such as cc-by-4.0 or mit."),
    ] = None,
) -> None:
    """Send a corpus to the Hugging Face hub, with a card made from its manifest.

    The access token is that of 'hf auth login', or HF_TOKEN. What is there already is not sent
    again; a corpus that is there is replaced in one change.

    Example: helixlm push corpus OWNER/NAME --license cc-by-4.0
    """
    from helixlm.data.corpus.base import open_corpus
    from helixlm.pipeline.hub import push_corpus

    done = push_corpus(open_corpus(corpus), name, licence=licence, private=private)
    typer.echo(
        f"Wrote {done.url}: {done.sent:,} file(s) sent, {done.deleted:,} deleted, "
        f"revision {done.revision[:12]}\n"
        f'Load it: datasets.load_dataset("{name}", split="train", streaming=True)\n'
        f"Next: helixlm pretrain --recipe tinydnabert-mini --corpus {name} -o RUN"
    )
