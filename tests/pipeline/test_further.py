"""Further pretraining: from a model, or going on with a run; and what is refused."""

import json
import shutil

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tests.data.record_files import letters
from transformers import RobertaConfig, RobertaForMaskedLM

import helixlm
from helixlm.errors import InputError, StateError
from helixlm.models.convert import from_hf
from helixlm.models.hf import save_model
from helixlm.pipeline.prepare import prepare
from helixlm.pipeline.pretrain import pretrain
from helixlm.pipeline.report import write_run_report
from helixlm.tokenizers.kmer_overlapping import dnabert_tokenizer

from .conftest import TINY

LOOP = [setting for setting in TINY if not setting.startswith("model.")]


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """A corpus of another genome."""
    folder = tmp_path_factory.mktemp("other")
    contigs = [f">chr{n}\n{letters(100 + n, 6000)}\n" for n in range(4)]
    (folder / "other.fa").write_text("".join(contigs))
    return prepare("demo", folder / "corpus", fasta=[folder / "other.fa"]).path


def further(run, corpus, output, *changes, **given):
    return pretrain(
        "demo", output, corpus=corpus, start=run, overrides=[*LOOP, *changes], device="cpu", **given
    )


def weights(run, step=12):
    return load_file(run / "checkpoints" / f"step-{step:08d}" / "model.safetensors")


def validations(run):
    records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {r["step"]: r["loss"] for r in records if r["kind"] == "validation"}


def test_another_corpus_is_validated_on_before_and_after(run, other, tmp_path):
    """On the first genome: the loss that the model ended with there, then another; seen twice."""
    first = run.run / "corpus"
    made = further(run.run, other, tmp_path / "run", also_validate=[first])
    plain = further(run.run, other, tmp_path / "plain")
    assert validations(made.run) == validations(plain.run)
    found = made.summary["others"][str(first)]
    assert found["before"] == pytest.approx(run.training.best_loss, rel=1e-6)
    records = map(json.loads, (made.run / "metrics.jsonl").read_text().splitlines())
    scored = {r["step"]: r for r in records if r["kind"] == "other"}
    assert sorted(scored) == [0, 6, 12]
    assert found["best"] == scored[made.training.best_step]["loss"] != found["before"]
    assert {r["name"] for r in scored.values()} == {str(first)}
    again = further(made.run, first, tmp_path / "again")
    assert again.training.loss_before == pytest.approx(found["best"], rel=1e-6)


def test_a_model_goes_on_with_another_genome(run, other, tmp_path):
    made = further(run.run, other, tmp_path / "run")
    before = load_file(run.model / "model.safetensors")
    start = load_file(made.run / "start" / "model.safetensors")
    assert all(torch.equal(tensor, start[name]) for name, tensor in before.items())
    assert not all(torch.equal(tensor, weights(made.run)[name]) for name, tensor in before.items())
    tokenizer = (run.run / "tokenizer" / "tokenizer.json").read_text()
    assert (made.run / "tokenizer" / "tokenizer.json").read_text() == tokenizer
    found = validations(made.run)
    assert sorted(found) == [0, 6, 12]
    assert made.training.loss_before == found[0] == made.summary["validation_loss_before"]
    saved = yaml.safe_load((made.run / "recipe.yaml").read_text())
    assert saved["start"] == {"model": str(run.run), "continued": False}
    assert saved["model"] is saved["tokenizer"] is None
    assert helixlm.load(made.run).model.config == helixlm.load(run.run).model.config
    assert write_run_report(made.run).exists()


def test_what_is_scored_before_the_first_step_is_the_model_that_was_given(run, world, tmp_path):
    """On the corpus that it was trained on: the loss that it ended with, at its best step."""
    made = further(run.run, run.run / "corpus", tmp_path / "run")
    assert made.training.loss_before == pytest.approx(run.training.best_loss, rel=1e-6)


def test_a_run_from_a_model_resumes_when_that_is_gone(run, other, tmp_path):
    shutil.copytree(run.model, tmp_path / "model")
    made = further(tmp_path / "model", other, tmp_path / "run")
    expected = weights(made.run)
    shutil.rmtree(made.run / "checkpoints" / "step-00000012")
    shutil.rmtree(tmp_path / "model")
    again = further(tmp_path / "model", other, tmp_path / "run")
    assert again.training.loss_before == made.training.loss_before
    found = weights(made.run)
    assert all(torch.equal(tensor, found[name]) for name, tensor in expected.items())
    with pytest.raises(StateError, match=r"start.model: .*model -> .*other"):
        further(tmp_path / "other", other, tmp_path / "run")


CONSTANT = ("train.schedule=constant", "train.validate_every=12", "train.checkpoint_every=12")


