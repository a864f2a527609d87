"""Corpora pushed to a hub on loopback and read back from there, and what goes wrong on the way."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pyarrow.parquet as pq
import pytest
from huggingface_hub import DatasetCard, constants
from tests.pipeline.hub_server import TOKEN, Dataset, only_hub

from helixlm.data.corpus.base import Corpus, open_corpus
from helixlm.data.hub import HubError, fetch_corpus, find_corpus
from helixlm.errors import StateError
from helixlm.pipeline import hub_files as pushing
from helixlm.pipeline.hub import push_corpus
from helixlm.pipeline.prepare import prepare
from helixlm.rng import CounterRng

# Of huggingface_hub's own upload.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NAME = "alba/windows"


def letters(seed, count):
    return "".join("ACGT"[i] for i in CounterRng("letters", seed).integers(0, 4, count))


@pytest.fixture(scope="session")
def corpora(tmp_path_factory):
    """Two corpora: the first has a shard more."""
    folder = tmp_path_factory.mktemp("corpora")
    made = []
    for number, genomes in enumerate((("a", "b", "c"), ("d", "e"))):
        listed = []
        for genome in genomes:
            path = folder / f"{genome}.fa"
            path.write_text(
                "".join(f">chr{i}\n{letters(genome + str(i), 4000)}\n" for i in (1, 2, 3))
            )
            listed.append(f"{{species: {genome}, fasta: {path}}}")
        (folder / "genomes.yaml").write_text(f"[{', '.join(listed)}]")
        made.append(
            prepare(
                "demo",
                folder / f"corpus{number}",
                sources=folder / "genomes.yaml",
                overrides=[
                    "split.by=block",
                    "split.block_bp=1000",
                    "split.validation_fraction=0.4",
                ],
            )
        )
    return made


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with only_hub(monkeypatch, tmp_path) as served:
        yield served


def rows_of(folder, split):
    files = sorted(Path(folder).glob(f"{split}/*.parquet"))
    return [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]


def test_push_and_fetch(hub, corpora):
    corpus = corpora[0]
    done = push_corpus(corpus, NAME)
    assert done.url == f"{hub.url}/datasets/{NAME}"
    dataset = hub.datasets[NAME]
    assert done.revision == dataset.refs["main"]
    assert not dataset.private
    shards = [record.file for record in corpus.manifest.files]
    assert set(dataset.files) == {
        ".gitattributes", "README.md", "manifest.json", "report.html", *shards,
    }  # fmt: skip
    assert (done.sent, done.deleted) == (len(shards) + 3, 0)
    for shard in [*shards, "report.html"]:
        assert dataset.files[shard] == (corpus.path / shard).read_bytes()
    folder = fetch_corpus(NAME)
    assert folder.name == done.revision
    fetched = open_corpus(folder)
    fetched.verify()
    assert fetched.manifest.corpus_sha256 == corpus.manifest.corpus_sha256
    for split in ("train", "validation"):
        assert rows_of(folder, split) == rows_of(corpus.path, split)
        assert list(fetched.iter_windows(split)) == list(corpus.iter_windows(split))


READ = """
import json, sys
from datasets import load_dataset
found = {}
for streaming in (False, True):
    dataset = load_dataset(sys.argv[1], streaming=streaming)
    found[str(streaming)] = {split: list(rows) for split, rows in dataset.items()}
