"""The page: strict XML, nothing from outside, every section exactly if its facts are there."""

import dataclasses
import json
import math
import re
import typing
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from helixlm.errors import StateError
from helixlm.report.facts import (
    DataFacts,
    FinetuneFacts,
    Interval,
    MaskedExample,
    MaskedToken,
    MethodScore,
    ModelFacts,
    RunReport,
    SourceFile,
    TaskFacts,
    TokenizerFacts,
    TrainingFacts,
)
from helixlm.report.html import MAX_ROWS, read_metrics, render_report, write_report

VOID = {"meta", "br", "hr", "img", "input", "link"}
EVIL = "<script>alert(1)</script>\"'&<img src=x onerror=alert(2)>{{ 7*7 }}\x00\x1b\ud800"
SECTIONS = ["summary", "run", "learning", "tokens", "finetuning", "predictions", "notes", "again"]


def parse(page):
    """The page as strict XML; any unclosed tag or stray ampersand is an error."""
    return ElementTree.fromstring(page)


def text_of(element):
    return " ".join("".join(element.itertext()).split())


def section(page, name):
    return page.find(f".//section[@id='{name}']")


def sections(report):
    return [s.get("id") for s in parse(render_report(report)).iter("section")]


class Balance(HTMLParser):
    """Reads the page as HTML does and keeps what it refers to."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.references, self.handlers = [], set(), [], []

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attributes:
            if name in ("src", "href", "srcset", "data", "action", "poster", "xlink:href"):
                self.references.append(value)
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def read_as_html(page):
    balance = Balance()
    balance.feed(page)
    balance.close()
    assert balance.open == []
    return balance


def evil_value(kind):
    """Build a value of a type of facts.py in which every text is an attack."""
    origin, inside = typing.get_origin(kind), typing.get_args(kind)
    if kind is str:
        return EVIL
    if kind is bool:
        return True
    if kind in (int, float):
        return kind(3)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{f.name: evil_value(hints[f.name]) for f in dataclasses.fields(kind)})
    if origin is tuple:
        kinds = inside[:1] * 2 if inside[-1] is Ellipsis else inside
        return tuple(evil_value(k) for k in kinds)
    if origin is not None and issubclass(origin, typing.get_origin(typing.Mapping)):
        return {evil_value(inside[0]): evil_value(inside[1])}
    if inside and type(None) in inside:
        return evil_value(next(k for k in inside if k is not type(None)))
    assert kind is typing.Any
    return EVIL


def test_the_full_page_is_well_formed(sample_report):
    page = render_report(sample_report)
    assert page.startswith("<!DOCTYPE html>\n")
    root = parse(page)
    assert [s.get("id") for s in root.iter("section")] == [*SECTIONS, "words"]
    read_as_html(page)
    ids = [e.get("id") for e in root.iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    for svg in root.iter("svg"):
        assert all(name in ids for name in svg.get("aria-labelledby").split())
    links = [a.get("href") for a in root.find(".//nav").iter("a")]
    assert links == [f"#{name}" for name in [*SECTIONS, "words"]]


def test_nothing_comes_from_outside(sample_report):
    page = render_report(sample_report)
    found = read_as_html(page)
    assert all(reference.startswith("#") for reference in found.references)
    assert not found.handlers
    assert not found.tags & {"script", "link", "img", "iframe", "object", "embed", "base", "form"}
    assert "://" not in page and "@import" not in page and "url(" not in page
    policy = parse(page).find(".//meta[@http-equiv='Content-Security-Policy']").get("content")
    assert policy == "default-src 'none'; style-src 'unsafe-inline'"


def test_light_dark_print_and_phone(sample_report):
    page = render_report(sample_report)
    assert '<meta name="viewport" content="width=device-width, initial-scale=1" />' in page
    assert "@media screen and (prefers-color-scheme: dark)" in page
    assert "@media print" in page
    style = parse(page).find(".//style").text
    used = set(re.findall(r"var\((--[a-z0-9-]+)", style)) - {"--c", "--w"}
    light, dark = style.split("@media screen and (prefers-color-scheme: dark)", 1)
    assert used <= set(re.findall(r"(--[a-z0-9-]+):", light))
    assert used - set(re.findall(r"(--[a-z0-9-]+):", dark)) == set()


def test_every_class_that_colours_is_defined(sample_report):
    root = parse(render_report(sample_report))
    style = root.find(".//style").text
    names = {n for e in root.iter() for n in (e.get("class") or "").split()}
    coloured = {n for n in names if re.match(r"(c-|step|lane\d|fill-)", n)}
    assert coloured and all(f".{name}" in style for name in coloured)


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(RunReport)][3:])
def test_a_section_is_there_exactly_if_its_facts_are(sample_report, field):
    alone = RunReport(title="t", **{field: getattr(sample_report, field)})
    expected = {
        "data": {"summary", "run"},
        "tokenizer": {"summary", "tokens"},
        "model": {"summary", "run"},
        "training": {"summary", "run"},
        "curves": {"summary", "learning"},
        "finetune": {"summary", "finetuning"},
        "examples": {"predictions"},
        "notes": {"notes"},
        "recipe_yaml": {"again"},
        "versions": {"again"},
        "commands": {"again"},
    }[field]
    assert set(sections(alone)) == {*expected, "words"}
    default = RunReport(title="t")
    without = dataclasses.replace(sample_report, **{field: getattr(default, field)})
    gone = {"tokenizer": {"tokens"}, "curves": {"learning"}, "finetune": {"finetuning"}}
    gone |= {"examples": {"predictions"}, "notes": {"notes"}}
    assert set(sections(without)) == {*SECTIONS, "words"} - gone.get(field, set())


def test_an_empty_report_is_a_page():
    assert sections(RunReport(title="nothing")) == ["words"]


def test_hostile_text_stays_text():
    page = render_report(evil_value(RunReport))
    found = read_as_html(page)
    assert not found.tags & {"script", "img"} and not found.handlers
    assert all(reference.startswith("#") for reference in found.references)
    shown = EVIL.replace("\x00", "\ufffd").replace("\x1b", "\ufffd").replace("\ud800", "\ufffd")
    root = parse(page)
    assert root.find(".//h1").text == shown
    seen = "".join(root.itertext())
    assert seen.count("{{ 7*7 }}") > 40 and "49" not in seen
    page.encode("utf-8")


def test_hostile_records_stay_text():
    record = {"kind": "validation", "step": 1, "loss": 5.0, "accuracy": EVIL, "bits_per_base": None}
    parse(render_report(RunReport(title="t", curves=(record, {"kind": EVIL, "step": EVIL}))))


def test_numbers_on_the_page_are_the_input(sample_report):
    root = parse(render_report(sample_report))
    run = text_of(section(root, "run"))
    for text in (
        "9,841,233 bp in 15,420 windows",
        "2,101,554 bp in 3,290 windows",
        "chrVIII, chrXV",
        "2,093,824",
        "8,192,000 (3.5 times the training part)",
        "16 min 52 s",
        "12,157,105",
        "98981bbf0b5a",
        "15 % of the tokens",
    ):
        assert text in run
    tokens = text_of(section(root, "tokens"))
    assert "4.183" in tokens and "TTTT1.3 %" in tokens
    best = min(
        (r for r in sample_report.curves if r["kind"] == "validation" and r["step"] == 2000),
        key=lambda r: r["loss"],
    )
    learning = text_of(section(root, "learning"))
    assert f"Kept: the weights of step 2,000, {best['loss']:.3f} nats" in learning
    assert f"{100 * math.exp(-best['loss']):.2f} %" in learning
    again = section(root, "again")
    assert [p.text for p in again.iter("pre")] == [
        "".join(f"{command}\n" for command in sample_report.commands),
        sample_report.recipe_yaml,
    ]


def test_the_charts_end_where_the_records_do(sample_report):
    """Each chart names its lines with the newest value of the record that it shows."""
    records = [dict(r) for r in sample_report.curves]
    newest = {r["kind"]: r for r in records}
    train, check = newest["train"], newest["validation"]
    check["neighbour_loss"] = 5.123
    report = dataclasses.replace(sample_report, curves=tuple(records))
    charts = {
        svg.get("aria-labelledby").split("-title")[0]: [
            t.text for t in svg.iter("text") if t.get("class") == "label"
        ]
        for svg in section(parse(render_report(report)), "learning").iter("svg")
    }
    loss = [
        f"training {train['loss']:.2f}",
        f"validation {check['loss']:.2f}",
        "neighbours 5.12",
        "single tokens 5.87",
    ]
    assert charts["loss-wide"] == charts["loss-narrow"] == loss
    assert charts["bits"] == [
        f"training {train['bits_per_base']:.2f}",
        f"validation {check['bits_per_base']:.2f}",
        "neighbours 1.95",
        "single tokens 2.06",
    ]
    assert charts["accuracy"] == [
        f"validation {100 * check['accuracy']:.1f} %",
        "neighbours 5.8 %",
        "single tokens 1.7 %",
    ]
    assert charts["speed"] == [f"last {train['tokens_per_second']:,.0f}"]
    assert charts["norm"] == [f"last {train['grad_norm']:.2f}"]
    assert charts["rate"] == ["last 0"]


def test_the_validation_table(sample_report):
    root = parse(render_report(sample_report))
    rows = [
        [text_of(cell) for cell in row]
        for row in section(root, "learning").find(".//table/tbody").iter("tr")
    ]
    checks = [r for r in sample_report.curves if r["kind"] == "validation"]
    assert len(rows) == len(checks) + 2
    for row, record in zip(rows, checks, strict=False):
        assert row[:2] == [f"{record['step']:,}", f"{record['loss']:.4f}"]
    assert rows[-2][:2] == ["neighbours", "5.5610"]
    assert rows[-1][:2] == ["single tokens", "5.8740"]


def test_a_long_validation_table_is_thinned():
    records = [{"kind": "validation", "step": k, "loss": 6 - k / 1e4} for k in range(500)]
    root = parse(render_report(RunReport(title="t", curves=tuple(records))))
    rows = [text_of(row[0]) for row in section(root, "learning").find(".//tbody")]
    assert (len(rows), rows[0], rows[-1]) == (MAX_ROWS, "0", "499")
    assert f"{MAX_ROWS} of 500 validations" in text_of(section(root, "learning"))


def test_the_table_of_fine_tuning(sample_report):
    root = parse(render_report(sample_report))
    table = section(root, "finetuning").find(".//table")
    assert [text_of(c) for c in table.find("thead/tr")] == [
        "Task",
        "majority",
        "k-mers",
        "from scratch",
        "pretrained",
        "pretrained \N{MINUS SIGN} from scratch",
        "Rows",
    ]
    promoter, splice = ([text_of(c) for c in row] for row in table.find("tbody"))
    assert promoter[0] == "promoter"
    assert promoter[3] == "0.580 \N{PLUS-MINUS SIGN} 0.0120.530 to 0.6303 seeds"
    assert promoter[5] == "+0.120+0.075 to +0.165pretraining helps"
    assert promoter[6] == "613 test4,904 train613 dev"
    assert splice[5].endswith("not clear")
    best = [c for c in table.iter("td") if "best" in c.get("class").split()]
    assert [text_of(c)[:5] for c in best] == ["0.700", "0.820"]


def test_a_method_that_a_task_lacks_is_a_dash():
    one = MethodScore(method="probe", score=Interval(value=0.5, low=0.4, high=0.6))
    two = MethodScore(method="kmer", score=Interval(value=0.3, low=0.2, high=0.4))
    facts = FinetuneFacts(
        tasks=(TaskFacts(name="a", scores=(one,)), TaskFacts(name="b", scores=(one, two)))
    )
    root = parse(render_report(RunReport(title="t", finetune=facts)))
    table = section(root, "finetuning").find(".//table")
    assert [text_of(c) for c in table.find("thead/tr")][1:3] == ["k-mers", "probe"]
    assert text_of(table.find("tbody")[0][1]) == "\N{EN DASH}"
    assert "What pretraining adds" not in text_of(section(root, "finetuning"))


def test_numbers_that_are_missing_or_not_finite():
    nan = Interval(value=math.nan, low=math.nan, high=math.inf)
    report = RunReport(
        title="t",
        data=DataFacts(
            species="",
            train_bases=0,
            validation_bases=0,
            train_windows=0,
            validation_windows=0,
            files=(SourceFile(name="a", sha256=""),),
        ),
        tokenizer=TokenizerFacts(kind="kmer", vocab_size=5, bases_per_token=math.nan),
        model=ModelFacts(parameters=1),
        training=TrainingFacts(steps=0, seconds=math.nan, tokens=0),
        curves=(
            {"kind": "train", "step": 1, "loss": math.nan, "mfu": None, "lr": math.inf},
            {"kind": "validation", "step": 1, "loss": math.nan, "unigram_loss": math.nan},
        ),
        finetune=FinetuneFacts(
            tasks=(
                TaskFacts(name="a", scores=(MethodScore(method="kmer", score=nan),), gain=nan),
                TaskFacts(name="b", scores=()),
            )
        ),
        examples=(
            MaskedExample(contig="c", start=0, end=0, tokens=()),
            MaskedExample(
                contig="c",
                start=0,
                end=1,
                tokens=(MaskedToken(token="A", start=0, end=1, probability=math.nan),),
            ),
        ),
    )
    body = text_of(parse(render_report(report)).find("body"))
    assert not re.search(r"\b(nan|inf|None|Undefined)\b", body)


def test_many_tasks_with_long_names(sample_report):
    (task, _) = sample_report.finetune.tasks
    tasks = tuple(dataclasses.replace(task, name=f"task {k} " + "x" * 90) for k in range(20))
    facts = dataclasses.replace(sample_report.finetune, tasks=tasks)
    root = parse(render_report(dataclasses.replace(sample_report, finetune=facts)))
    found = section(root, "finetuning")
    assert len(found.findall(".//table/tbody/tr")) == 20
    assert len([s for s in found.iter("svg") if "task-" in s.get("aria-labelledby")]) == 20
    wide, narrow = (
        [s for s in found.iter("svg") if k in s.get("aria-labelledby")]
        for k in ("gain-wide", "gain-narrow")
    )
    assert len(wide) == len(narrow) == 1


def test_many_contigs_and_files_are_folded(sample_report):
    data = dataclasses.replace(
        sample_report.data,
        validation_contigs=tuple(f"NC_{k:06d}.1" for k in range(40)),
        files=sample_report.data.files * 9,
    )
    root = parse(render_report(RunReport(title="t", data=data)))
    summaries = [text_of(s) for s in section(root, "run").iter("summary")]
    assert summaries == ["which", "Why bases were not used", "The 9 files"]
    assert "40 contigs" in text_of(section(root, "run"))


def test_a_tokenizer_of_single_letters_needs_no_chart(sample_report):
    letters = dataclasses.replace(
        sample_report.tokenizer, kind="char", vocabulary_lengths={1: 4}, text_lengths={1: 100}
    )
    root = parse(render_report(RunReport(title="t", tokenizer=letters)))
    assert section(root, "tokens") is not None
    assert list(section(root, "tokens").iter("svg")) == []


def test_the_track_shows_each_token(sample_report):
    root = parse(render_report(sample_report))
    (example,) = sample_report.examples
    cells = [li for li in root.iter("li") if li.get("class") == "cell"]
    shown = [next(s.text for s in c if "token" in s.get("class").split()) for c in cells]
    assert shown == [t.token for t in example.tokens]
    flags = [text_of(li) for li in root.iter("li") if "flag" in (li.get("class") or "")]
    assert flags == ["core promoter (+)", "TATA box (+)", "initiator (+)"]
    assert "Held out from training." in text_of(section(root, "predictions"))


def test_the_page_does_not_change_between_renderings(sample_report):
    assert render_report(sample_report) == render_report(sample_report)


def test_the_page_is_small(sample_report):
    assert len(render_report(sample_report)) < 200_000


def test_writing_makes_the_folder_and_replaces_the_file(tmp_path, sample_report):
    path = write_report(sample_report, tmp_path / "run" / "report.html")
    assert path.read_text(encoding="utf-8") == render_report(sample_report)
    write_report(RunReport(title="second"), path)
    assert "second" in path.read_text(encoding="utf-8")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "report.html").mkdir()
    with pytest.raises(
        StateError, match=r"report\.html: cannot be written: .*nothing was replaced"
    ):
        write_report(RunReport(title="t"), tmp_path / "report.html")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


def test_metrics_are_read_back(tmp_path):
    records = [{"kind": "train", "step": 1, "loss": 6.5}, {"kind": "validation", "step": 1}]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records) + '{"kind": "tra')
    assert read_metrics(path) == tuple(records)
    assert read_metrics(tmp_path / "absent.jsonl") == ()


def test_broken_metrics_are_refused(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"kind": "tr\n{"kind": "train", "step": 2}\n')
    with pytest.raises(StateError, match="line 1"):
        read_metrics(path)
