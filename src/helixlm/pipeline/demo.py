"""The whole line on a simulated world: made, trained, judged and reported in minutes.

The genome of the focal species is simulated with everything about it known. A small model is
pretrained on its chromosomes but two, on which both the validation of pretraining and the test and
dev rows of two classification tasks lie, so nothing that is judged was ever seen. Then the same
model is fine-tuned, from its pretrained weights and from scratch, beside k-mer regression.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from helixlm.data.formats.fasta_index import FastaFile
from helixlm.data.simulate import World, WorldConfig, simulate
from helixlm.inference import LoadedModel, load, resolve_device
from helixlm.pipeline.pretrain import PretrainResult, pretrain, standard_error_of
from helixlm.pipeline.progress import Reporter, Silent
from helixlm.pipeline.report import masked_example, write_run_report
from helixlm.recipes.load import load_recipe
from helixlm.report.facts import Feature, MaskedExample
from helixlm.tasks.compare import Comparison, compare

TASKS = {
    "promoter": "whether a 300-bp sequence holds the start of a gene (its promoter) or not",
    "splice_donor": "whether the GT in the middle of 120 bp is the start of an intron or any GT",
}
SEEDS = (0, 1, 2, 3, 4)


class DemoResult(NamedTuple):
    """What the demo made."""

    output: Path
    world: World
    pretraining: PretrainResult
    comparisons: list[Comparison]
    report: Path


def demo(
    output: str | Path,
    *,
    recipe: str | Path = "demo",
    seed: int = 0,
    overrides: Sequence[str] = (),
    world: WorldConfig | None = None,
    tasks: Sequence[str] = tuple(TASKS),
    seeds: Sequence[int] = SEEDS,
    device: str | None = None,
    report: Reporter | None = None,
) -> DemoResult:
    """Simulate, pretrain, fine-tune and report. What is done in `output` is not done again.

    Parameters
    ----------
    output : path
        Folder for everything; the page is `report.html` in it.
    recipe : str or path
        The recipe to run.
    seed : int
        Seed of the world and of the run.
    overrides : sequence of str
        ``section.key=value`` settings put on the recipe.
    world : WorldConfig, optional
        Settings of the world; `seed` is then not used for it.
    tasks : sequence of str
        Classification tasks to judge on.
    seeds : sequence of int
        Seeds of fine-tuning.
    device : str, optional
        "cpu" or "cuda"; by default CUDA if there is one.
    report : Reporter, optional
        Where to show progress.

    Returns
    -------
    DemoResult
        Paths and results.

    Raises
    ------
    InputError
        If a setting is not known or there is no such device.
    StateError
        If the folder holds another demo.
    """
    resolve_device(device)
    output, report = Path(output), report or Silent()
    config = world or WorldConfig(seed=seed)
    with report.stage("Simulating a small world") as progress:
        made = simulate(output / "world", config, progress=progress)
    held_out = made.contigs_of_split("dev") + made.contigs_of_split("test")
    settings = load_recipe(
        recipe,
        [
            f"seed={seed}",
            "split.by=contig",
            f"split.validation_contigs=[{', '.join(held_out)}]",
            *overrides,
        ],
    )
    trained = pretrain(
        settings,
        output / "run",
        fasta=[made.fasta()],
        species=made.focal,
        assembly=f"simulated, seed {config.seed}",
        device=device,
        report=report,
    )
    if trained.model is None:
        return DemoResult(output, made, trained, [], output / "report.html")
    comparisons = []
    for task in tasks:
        with report.stage(f"Fine-tuning: {task}") as progress:
            comparisons.append(
                compare(
                    trained.model,
                    train=made.task(task, "train"),
                    dev=made.task(task, "dev"),
                    test=made.task(task, "test"),
                    output=output / "tasks" / task,
                    seeds=seeds,
                    config=settings.finetune,
                    suite="demo",
                    task=task,
                    model_name=settings.name,
                    device=device,
                    progress=progress,
                )
            )
    with report.stage("Writing the report"):
        page = write_run_report(
            output / "run",
            title="helixlm demo",
            subtitle="A DNA language model, made and judged on a simulated genome "
            "in which everything is known",
            comparisons=comparisons,
            examples=[_promoter(load(trained.model), made)],
            commands=(
                _command(
                    recipe=recipe,
                    seed=seed,
                    overrides=overrides,
                    world=world,
                    tasks=tasks,
                    seeds=seeds,
                    device=device,
                ),
            ),
            about=TASKS,
        )
        copy = output / "report.html"
        copy.write_bytes(page.read_bytes())
    return DemoResult(output, made, trained, comparisons, copy)


def headline(result: DemoResult) -> str:
    """Write what came out in a few lines."""
    training = result.pretraining.training
    lines = [
        f"Pretraining: {training.best_loss:.3f} nats a masked token on held-out chromosomes; "
        f"counting single tokens gives {training.baselines.unigram.loss:.3f}, counting neighbours "
        f"{training.baselines.neighbour.loss:.3f}{standard_error_of(result.pretraining)}",
    ]
    for comparison in result.comparisons:
        rows = {r.method: r for r in comparison.intervals if r.metric == "mcc"}
        name = comparison.rows[0].task
        scores = ", ".join(
            f"{method} {rows[method].value:.3f}"
            for method in ("majority", "kmer", "scratch", "pretrained")
            if method in rows
        )
        lines.append(f"{name}: MCC {scores}")
        gain = rows.get("pretrained - scratch")
        if gain is not None:
            lines.append(
                f"  pretraining adds {gain.value:+.3f} [{gain.low:+.3f}, {gain.high:+.3f}]"
                f" ({gain.level:.0%} interval)"
            )
    return "\n".join(lines)


def _command(
    *,
    recipe: str | Path,
    seed: int,
    overrides: Sequence[str],
    world: WorldConfig | None,
    tasks: Sequence[str],
    seeds: Sequence[int],
    device: str | None,
) -> str:
    """Write the command that makes this demo again: the verb, or Python for what it has not."""
    given: dict[str, Any] = {}
    if str(recipe) != "demo":
        given["recipe"] = str(recipe)
    if tuple(tasks) != tuple(TASKS):
        given["tasks"] = list(tasks)
    if tuple(seeds) != SEEDS:
        given["seeds"] = list(seeds)
    if not given and world is None:
        words = ["helixlm", "demo", "--seed", str(seed)]
        words += [word for override in overrides for word in ("--set", override)]
        words += [] if device is None else ["--device", device]
        return shlex.join([*words, "-o", "demo"])
    given |= {"seed": seed, "overrides": list(overrides), "device": device}
    parts = ["'demo'", *(f"{name}={value!r}" for name, value in given.items())]
    imports = "import helixlm"
    if world is not None:
        imports += "; from helixlm.data.simulate import WorldConfig"
        parts.append(f"world=WorldConfig(**{world.model_dump(mode='json', exclude_defaults=True)})")
    return shlex.join(["python", "-c", f"{imports}; helixlm.demo({', '.join(parts)})"])


def _promoter(loaded: LoadedModel, world: World) -> MaskedExample:
    """Show the first held-out promoter on the forward strand that has a TATA box."""
    [contig, *_] = world.contigs_of_split("test")
    features = [
        feature
        for name in ("tata", "initiators", "motifs", "genes")
        for feature in _features(world, name, contig)
    ]
    box = next(f for f in features if f.name.lower().startswith("tata") and f.strand == "+")
    start, end = box.start - 150, box.start + 200
    with FastaFile(world.fasta()) as fasta:
        sequence = fasta.fetch(contig, start, end)
    return masked_example(
        loaded,
        sequence,
        contig=contig,
        start=start,
        title="a promoter with a TATA box",
        features=features,
        held_out=True,
    )


def _features(world: World, name: str, contig: str) -> list[Feature]:
    path = world.bed(name)
    if not path.exists():
        return []
    rows: list[list[Any]] = [line.split("\t") for line in path.read_text().splitlines()]
    return [
        Feature(name=row[3], start=int(row[1]), end=int(row[2]), strand=row[5])
        for row in rows
        if row[0] == contig
    ]
