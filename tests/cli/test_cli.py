"""The command line as a user meets it: help, exit status, messages, and one job end to end."""

import subprocess
import sys

import pytest
from rich.console import Console

from helixlm.cli import progress
from helixlm.cli.main import repeat_options, run
from helixlm.data.simulate import simulate, small_config

VERBS = ["demo", "simulate", "recipes", "prepare", "pretrain", "finetune", "predict", "doctor"]
TINY = {
    "train.steps": 6,
    "train.warmup_steps": 1,
    "train.log_every": 2,
    "train.validate_every": 3,
    "train.validation_rows": 8,
    "train.checkpoint_every": 3,
    "batches.rows": 4,
    "train.micro_rows": 4,
    "model.hidden_size": 16,
    "model.num_layers": 1,
    "model.num_heads": 2,
    "model.intermediate_size": 32,
    "finetune.max_steps": 4,
    "finetune.warmup_steps": 1,
    "finetune.eval_every": 2,
}
TINY_OPTIONS = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("world") / "world", small_config(seed=5))


@pytest.fixture
def helixlm(capsys):
    """Call the command line in this process; return exit status, output and errors."""

    def call(*arguments):
        status = 0
        try:
            run([str(argument) for argument in arguments])
        except SystemExit as stop:
            status = stop.code or 0
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def test_help_is_fast_and_has_an_example_for_every_verb():
    script = (
        "import sys; from helixlm.cli.main import run\n"
        "try: run(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'sklearn', 'pyarrow', 'pysam'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(verb in done.stdout for verb in [*VERBS, "tokenizer"])


@pytest.mark.parametrize(
    "verb", [*VERBS, "tokenizer train", "tokenizer encode", "tokenizer report"]
)
def test_every_verb_has_help_with_an_example(helixlm, verb):
    status, out, _ = helixlm(*verb.split(), "--help")
    assert status == 0
    assert f"Example: helixlm {verb}" in out


def test_no_verb_shows_help_and_an_unknown_one_is_refused(helixlm):
    status, out, err = helixlm()
    assert "Commands" in out + err
    status, _, err = helixlm("fly")
    assert status == 2
    assert "fly" in err


def test_version(helixlm):
    status, out, _ = helixlm("--version")
    assert status == 0
    assert out.startswith("helixlm 0.")


def test_several_values_after_one_option():
    given = ["pretrain", "--fasta", "a", "b", "--set", "x=1", "-o", "run"]
    assert repeat_options(given) == [
        "pretrain", "--fasta", "a", "--fasta", "b", "--set", "x=1", "-o", "run",
    ]  # fmt: skip


def test_recipes_are_listed_and_printed(helixlm):
    _, out, _ = helixlm("recipes")
    assert "tinydnabert-mini" in out
    _, out, _ = helixlm("recipes", "tinydnabert")
    assert out.startswith("# TinyDNABERT as published")
    _, out, _ = helixlm("recipes", "tinydnabert", "--resolved")
    assert "type_vocab_size: 2" in out


def test_a_users_mistake_is_one_line_and_status_1(helixlm, tmp_path):
    missing = tmp_path / "none.fa"
    status, out, err = helixlm("pretrain", "--fasta", missing, "-o", tmp_path / "run")
    assert status == 1
    assert err.count("error:") == 1
    assert str(missing) in err
    assert "Traceback" not in out + err


def test_debug_shows_where_it_came_from(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "helixlm", "recipes", "nothing", "--debug"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RecipeError" in done.stderr


def test_from_fasta_to_predictions(helixlm, world, tmp_path):
    contigs = ",".join(world.contigs_of_split("test"))
    run_folder = tmp_path / "run"
    status, out, err = helixlm(
        "pretrain", "--recipe", "demo", "--fasta", world.fasta(), "-o", run_folder,
        "--validation-contigs", contigs, "--device", "cpu", *TINY_OPTIONS,
    )  # fmt: skip
    assert status == 0, err
    assert f"Next: helixlm finetune {run_folder}" in out
    assert (run_folder / "report.html").exists()
    tune = [x for x in TINY_OPTIONS if x != "--set" and x.startswith("finetune")]
    status, out, err = helixlm(
        "finetune", run_folder, "--train", world.task("promoter", "train"), "--dev",
        world.task("promoter", "dev"), "--test", world.task("promoter", "test"), "-o",
        tmp_path / "tuned", "--device", "cpu", *(p for x in tune for p in ("--set", x)),
    )  # fmt: skip
    assert status == 0, err
    assert "test mcc:" in out
    status, out, err = helixlm(
        "predict", tmp_path / "tuned", "--input", world.task("promoter", "test"), "-o",
        tmp_path / "labels.csv", "--device", "cpu",
    )  # fmt: skip
    assert status == 0, err
    rows = (tmp_path / "labels.csv").read_text().splitlines()
    tests = world.task("promoter", "test").read_text().splitlines()
    assert len(rows) == len(tests)


def test_stage_by_stage_gives_the_same_store(helixlm, world, tmp_path):
    corpus, tokenizer, store = (tmp_path / name for name in ("corpus", "tokenizer", "store"))
    status, out, err = helixlm(
        "prepare", "--recipe", "demo", "--fasta", world.fasta(), "-o", corpus
    )
    assert status == 0, err
    assert "windows overlap validation windows" in out
    status, out, err = helixlm(
        "tokenizer", "train", "--input", corpus, "--vocab-size", 64, "-o", tokenizer
    )
    assert status == 0, err
    status, out, err = helixlm("tokenizer", "encode", tokenizer, "--input", corpus, "-o", store)
    assert status == 0, err
    assert "documents" in out
    status, out, err = helixlm("tokenizer", "report", tokenizer, "--input", corpus)
    assert status == 0, err
    assert "bases" in out
    status, _, err = helixlm("tokenizer", "train", "--input", corpus, "-o", tokenizer)
    assert status == 1
    assert str(tokenizer) in err
    status, _, err = helixlm(
        "tokenizer", "encode", tokenizer, "--input", world.fasta(), "-o", tmp_path / "x"
    )
    assert status == 1
    assert "expected one corpus folder" in err


def test_methods_need_a_test_file(helixlm, tmp_path):
    status, _, err = helixlm(
        "finetune", "m", "--train", "t.csv", "--methods", "all", "-o", tmp_path / "x"
    )
    assert status == 1
    assert "give --test CSV" in err


def test_simulate_and_doctor(helixlm, tmp_path):
    status, out, _ = helixlm("simulate", "--small", "--seed", 3, "-o", tmp_path / "world")
    assert status == 0
    assert (tmp_path / "world" / "manifest.json").exists()
    status, out, err = helixlm("doctor")
    assert status == 0, out + err
    assert "All is well" in out


def test_progress_speaks_in_lines_where_there_is_no_terminal(monkeypatch, capsys):
    monkeypatch.setattr(progress, "PLAIN_SECONDS", 0.0)
    terminal = progress.Terminal()
    with terminal.stage("Counting", 4) as update:
        for done in range(5):
            update(done, 4)
    with terminal.training("Training", 2) as advance:
        advance(1, 2, {"loss": 1.5, "bits_per_base": 1.9, "lr": 0.1, "tokens_per_second": 10.0})
    err = capsys.readouterr().err
    assert "Counting: 2 of 4, about" in err
    assert "Training: 1 of 2" in err
    assert "loss 1.500  1.900 bits/base  lr 0.1  10 tokens/s" in err
    assert "done in" in err


def test_progress_draws_bars_on_a_terminal(monkeypatch):
    terminal = progress.Terminal()
    terminal.console = Console(force_terminal=True, width=100, record=True)
    with terminal.stage("Counting", 4) as update:
        update(4, 4)
    assert "4/4" in terminal.console.export_text()
