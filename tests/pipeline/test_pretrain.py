"""The main job: its folder, its resumption, and what plain transformers makes of the model."""

import errno
import fcntl
import html
import json
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial

import pytest
import torch
import yaml
from safetensors.torch import load_file
from tests.data.record_files import Cds, letters, write_cds, write_table
from transformers import AutoTokenizer

import helixlm
from helixlm.data.corpus.base import open_corpus
from helixlm.data.letters import open_letters
from helixlm.data.similarity.leaks import check_leaks
from helixlm.data.store import open_store
from helixlm.errors import InputError, StateError
from helixlm.pipeline.prepare import prepare
from helixlm.pipeline.pretrain import pretrain
from helixlm.pipeline.progress import Silent
from helixlm.pipeline.report import write_run_report
from helixlm.recipes.load import load_recipe
from helixlm.tokenizers.hf import load_tokenizer

from .conftest import TINY


def again(run, world, output, *changes, **settings):
    contigs = ", ".join(world.contigs_of_split("test"))
    overrides = [*TINY, f"split.validation_contigs=[{contigs}]", *changes]
    return pretrain(
        "demo", output, fasta=[world.fasta()], overrides=overrides, device="cpu", **settings
    )


def test_the_folder_holds_what_is_promised(run, world):
    assert run.training.finished
    names = {path.name for path in run.run.iterdir()}
    assert {"recipe.yaml", "metrics.jsonl", "corpus", "tokenizer", "store", "checkpoints"} <= names
    assert {"model", "summary.json"} <= names
    assert yaml.safe_load((run.run / "recipe.yaml").read_text())["train"]["steps"] == 12
    summary = json.loads((run.run / "summary.json").read_text())
    assert summary["parameters"] == run.num_parameters
    assert summary["validation_loss"] == run.training.best_loss
    best = run.run / "checkpoints" / f"step-{run.training.best_step:08d}"
    weights, exported = (load_file(x / "model.safetensors") for x in (best, run.run / "model"))
    assert all(torch.equal(weights[name], exported[name]) for name in exported)


def test_the_store_holds_the_corpus_in_tokens(run):
    corpus, store = open_corpus(run.run / "corpus"), open_store(run.run / "store")
    tokenizer = load_tokenizer(run.run / "tokenizer")
    documents = store.split("validation")
    sequences = list(corpus.iter_sequences("validation"))
    assert documents.num_documents == len(sequences)
    for index, sequence in enumerate(sequences):
        assert tokenizer.decode(documents.document(index)) == sequence.upper()


def test_a_run_with_bpe_dropout_keeps_store_and_validation(run, world, tmp_path):
    """The store, what is validated on and the baselines are those of the run without."""
    stopped = again(run, world, tmp_path / "run", "batches.bpe_dropout=0.3")
    assert stopped.training.finished
    assert stopped.training.baselines == run.training.baselines
    stores = [open_store(folder / "store").manifest for folder in (run.run, tmp_path / "run")]
    assert stores[0].splits == stores[1].splits  # with a hash of each file
    first, first_too = (
        json.loads((folder / "metrics.jsonl").read_text().splitlines()[0])
        for folder in (run.run, tmp_path / "run")
    )
    assert first == first_too
    assert stopped.summary["validation_loss"] != run.summary["validation_loss"]
    with pytest.raises(StateError, match=r"batches.bpe_dropout: 0\.3 -> 0\.0"):
        again(run, world, tmp_path / "run")


def test_held_out_contigs_are_held_out(run, world):
    corpus = open_corpus(run.run / "corpus")
    held_out = set(world.contigs_of_split("test"))
    assert {w.contig for w in corpus.iter_windows("validation")} == held_out
    assert not {w.contig for w in corpus.iter_windows("train")} & held_out
    assert check_leaks(corpus).overlapping == 0


PLAIN = """
import sys, json, torch
from transformers import AutoModelForMaskedLM, AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])
model = AutoModelForMaskedLM.from_pretrained(sys.argv[1]).eval()
assert "helixlm" not in sys.modules
batch = tokenizer(["ACGTTTGACAnACGT", "GGGATATA"], return_tensors="pt", padding=True)
with torch.no_grad():
    logits = model(**batch).logits
print(json.dumps([batch.input_ids.tolist(), batch.attention_mask.tolist(), logits.tolist()]))
"""


