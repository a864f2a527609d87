"""Runs with other orders, lengths and weights of rows: what is kept, and that they resume."""

import json
import shutil

import numpy as np
import pytest
import torch
import yaml
from safetensors.torch import load_file
from tests.data.record_files import letters

from helixlm.data.corpus.base import open_corpus
from helixlm.data.store import open_store
from helixlm.errors import StateError
from helixlm.pipeline.prepare import prepare
from helixlm.pipeline.pretrain import pretrain
from helixlm.tokenizers.hf import load_tokenizer

from .test_pretrain import again

STAGES = "batches.stages=[{row_tokens: 48, steps: 4}, {row_tokens: 96, steps: 4}]"


def test_a_run_in_ascending_order_with_stages_goes_on_where_it_was(world, tmp_path):
    """Drawn windows with weights of their own; the counts are kept in the run."""
    drawn = ("packing=drawn", "drawn_bp=150", "jitter_bp=40", "order=ascending", "pad_multiple=16")
    settings = tuple(f"batches.{setting}" for setting in (*drawn, "softmask_weight=0.1"))
    made = again(None, world, tmp_path / "run", *settings, STAGES)
    corpus = open_corpus(made.run / "corpus")
    counts = np.load(made.run / "counts" / "train.npy")
    assert len(counts) == corpus.num_windows("train")
    last = made.run / "checkpoints" / "step-00000012"
    weights = load_file(last / "model.safetensors")
    shutil.rmtree(last)
    resumed = again(None, world, made.run, *settings, STAGES)
    assert resumed.training.epochs == made.training.epochs
    found = load_file(last / "model.safetensors")
    assert all(torch.equal(tensor, found[name]) for name, tensor in weights.items())
    manifest = made.run / "counts" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"drawn_bp": 150', '"drawn_bp": 100'))
    shutil.rmtree(last)
    with pytest.raises(StateError, match="drawn_bp"):
        again(None, world, made.run, *settings, STAGES)


def test_weights_of_soft_masked_tokens_follow_the_letters_of_the_corpus(run, world, tmp_path):
    made = again(run, world, tmp_path / "run", "batches.softmask_weight=0.1")
    corpus, store = open_corpus(made.run / "corpus"), open_store(made.run / "store")
    tokenizer = load_tokenizer(made.run / "tokenizer")
    manifest = json.loads((made.run / "softmask" / "manifest.json").read_text())
    split = manifest["splits"]["train"]
    soft = 0
    for sequence in corpus.iter_sequences("train"):
        encoding = tokenizer.encode_with_offsets(sequence)
        for a, b in zip(encoding.starts, encoding.ends, strict=True):
            soft += 2 * sum(map(str.islower, sequence[a:b])) >= b - a
    assert split["num_soft"] == soft > 0
    assert split["num_tokens"] == store.split("train").num_tokens
    # Validation knows nothing of weights.
    first, first_too = (
        json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])
        for folder in (run.run, made.run)
    )
    assert first == first_too
    assert made.training.best_loss != run.training.best_loss


@pytest.mark.parametrize("packing", ["single", "drawn"])
def test_species_follow_each_other_from_short_rows_to_long_ones(tmp_path, packing):
    sources = []
    for number, species in enumerate(("beta", "alba")):
        path = tmp_path / f"{species}.fa"
        contigs = [f">{species}{n}\n{letters(10 * number + n, 1500)}\n" for n in range(4)]
        path.write_text("".join(contigs))
        sources.append({"species": species, "fasta": [str(path)]})
    (tmp_path / "sources.yaml").write_text(yaml.safe_dump(sources))
    corpus = prepare(
        "demo",
        tmp_path / "corpus",
        sources=tmp_path / "sources.yaml",
        overrides=["windows.max_bp=200"],
    )
    names = [window.contig.split(":")[0] for window in corpus.iter_windows("train")]
    first = list(dict.fromkeys(names))
    assert len(first) == 2
    assert corpus.species_of_windows("train").tolist() == [first.index(name) for name in names]
    settings = [f"batches.packing={packing}", "batches.order=ascending", "batches.pad_multiple=8"]
    steps = ["train.steps=3", "train.warmup_steps=1", "train.compile=false"]
    made = pretrain("demo", tmp_path / "run", corpus=corpus.path, overrides=[*settings, *steps])
    assert made.training.finished
