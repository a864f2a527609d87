"""All methods on the same rows: the tables, their intervals, and what is refused."""

import pytest

from helixlm.errors import InputError, StateError
from helixlm.tasks import compare as module
from helixlm.tasks.compare import compare
from helixlm.tasks.config import FinetuneConfig
from helixlm.tasks.data import read_labelled
from helixlm.tasks.metrics import METRICS, score
from helixlm.tasks.outputs import read_predictions
from helixlm.tasks.table import read_table, summarise

CONFIG = FinetuneConfig(max_steps=60, batch_size=32, lr=1e-2, warmup_steps=5, eval_every=20)


@pytest.fixture(scope="module")
def comparison(model_folder, files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "out"
    seen = []
    found = compare(
        model_folder,
        **files,
        output=folder,
        seeds=(0, 1),
        config=CONFIG,
        suite="toys",
        device="cpu",
        progress=lambda done, total: seen.append((done, total)),
    )
    return found, seen


def test_one_row_for_each_number(comparison):
    found, _ = comparison
    assert read_table(found.output / "results.csv") == found.rows
    keys = [(r.method, r.seed, r.split, r.metric) for r in found.rows]
    runs = [("majority", None), ("kmer", None)]
    runs += [(method, seed) for method in ("scratch", "pretrained") for seed in (0, 1)]
    assert keys == [(*run, s, m) for run in runs for s in ("dev", "test") for m in METRICS]
    assert {(r.suite, r.task.startswith("gc_or_at")) for r in found.rows} == {("toys", True)}
    assert [r.lr for r in found.rows if r.method == "kmer"] == 8 * [None]
    kmer = next(r for r in found.rows if r.method == "kmer")
    assert kmer.protocol.startswith("logistic regression on k-mer counts, k and C chosen by dev")


def test_rows_are_counted(comparison, files):
    found, _ = comparison
    lines = {split: path.read_text().splitlines() for split, path in files.items()}
    assert found.num_rows == {split: len(rows) - 1 for split, rows in lines.items()}


def test_intervals(comparison):
    found, _ = comparison
    names = ["majority", "kmer", "scratch", "pretrained"]
    leads = [f"pretrained - {other}" for other in names[:3]]
    assert [r.method for r in found.intervals] == [n for n in names + leads for _ in METRICS]
    means = {(s.method, s.metric): s.mean for s in summarise(found.rows) if s.split == "test"}
    for row in found.intervals:
        one, _, other = row.method.partition(" - ")
        expected = means[one, row.metric] - means.get((other, row.metric), 0.0)
        assert row.value == pytest.approx(expected)
        assert row.low <= row.value <= row.high
        assert row.num_seeds == (2 if one in ("scratch", "pretrained") else 1)
    (lead,) = [r for r in found.intervals if (r.method, r.metric) == (leads[0], "mcc")]
    assert lead.low > 0  # more than guessing


def test_predictions_of_every_method(comparison, files):
    found, _ = comparison
    data = read_labelled(files["test"], label_names=("at", "gc"))
    for folder in ("majority", "kmer", "scratch-seed1", "pretrained-seed0"):
        method, _, seed = folder.partition("-seed")
        written = read_predictions(found.output / folder / "predictions.csv", ("at", "gc"))
        (row,) = [
            r
            for r in found.rows
            if (r.method, r.seed, r.split, r.metric)
            == (method, int(seed) if seed else None, "test", "mcc")
        ]
        assert score(data.labels, written).mcc == row.value


def test_progress_over_all_runs(comparison):
    _, seen = comparison
    assert seen == [(done, 240) for done in range(1, 241)]


def test_again_trains_nothing(comparison, model_folder, files, monkeypatch):
    found, _ = comparison
    monkeypatch.setattr("helixlm.tasks.finetune._Run.train", None)
    again = compare(
        model_folder, **files, output=found.output, seeds=(0, 1), config=CONFIG, suite="toys"
    )
    assert again == found


def test_some_methods(model_folder, files, tmp_path):
    found = compare(
        model_folder,
        **files,
        output=tmp_path / "out",
        methods=["majority"],
        task="t",
        model_name="m",
    )
    assert {(r.method, r.task) for r in found.rows} == {("majority", "t")}
    assert {(r.method, r.model) for r in found.intervals} == {("majority", "m")}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ["cnn"]}, "method 'cnn' is not known: expected some of majority, kmer,"),
        ({"methods": ["kmer", "kmer"]}, "method 'kmer' is given twice: expected each once"),
        ({"seeds": [1, 2, 1]}, "seed 1 is given twice"),
        ({"seeds": []}, "no seed is given: expected at least one"),
    ],
)
def test_choices_that_are_refused(model_folder, files, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        compare(model_folder, **files, output=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_folders_of_others(model_folder, files, tmp_path):
    (tmp_path / "finetune.json").touch()
    with pytest.raises(StateError, match=r"holds 'finetune\.json', which no comparison wrote"):
        compare(model_folder, **files, output=tmp_path)
    with pytest.raises(StateError, match="is a file, expected a folder"):
        compare(model_folder, **files, output=files["train"])


def test_constants_stand_in_the_table(comparison):
    found, _ = comparison
    assert {(r.level, r.resamples) for r in found.intervals} == {(module.LEVEL, module.RESAMPLES)}