def test_plain_transformers_loads_the_model_and_gives_the_same_logits(run):
    done = subprocess.run(
        [sys.executable, "-c", PLAIN, run.run / "model"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    ids, mask, expected = (torch.tensor(x) for x in json.loads(done.stdout.splitlines()[-1]))
    loaded = helixlm.load(run.run)
    ours = [
        loaded.tokenizer.add_special(loaded.tokenizer.encode(x)).tolist()
        for x in ("ACGTTTGACAnACGT", "GGGATATA")
    ]
    assert [row[: int(m.sum())] for row, m in zip(ids.tolist(), mask, strict=True)] == ours
    with torch.no_grad():
        logits = loaded.model.eval()(ids, attention_mask_BL=mask)
    torch.testing.assert_close(logits[mask.bool()], expected[mask.bool()], rtol=0, atol=1e-5)


def test_a_second_call_does_nothing_again(run, world):
    files = {
        p: p.stat().st_mtime_ns for p in run.run.rglob("*") if p.suffix in (".bin", ".parquet")
    }
    before = (run.run / "metrics.jsonl").read_bytes()
    result = again(run, world, run.run, species="alba")
    assert result.training.best_loss == run.training.best_loss
    assert (run.run / "metrics.jsonl").read_bytes() == before
    assert files == {p: p.stat().st_mtime_ns for p in files}


def test_a_run_from_a_corpus_is_the_run_from_fasta(run, world, tmp_path):
    contigs = ", ".join(world.contigs_of_split("test"))
    result = pretrain(
        load_recipe("demo", [*TINY, f"split.validation_contigs=[{contigs}]"]),
        tmp_path / "run",
        corpus=run.run / "corpus",
        device="cpu",
    )
    one, two = (load_file(x / "model" / "model.safetensors") for x in (run.run, result.run))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_other_settings_are_refused_and_named(run, world):
    with pytest.raises(
        StateError, match=r"(?s)holds a run with other settings:.*train.lr: 0.001 -> 1"
    ):
        again(run, world, run.run, "train.lr=1", species="alba")


def test_settings_that_change_no_number_may_change(run, world):
    assert again(run, world, run.run, "train.keep_checkpoints=5", species="alba").training.finished


def test_one_process_at_a_time(run, world, tmp_path):
    (tmp_path / "run").mkdir()
    with (tmp_path / "run" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StateError, match="another process is training in this folder"):
            again(run, world, tmp_path / "run")


def test_rows_that_the_padding_id_makes_too_long(world, tmp_path):
    published = "tokenizer.special_order=published"  # <pad> has the id 3 there
    with pytest.raises(InputError, match=r"over the 190 .* id 3 .*set model\.max_positions=196"):
        again(None, world, tmp_path / "short", published)
    long = again(None, world, tmp_path / "long", published, "model.max_positions=196")
    assert long.training.finished


def test_a_recipe_that_ends_with_its_corpus(tmp_path):
    with pytest.raises(InputError, match=r"'dnabert' has no model:.*prepare --recipe dnabert\)"):
        pretrain("dnabert", tmp_path / "run", fasta=["genome.fa"], overrides=["model=null"])
    assert not (tmp_path / "run").exists()


def test_nothing_to_train_on(tmp_path, run):
    with pytest.raises(InputError, match="nothing to train on: give FASTA files"):
        pretrain("demo", tmp_path / "run")
    with pytest.raises(InputError, match="both FASTA files and a corpus were given"):
        pretrain("demo", tmp_path / "run", fasta=["a.fa"], corpus="b")


def test_a_folder_that_cannot_be_written(tmp_path, world):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StateError, match="cannot be written"):
        again(None, world, tmp_path / "file" / "run")


def test_a_checkpoint_cut_short_is_passed_over(run, world, tmp_path, caplog):
    shutil.copytree(run.run, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "model")
    newest = tmp_path / "run" / "checkpoints" / "step-00000012"
    with (newest / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    result = again(run, world, tmp_path / "run", species="alba")
    assert "1,000 bytes, expected" in caplog.text
    assert result.training.step == 12
    one, two = (load_file(x / "model" / "model.safetensors") for x in (run.run, result.run))
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def test_a_file_system_without_locks_is_no_other_process(run, world, monkeypatch, caplog):
    def refuse(*arguments):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert again(run, world, run.run, species="alba").training.finished
    assert "this file system has no locks" in caplog.text


def test_compiling_without_a_compiler_is_refused_before_anything_is_made(
    run, world, tmp_path, monkeypatch
):
    monkeypatch.setattr("helixlm.pipeline.machine.shutil.which", lambda name: None)
    with pytest.raises(InputError, match=r"calls a compiler, .*--set train\.compile=false"):
        again(run, world, tmp_path / "run", "train.compile=true")
    assert not (tmp_path / "run").exists()


def test_the_tokenizer_of_the_model_knows_how_much_the_model_takes(run, world, tmp_path):
    made = again(None, world, tmp_path / "short", "batches.row_tokens=64", "model.max_positions=66")
    for folder in (made.model, next((made.run / "checkpoints").glob("step-*"))):
        assert AutoTokenizer.from_pretrained(folder).model_max_length == 64
    served = json.loads((run.model / "config.json").read_text())["max_position_embeddings"] - 2
    assert AutoTokenizer.from_pretrained(run.model).model_max_length == served


def test_the_recipe_of_a_run_on_a_corpus_is_the_one_that_made_the_corpus(world, tmp_path, caplog):
    contig, *_ = world.contigs_of_split("dev")
    weights = "weights.contigs={'*': 0.5}"
    cut = ["windows.max_bp=300", f"split.validation_contigs=[{contig}]", weights, "seed=4"]
    corpus = prepare("demo", tmp_path / "corpus", fasta=[world.fasta()], overrides=cut)
    caplog.set_level("INFO")
    made = pretrain("demo", tmp_path / "run", corpus=corpus.path, overrides=TINY, device="cpu")
    assert "made with settings of its own, which hold here" in caplog.text
    saved = yaml.safe_load((made.run / "recipe.yaml").read_text())
    assert saved["windows"]["max_bp"] == 300
    assert saved["split"]["validation_contigs"] == [contig]
    assert saved["weights"]["contigs"] == {"*": 0.5}
    page = write_run_report(made.run).read_text()
    first, second = (
        line for line in html.unescape(page).splitlines() if "--recipe recipe.yaml" in line
    )
    assert "helixlm prepare" in first
    assert "--set seed=4" in first
    assert "helixlm pretrain --recipe recipe.yaml --corpus CORPUS" in second
    # And they do give the same corpus again.
    same = prepare(
        made.run / "recipe.yaml", tmp_path / "same", fasta=[world.fasta()], overrides=["seed=4"]
    )
    assert same.manifest.corpus_sha256 == corpus.manifest.corpus_sha256


def test_settings_that_a_corpus_contradicts_are_refused(world, tmp_path, caplog):
    pieces = ["windows.kind=pieces", "windows.chunk_bp=300", "windows.overlap_bp=10"]
    corpus = prepare("demo", tmp_path / "corpus", fasta=[world.fasta()], overrides=pieces)
    [drawn] = corpus.manifest.validation_contigs
    [other, *_] = corpus.manifest.inputs[0].contigs.keys() - {drawn}
    for given, there in (
        (f"split.validation_contigs=[{other}]", f"split.validation_contigs is ['{drawn}'] there"),
        ("split.by=block", "split.by is contig there"),
        ("windows.max_bp=300", "windows.max_bp is None there"),
        ("windows.kind=coding", "windows.kind is pieces there"),
        ("duplicates.remove=exact", "duplicates.remove is None there"),
        ("weights.contigs.chrM=0", "weights.contigs.chrM is None there"),
        ("variants={draws: 2}", "variants.draws is 1 there"),
    ):
        with pytest.raises(InputError) as caught:
            pretrain("demo", tmp_path / "run", corpus=corpus.path, overrides=[given])
        assert str(caught.value) == (
            f"{corpus.path}: a corpus that was made with other settings than those given: {there}. "
            "Leave them out, or make a corpus with them (helixlm prepare)"
        )
    assert not (tmp_path / "run").exists()
    caplog.set_level("INFO")
    true = [*pieces, "split.by=contig", f"split.validation_contigs=[{drawn}]", *TINY]
    for settings, said in ((true, f"['{drawn}'] -> []"), (TINY, "tinydnabert -> pieces")):
        caplog.clear()
        shown = tmp_path / str(len(settings))
        made = pretrain("demo", shown, corpus=corpus.path, overrides=settings, device="cpu")
        assert made.training.finished
        [line] = (r.getMessage() for r in caplog.records if "of its own" in r.getMessage())
        assert said in line
        assert "None" not in line


@pytest.mark.parametrize("kind", ["cds", "dataset"])
def test_a_run_on_coding_sequences_or_a_dataset(tmp_path, kind):
    records = [
        Cds(f"T{i}", letters(i, 600), (f"{i % 4}", 700 * i, 700 * i + 600, "-")) for i in range(80)
    ]
    if kind == "cds":
        given = {"cds": [write_cds(tmp_path / "a.cds.fa", records)]}
        expected = "--cds a.cds.fa -o CORPUS"
    else:
        given = {"dataset": write_table(tmp_path / "a.csv", records), "column": "sequence"}
        expected = f"--dataset {tmp_path}/a.csv --column sequence --dataset-split train -o CORPUS"
    corpus = prepare("demo", tmp_path / "corpus", **given, overrides=["windows.kind=coding"])
    made = pretrain("demo", tmp_path / "run", corpus=corpus.path, overrides=TINY, device="cpu")
    assert made.model is not None
    page = html.unescape(write_run_report(made.run).read_text())
    first, second = (line for line in page.splitlines() if "--recipe recipe.yaml" in line)
    assert expected in first
    assert "helixlm pretrain --recipe recipe.yaml --corpus CORPUS" in second


def test_a_run_that_draws_its_windows(world, tmp_path):
    drawn = ("packing=drawn", "drawn_bp=150", "jitter_bp=40", "reverse_complement=0.5")
    settings = tuple(f"batches.{setting}" for setting in drawn)
    made = again(None, world, tmp_path / "run", *settings)
    assert made.training.finished
    assert not (made.run / "store").exists()
    corpus, letters = open_corpus(made.run / "corpus"), open_letters(made.run / "letters")
    for split in ("train", "validation"):
        found = letters.split(split)
        texts = [found.document(i).tobytes().decode() for i in range(len(found))]
        assert texts == list(corpus.iter_sequences(split))
    assert made.summary["epochs"] == 12 * 4 / corpus.num_windows("train")
    assert write_run_report(made.run).exists()
    last = made.run / "checkpoints" / "step-00000012"
    weights = load_file(last / "model.safetensors")
    shutil.rmtree(last)
    assert again(None, world, made.run, *settings, "train.num_workers=2").training.step == 12
    resumed = load_file(last / "model.safetensors")
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in weights.items())
    with pytest.raises(StateError, match=r"batches.jitter_bp: 40 -> 30"):
        again(None, world, made.run, *settings, "batches.jitter_bp=30")


class Stopper(Silent):
    """Does something at a step of the training."""

    def __init__(self, step, action):
        self.step, self.action = step, action

    @contextmanager
    def training(self, title, total):
        yield lambda step, *_: step == self.step and self.action()


def broken_off():
    raise RuntimeError("broken off")


def test_a_run_on_haplotypes_with_jitter_that_is_stopped_is_the_run_that_was_not(world, tmp_path):
    held_out = ", ".join(world.contigs_of_split("test"))
    windows = ("kind=pieces", "chunk_bp=150", "overlap_bp=20")
    cut = [*(f"windows.{x}" for x in windows), f"split.validation_contigs=[{held_out}]"]
    corpus = prepare(
        "demo", tmp_path / "corpus", fasta=[world.fasta()], vcf=[world.vcf], overrides=cut
    )
    rows = list(corpus.iter_windows("train"))
    people = {(row.sample, row.haplotype) for row in rows}
    assert people == {(f"alba_0{i}", haplotype) for i in range(1, 5) for haplotype in (1, 2)}
    assert len({len(row.sequence) - (row.end - row.start) for row in rows}) > 5  # indels
    drawn = ("packing=drawn", "drawn_bp=150", "jitter_bp=40", "reverse_complement=0.5")
    overrides = [*TINY, *(f"batches.{x}" for x in drawn), "train.num_workers=0"]

    def train(name, report=None):
        return pretrain(
            "demo",
            tmp_path / name,
            corpus=corpus.path,
            overrides=overrides,
            device="cpu",
            report=report,
        )

    whole = train("whole")
    checkpoints = tmp_path / "stopped" / "checkpoints"
    with pytest.raises(RuntimeError, match="broken off"):
        train("stopped", Stopper(8, broken_off))
    assert {path.name for path in checkpoints.iterdir()} == {"step-00000006"}
    terminate = partial(signal.raise_signal, signal.SIGTERM)
    assert train("stopped", Stopper(10, terminate)).training.stopped_by == "SIGTERM"
    assert (checkpoints / "step-00000010").exists()
    assert train("stopped").training.step == whole.training.step == 12
    for name in ("model.safetensors", "optimizer.safetensors"):
        one, two = (
            load_file(tmp_path / run / "checkpoints" / "step-00000012" / name)
            for run in ("whole", "stopped")
        )
        assert one.keys() == two.keys()
        assert all(torch.equal(tensor, two[key]) for key, tensor in one.items())


def test_drawn_windows_with_bpe_dropout_keep_validation_and_baselines(world, tmp_path):
    settings = ("batches.packing=drawn", "batches.drawn_bp=150", "batches.jitter_bp=40")
    plain = again(None, world, tmp_path / "plain", *settings)
    dropped = again(None, world, tmp_path / "dropped", *settings, "batches.bpe_dropout=0.3")
    assert plain.training.baselines == dropped.training.baselines
    assert plain.training.best_loss != dropped.training.best_loss