def test_a_run_that_goes_on_is_the_run_that_was_longer(run, tmp_path):
    """With a schedule that knows no end; the corpus is that of the run."""
    settings = [*TINY, *CONSTANT]
    corpus = run.run / "corpus"
    given = {"corpus": corpus, "device": "cpu"}
    half = pretrain("demo", tmp_path / "half", overrides=settings, **given)
    whole = pretrain("demo", tmp_path / "w", overrides=[*settings, "train.steps=24"], **given)
    made = pretrain(
        half.run / "recipe.yaml",
        tmp_path / "longer",
        corpus=corpus,
        continues=half.run,
        overrides=["train.steps=24"],
        device="cpu",
    )
    one, two = weights(whole.run, 24), weights(made.run, 24)
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert made.training.tokens == whole.training.tokens
    assert validations(made.run) == {k: v for k, v in validations(whole.run).items() if k >= 12}
    assert made.training.loss_before == validations(half.run)[12]
    # And a kill on the way changes nothing.
    shutil.rmtree(made.run / "checkpoints")
    pretrain(
        half.run / "recipe.yaml",
        tmp_path / "longer",
        corpus=corpus,
        continues=half.run,
        overrides=["train.steps=24"],
        device="cpu",
    )
    two = weights(made.run, 24)
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())
    assert sorted(validations(made.run)) == [12, 24]


def test_a_run_goes_on_with_another_corpus_and_its_schedule(run, other, tmp_path):
    made = pretrain(
        run.run / "recipe.yaml",
        tmp_path / "run",
        corpus=other,
        continues=run.run,
        overrides=["train.steps=16", "train.log_every=1"],
        device="cpu",
    )
    records = map(json.loads, (made.run / "metrics.jsonl").read_text().splitlines())
    rates = {r["step"]: r["lr"] for r in records if r["kind"] == "train"}
    assert sorted(rates) == [13, 14, 15, 16]
    recipe = yaml.safe_load((run.run / "recipe.yaml").read_text())["train"]
    assert recipe["schedule"] == "cosine"
    assert rates[13] > rates[16] > 0
    assert made.training.best_step in (16,)


def test_without_a_corpus_that_of_the_run_is_taken(run, tmp_path):
    shutil.copytree(run.run, tmp_path / "old")
    made = pretrain(
        tmp_path / "old" / "recipe.yaml",
        tmp_path / "new",
        continues=tmp_path / "old",
        overrides=["train.steps=14"],
        device="cpu",
    )
    assert made.summary["corpus"] == str((tmp_path / "old" / "corpus").resolve())


def test_words_that_overlap_go_on_with_runs_that_are_hidden(other, tmp_path):
    tokenizer = dnabert_tokenizer(3)
    config = RobertaConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=194,
        pad_token_id=0,
    )
    save_model(from_hf(RobertaForMaskedLM(config), head="masked"), tmp_path / "model")
    tokenizer.save(tmp_path / "model")
    with pytest.raises(InputError, match=r"model: the tokenizer's k-mers overlap by 2 bases"):
        further(tmp_path / "model", other, tmp_path / "one")
    kinds = ("masking.kind=contiguous", "masking.random_tokens=other")
    made = further(tmp_path / "model", other, tmp_path / "two", *kinds)
    assert made.training.finished
    assert "of the tokens" in write_run_report(made.run).read_text()


@pytest.mark.parametrize(
    ("changes", "given", "message"),
    [
        (["model.hidden_size=8"], {}, "'model.hidden_size=8': model and tokenizer come with"),
        (["batches.row_tokens=500"], {}, "row_tokens 500 is over the 192 tokens that this model"),
        (["masking=null"], {}, "masking null asks each token for the next, and this model sees it"),
        ([], {"continues": "x"}, "both a model to begin with"),
    ],
)
def test_settings_that_do_not_go_with_the_model_are_refused(
    run, other, tmp_path, changes, given, message
):
    with pytest.raises(InputError, match=message):
        further(run.run, other, tmp_path / "run", *changes, **given)


def test_what_cannot_be_gone_on_with_is_told(run, other, tmp_path):
    recipe = run.run / "recipe.yaml"
    given = {"corpus": other, "device": "cpu"}
    with pytest.raises(InputError, match=r"train\.steps 12 is not over the 12 steps that were"):
        pretrain(recipe, tmp_path / "a", continues=run.run, **given)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no run with a checkpoint to go on from"):
        pretrain(recipe, tmp_path / "b", continues=tmp_path / "empty", **given)
    with pytest.raises(InputError, match=r"none: there is no such folder"):
        further(tmp_path / "none", other, tmp_path / "c")


def test_a_classifier_is_no_start(run, other, tmp_path):
    model = helixlm.load(run.run)
    shutil.copytree(run.model, tmp_path / "classifier")
    save_model(
        helixlm.models.hf.load_model(run.model, head="sequence", num_labels=3),
        tmp_path / "classifier",
    )
    assert model.kind == "masked"
    with pytest.raises(InputError, match=r"a classifier of 3 classes, and pretraining needs"):
        further(tmp_path / "classifier", other, tmp_path / "run")