print(json.dumps(found))
"""


def test_datasets_reads_it_streaming_too(hub, corpora, tmp_path):
    push_corpus(corpora[0], NAME)
    environment = os.environ | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", READ, NAME], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    local = {split: rows_of(corpora[0].path, split) for split in ("train", "validation")}
    assert json.loads(done.stdout) == {"False": local, "True": local}
    assert hub.asked("GET /datasets/alba/windows/resolve/.*parquet")


def test_a_second_push_changes_nothing(hub, corpora):
    first = push_corpus(corpora[0], NAME)
    asked = len(hub.log)
    assert push_corpus(corpora[0], NAME) == first._replace(sent=0)
    assert list(hub.datasets[NAME].refs.values()) == [first.revision]
    assert len(hub.datasets[NAME].commits) == 2  # the one that a new dataset has, and the corpus
    again = [" ".join(seen) for seen in hub.log[asked:]]
    assert not [seen for seen in again if "/commit/" in seen or seen.startswith("PUT")]


def test_another_corpus_takes_its_place_in_one_change(hub, corpora):
    push_corpus(corpora[0], NAME)
    (old, new) = ({record.file for record in corpus.manifest.files} for corpus in corpora)
    assert old - new  # or the test shows nothing
    dataset = hub.datasets[NAME]
    dataset.commit("main", {**dataset.files, "LICENSE": b"mine", "figures/a.png": b"png"})
    before = len(dataset.commits)
    done = push_corpus(corpora[1], NAME)
    assert len(dataset.commits) == before + 1
    assert done.deleted == len(old - new)
    assert set(dataset.files) == {
        ".gitattributes", "README.md", "manifest.json", "report.html", "LICENSE", "figures/a.png",
        *new,
    }  # fmt: skip
    folder = fetch_corpus(NAME)
    assert rows_of(folder, "train") == rows_of(corpora[1].path, "train")
    first = list(dataset.commits)[1]
    assert rows_of(fetch_corpus(NAME, first), "train") == rows_of(corpora[0].path, "train")


def test_a_page_that_is_not_there_any_more_is_deleted(hub, corpora, tmp_path):
    push_corpus(corpora[0], NAME)
    shutil.copytree(corpora[0].path, tmp_path / "corpus")
    (tmp_path / "corpus" / "report.html").unlink()
    done = push_corpus(open_corpus(tmp_path / "corpus"), NAME)
    assert (done.sent, done.deleted) == (0, 1)
    assert "report.html" not in hub.datasets[NAME].files


def test_more_files_than_a_commit_takes_appear_at_once(hub, corpora, monkeypatch):
    monkeypatch.setattr(pushing, "COMMIT_FILES", 4)
    push_corpus(corpora[1], NAME)
    dataset = hub.datasets[NAME]
    main = [dataset.refs["main"]]
    commit = Dataset.commit

    def watched(self, ref, files):
        sha = commit(self, ref, files)
        main.append(self.refs["main"])
        return sha

    monkeypatch.setattr(Dataset, "commit", watched)
    done = push_corpus(corpora[0], NAME)
    seen = list(dict.fromkeys(main))
    assert seen == [main[0], done.revision]  # nothing between the old and the new
    assert len(main) > 3
    fetched = open_corpus(fetch_corpus(NAME))
    assert fetched.manifest.corpus_sha256 == corpora[0].manifest.corpus_sha256
    names = {record.file for record in corpora[0].manifest.files}
    assert {path for path in dataset.files if path.endswith(".parquet")} == names


def test_a_change_by_another_is_not_overwritten(hub, corpora, monkeypatch):
    monkeypatch.setattr(pushing, "COMMIT_FILES", 4)
    commit = Dataset.commit

    def twice(self, ref, files):
        if ref == "refs/pr/1":
            commit(self, "main", {**self.files, "README.md": b"another"})
        return commit(self, ref, files)

    monkeypatch.setattr(Dataset, "commit", twice)
    with pytest.raises(HubError, match=r"changed meanwhile: run again \(http.*discussions/1\)"):
        push_corpus(corpora[0], NAME)
    assert hub.datasets[NAME].files["README.md"] == b"another"


def test_a_change_in_the_same_moment_is_refused(hub, corpora, monkeypatch):
    is_there = pushing._is_there

    def interrupted(file, found):
        hub.datasets[NAME].commit("main", {"README.md": b"another"})
        return is_there(file, found)

    monkeypatch.setattr(pushing, "_is_there", interrupted)
    with pytest.raises(HubError, match=r"alba/windows: the dataset changed meanwhile \(412\)"):
        push_corpus(corpora[0], NAME)
    assert hub.datasets[NAME].files == {"README.md": b"another"}


def test_no_folder_of_this_machine_is_told(hub, corpora):
    paths = [file.path for file in corpora[0].manifest.inputs]
    assert all(Path(path).is_absolute() for path in paths)
    push_corpus(corpora[0], NAME)
    for name in ("manifest.json", "README.md", "report.html"):
        assert str(Path(paths[0]).parent).encode() not in hub.datasets[NAME].files[name]
    told = json.loads(hub.datasets[NAME].files["manifest.json"])
    assert [source["inputs"][0]["path"] for source in told["sources"]] == ["a.fa", "b.fa", "c.fa"]
    for source, path in zip(told["sources"], paths, strict=True):
        source["inputs"][0]["path"] = path
    assert told == corpora[0].manifest.model_dump(mode="json")  # nothing else is changed


def test_paths_that_are_not_absolute_stay(hub, corpora):
    manifest = corpora[0].manifest
    named = ("genomes/a.fa", "https://example.org/b.fa", "owner/dataset")
    sources = tuple(
        source.model_copy(update={"inputs": (source.inputs[0].model_copy(update={"path": path}),)})
        for source, path in zip(manifest.sources, named, strict=True)
    )
    changed = manifest.model_copy(update={"sources": sources})
    push_corpus(Corpus(corpora[0].path, changed), NAME)
    assert tuple(file.path for file in open_corpus(fetch_corpus(NAME)).manifest.inputs) == named


def test_private(hub, corpora):
    push_corpus(corpora[0], NAME, private=True)
    assert hub.datasets[NAME].private
    push_corpus(corpora[1], NAME, private=True)
    push_corpus(corpora[1], "alba/open")
    with pytest.raises(HubError, match="alba/open: expected a private dataset, found a public one"):
        push_corpus(corpora[0], "alba/open", private=True)


def test_a_dataset_of_another_kind_is_not_replaced(hub, corpora):
    for number, files in enumerate(
        ({"train/a.parquet": b"1"}, {"manifest.json": b"{}"}, {"manifest.json": b"x"})
    ):
        name = f"alba/other{number}"
        hub.datasets[name] = Dataset(False)
        hub.datasets[name].commit("main", files)
        with pytest.raises(HubError, match=rf"{name}: the dataset holds files that are no corpus"):
            push_corpus(corpora[0], name)
        assert hub.datasets[name].files == files


def test_a_damaged_corpus_is_not_sent(hub, corpora, tmp_path):
    shutil.copytree(corpora[0].path, tmp_path / "corpus")
    shard = tmp_path / "corpus" / corpora[0].manifest.files[0].file
    shard.write_bytes(shard.read_bytes()[:-1] + b"x")
    with pytest.raises(StateError, match="the contents are not those that were written"):
        push_corpus(open_corpus(tmp_path / "corpus"), NAME)
    assert not hub.log


@pytest.mark.parametrize("name", ["windows", "a/b/c", "/tmp/x", "../x", "a b/c", ""])
def test_a_name_must_be_one(hub, corpora, name):
    with pytest.raises(HubError, match=r": expected OWNER/NAME, the name of a dataset"):
        push_corpus(corpora[0], name)
    with pytest.raises(HubError, match=r": expected OWNER/NAME, the name of a dataset"):
        fetch_corpus(name)


def test_names_that_only_the_client_knows_to_be_none(hub, corpora):
    with pytest.raises(HubError, match=r"alba/a--b: Cannot have -- or \.\. in repo_id"):
        push_corpus(corpora[0], "alba/a--b")


def test_a_wrong_token(hub, corpora, monkeypatch):
    push_corpus(corpora[0], NAME)
    with pytest.raises(
        HubError, match=r"alba/windows: the hub wants a token, or does not know this one \(401\)"
    ):
        push_corpus(corpora[0], NAME, token="hf_wrong")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(
        HubError, match=r"the hub wants a token, or does not know this one \(401\): run 'hf auth"
    ):
        fetch_corpus(NAME)
    fetch_corpus(NAME, token=TOKEN)
    with pytest.raises(HubError, match=r"others/windows: the token has no right .* \(403\)"):
        push_corpus(corpora[0], "others/windows", token=TOKEN)


def test_no_token(hub, corpora, monkeypatch):
    push_corpus(corpora[0], NAME)
    push_corpus(corpora[0], "alba/secret", private=True)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match=r"the hub wants a token, or does not know this one \(401\)"):
        push_corpus(corpora[0], "alba/new")
    with pytest.raises(HubError, match=r"alba/windows: the hub wants a token"):
        push_corpus(corpora[1], NAME)
    with pytest.raises(HubError, match="alba/secret: no dataset of this name on the hub that you"):
        fetch_corpus("alba/secret")
    fetch_corpus(NAME)


def test_an_unknown_licence_is_told_before_anything_is_sent(hub, corpora):
    with pytest.raises(HubError, match=r'README.md. - "license" must be one of mit, cc-by-4.0'):
        push_corpus(corpora[0], NAME, licence="mine")
    assert not hub.blobs


def test_the_server_fails_midway(hub, corpora, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    hub.fails["PUT /lfs/"] = [2, 503]
    with pytest.raises(HubError, match=r"alba/windows: the hub failed \(503\): run again later"):
        push_corpus(corpora[0], NAME)
    arrived = set(hub.blobs)
    assert len(arrived) == 2
    assert set(hub.datasets[NAME].files) == {".gitattributes"}
    hub.fails.clear()
    asked = len(hub.log)
    push_corpus(corpora[0], NAME)
    sent = {path.removeprefix("/lfs/") for method, path in hub.log[asked:] if method == "PUT"}
    assert sent == set(hub.blobs) - arrived  # what had arrived is not sent twice
    hub.fails["GET /datasets/alba/windows/resolve"] = [2, 500]
    with pytest.raises(HubError, match=r"the hub failed \(500\)"):
        fetch_corpus(NAME)
    hub.fails.clear()
    fetch_corpus(NAME)


def test_a_commit_that_fails(hub, corpora):
    hub.fails["POST /api/datasets/alba/windows/commit"] = [0, 504]
    with pytest.raises(HubError, match=r"the hub failed \(504\)"):
        push_corpus(corpora[0], NAME)
    hub.fails.clear()
    push_corpus(corpora[0], NAME)
    fetch_corpus(NAME)


def test_what_is_not_on_the_hub(hub, corpora, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HubError, match="alba/none: no dataset of this name on the hub that you"):
        fetch_corpus("alba/none")
    with pytest.raises(HubError, match="alba/none: no such file or folder; taken for a name on"):
        find_corpus("alba/none")
    asked = len(hub.log)
    (tmp_path / "here").mkdir()
    for path in ("here/none", "none", "here", str(tmp_path / "none"), "./alba/none"):
        assert find_corpus(path) == Path(path)
    assert len(hub.log) == asked
    push_corpus(corpora[0], NAME)
    with pytest.raises(HubError, match="alba/windows: the dataset has no such revision"):
        fetch_corpus(NAME, "none")
    hub.datasets["alba/other"] = Dataset(False)
    with pytest.raises(HubError, match=r"has no manifest\.json: it is no helixlm corpus"):
        fetch_corpus("alba/other")
    hub.datasets["alba/other"].commit("main", {"manifest.json": b'{"format": "x"}'})
    with pytest.raises(HubError, match=r"alba/other: .*expected a helixlm corpus, found 'x'"):
        fetch_corpus("alba/other")


def test_a_folder_of_that_name_goes_first(hub, corpora, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    push_corpus(corpora[0], NAME)
    assert find_corpus(NAME) == fetch_corpus(NAME)
    (tmp_path / NAME).mkdir(parents=True)
    assert find_corpus(NAME) == Path(NAME)


def test_offline(hub, corpora, monkeypatch):
    push_corpus(corpora[0], NAME)
    folder = fetch_corpus(NAME)
    push_corpus(corpora[0], "alba/second")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    huggingface_hub.close_session()
    try:
        assert fetch_corpus(NAME) == folder
        with pytest.raises(HubError, match="not in the cache, and HF_HUB_OFFLINE forbids to ask"):
            fetch_corpus("alba/second")
        with pytest.raises(HubError, match="HF_HUB_OFFLINE forbids to ask"):
            push_corpus(corpora[0], NAME)
    finally:
        huggingface_hub.close_session()


def test_no_connection(hub, corpora, monkeypatch):
    push_corpus(corpora[0], NAME)
    folder = fetch_corpus(NAME)
    nowhere = "http://127.0.0.1:9"
    monkeypatch.setattr(constants, "ENDPOINT", nowhere)
    assert fetch_corpus(NAME) == folder
    with pytest.raises(HubError, match=r"alba/second: the hub cannot be reached \(.+\), and it is"):
        fetch_corpus("alba/second")
    with pytest.raises(HubError, match=r"alba/windows: the hub cannot be reached \([^)]+\)$"):
        push_corpus(corpora[0], NAME)


def test_a_damaged_copy(hub, corpora):
    push_corpus(corpora[0], NAME)
    folder = fetch_corpus(NAME)
    shard = (folder / corpora[0].manifest.files[0].file).resolve()
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + b"x")
    again = rf"To fetch it again, delete .*{'--'.join(('datasets', *NAME.split('/')))} first"
    with pytest.raises(StateError, match=rf"alba/windows: .*SHA-256 differs.*{again}"):
        fetch_corpus(NAME)
    shutil.rmtree(folder.parents[1])
    open_corpus(fetch_corpus(NAME)).verify()


def test_a_mixture_on_the_hub_is_refused(hub, corpora):
    push_corpus(corpora[0], NAME)
    dataset = hub.datasets[NAME]
    one, two = (record.file for record in corpora[0].manifest.files[:2])
    dataset.commit("main", {**dataset.files, one: dataset.files[two]})
    with pytest.raises(StateError, match=rf"alba/windows: .*{one}: "):
        fetch_corpus(NAME)


def test_the_card_gives_the_splits(hub, corpora, tmp_path):
    push_corpus(corpora[0], NAME, licence="mit")
    (tmp_path / "README.md").write_bytes(hub.datasets[NAME].files["README.md"])
    card = DatasetCard.load(tmp_path / "README.md")
    assert card.data.license == "mit"
    (config,) = card.data.configs
    for entry in config["data_files"]:
        found = [path for path in hub.datasets[NAME].files if Path(path).match(entry["path"])]
        records = corpora[0].manifest.splits[entry["split"]].shards
        assert sorted(found) == sorted(record.file for record in records)
    assert [entry["split"] for entry in config["data_files"]] == ["train", "validation"]
