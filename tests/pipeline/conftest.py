"""A simulated world of a few genes and a finished run on it, made once."""

import pytest

from helixlm.data.simulate import simulate, small_config
from helixlm.pipeline.pretrain import pretrain

TINY = (
    "train.steps=12",
    "train.warmup_steps=2",
    "train.log_every=4",
    "train.validate_every=6",
    "train.validation_rows=16",
    "train.checkpoint_every=6",
    "batches.rows=4",
    "train.micro_rows=4",
    "model.hidden_size=32",
    "model.num_layers=2",
    "model.num_heads=2",
    "model.intermediate_size=64",
    "finetune.max_steps=6",
    "finetune.warmup_steps=1",
    "finetune.eval_every=3",
    "finetune.batch_size=8",
)


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("world") / "world", small_config(seed=5))


@pytest.fixture(scope="session")
def run(world, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "run"
    contigs = ", ".join(world.contigs_of_split("test"))
    return pretrain(
        "demo",
        output,
        fasta=[world.fasta()],
        overrides=[*TINY, f"split.validation_contigs=[{contigs}]"],
        species="alba",
        device="cpu",
    )
