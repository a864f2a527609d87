"""Model folders: plain transformers reads ours, we read its, and what is damaged is refused."""

import errno
import json
import logging
import os
import pickle
import resource
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from helixlm.models.heads import MaskedLM, SequenceClassifier
from helixlm.models.hf import (
    ModelFolderError,
    ModelWriteError,
    find_folder,
    load_model,
    save_model,
)
from helixlm.models.init import initialise
from helixlm.models.weights import read_weights

STOCK = ("roberta", "bert", "esm", "modernbert")
EXACTLY = {  # the models of `tiny_hf`
    "esm": {"tied_decoder": True},
    "modernbert": {
        "num_layers": 3, "attention_bias": False, "up_bias": False, "down_bias": False
    },
}  # fmt: skip
HEADS = [(f, h) for f in STOCK for h in ("masked", "sequence")]
IDS = torch.randint(4, 37, (2, 11), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def make(tiny_config):
    def build(family="roberta", head="masked", seed=0, **changes):
        config = tiny_config(family, initializer_range=0.2, **changes)
        if head == "masked":
            model = MaskedLM(config)
        else:
            model = SequenceClassifier(config, 3, 0.3, ["helix", "sheet", "coil"])
        initialise(model, config, torch.Generator().manual_seed(seed))
        return model.eval()

    return build


def assert_same(one, other):
    assert type(one) is type(other)
    assert one.config == other.config
    assert one.state_dict().keys() == other.state_dict().keys()
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


@pytest.mark.parametrize(("family", "head"), HEADS)
def test_written_and_read(make, tmp_path, family, head):
    model = make(family, head)
    folder = save_model(model, tmp_path / "deep" / "model")
    assert sorted(p.name for p in folder.parent.iterdir()) == ["model"]
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    loaded = load_model(folder)
    assert_same(loaded, model)
    assert not loaded.training
    if head == "sequence":
        assert loaded.labels == ("helix", "sheet", "coil")
        assert loaded.dropout == 0.3


@pytest.mark.parametrize(("family", "head"), HEADS)
def test_the_files_hold_what_transformers_writes(make, tiny_hf, tmp_path, family, head):
    ours = save_model(make(family, head, **EXACTLY.get(family, {})), tmp_path / "ours")
    hf_model = tiny_hf(family, head)
    hf_model.save_pretrained(tmp_path / "theirs")
    weights = [load_file(f / "model.safetensors") for f in (ours, tmp_path / "theirs")]
    # transformers 5 writes LayerNorms of ESM as TensorFlow did, and reads both.
    weights[1] = {
        name.replace("Norm.gamma", "Norm.weight").replace("Norm.beta", "Norm.bias"): tensor
        for name, tensor in weights[1].items()
    }
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        assert (tensor.shape, tensor.dtype) == (weights[1][name].shape, weights[1][name].dtype)
    written = [json.loads((f / "config.json").read_text()) for f in (ours, tmp_path / "theirs")]
    fixed = ("architectures", "model_type", "dtype", "tie_word_embeddings")
    for name in fixed:
        assert written[0][name] == written[1][name]
    if family in ("roberta", "bert"):
        more = {"problem_type", "helixlm_initialisation", "position_embedding_type"}
        assert written[0].keys() - written[1].keys() <= more
    expected = hf_model(input_ids=IDS).logits
    torch.testing.assert_close(load_model(tmp_path / "theirs")(IDS), expected, rtol=0, atol=1e-5)


PLAIN = """
import json, sys
sys.modules["helixlm"] = None
import torch, transformers
from safetensors.torch import load_file, save_file
root, ids = sys.argv[1], load_file(sys.argv[1] + "/ids.safetensors")["ids"]
for name in sys.argv[2:]:
    auto = transformers.AutoModelForMaskedLM
    if name.endswith("sequence"):
        auto = transformers.AutoModelForSequenceClassification
    model, info = auto.from_pretrained(f"{root}/{name}", output_loading_info=True)
    assert not any(info.values()), (name, info)
    save_file({"logits": model(input_ids=ids).logits.detach()}, f"{root}/{name}.safetensors")
print(json.dumps(model.config.id2label))
"""


def test_plain_transformers_loads_our_folders(make, tmp_path):
    save_file({"ids": IDS}, tmp_path / "ids.safetensors")
    for family, head in HEADS:
        save_model(make(family, head), tmp_path / f"{family}-{head}")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PLAIN, str(tmp_path), *map("-".join, HEADS)],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"0": "helix", "1": "sheet", "2": "coil"}
    for word in ("newly initialized", "not used", "MISSING", "UNEXPECTED"):
        assert word not in done.stderr, done.stderr
    for family, head in HEADS:
        logits = load_file(tmp_path / f"{family}-{head}.safetensors")["logits"]
        torch.testing.assert_close(make(family, head)(IDS), logits, rtol=0, atol=1e-5)


def test_a_masked_model_is_read_as_a_classifier(make, tmp_path, caplog):
    folder = save_model(make(), tmp_path / "model")
    with caplog.at_level(logging.INFO, logger="helixlm"):
        model = load_model(folder, "sequence", 4, seed=9)
    assert "fresh weights, seed 9: head.dense.weight" in caplog.text
    for name, tensor in make().encoder.state_dict().items():
        assert torch.equal(model.encoder.state_dict()[name], tensor)
    assert model(IDS).shape == (2, 4)


def test_an_existing_folder_keeps_its_other_files(make, tmp_path):
    folder = save_model(make(), tmp_path / "model")
    (folder / "tokenizer.json").write_text("{}")
    newer = make(seed=1)
    save_model(newer, folder)
    assert (folder / "tokenizer.json").read_text() == "{}"
    assert_same(load_model(folder), newer)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("file", "save"), [("model.safetensors", save_file), ("pytorch_model.bin", torch.save)]
)
def test_weights_in_several_files(make, tmp_path, file, save):
    folder = save_model(make(), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    names = sorted(weights)
    parts = {
        file.replace(".", "-00001-of-00002."): names[:9],
        file.replace(".", "-00002-of-00002."): names[9:],
    }
    for part, held in parts.items():
        save({name: weights[name] for name in held}, folder / part)
    index = {"weight_map": {name: part for part, held in parts.items() for name in held}}
    (folder / f"{file}.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()
    assert_same(load_model(folder), make())
    (folder / list(parts)[1]).unlink()
    with pytest.raises(ModelFolderError, match=rf"has no {list(parts)[1]}, which the index beside"):
        load_model(folder)
    for wrong in ({}, {"weight_map": {}}, {"weight_map": {"a": "../other/model.safetensors"}}):
        (folder / f"{file}.index.json").write_text(json.dumps(wrong))
        with pytest.raises(ModelFolderError, match=r"index.json: gives no weight_map from tensors"):
            load_model(folder)


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_in_a_pickle_of_tensors(make, tmp_path, zipped):
    folder = save_model(make(), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    pickled = folder / "pytorch_model.bin"
    torch.save(weights, pickled, _use_new_zipfile_serialization=zipped)
    assert_same(load_model(folder), make())
    pickled.write_bytes(pickled.read_bytes()[:-60])
    with pytest.raises(ModelFolderError, match=r"pytorch_model.bin: is damaged or cut short"):
        load_model(folder)


class Evil:
    """Writes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("how", ["torch, zipped", "torch", "pickle"])
def test_a_pickle_with_code_in_it_is_refused_and_not_run(make, tmp_path, how):
    folder = save_model(make(), tmp_path / "model")
    (folder / "model.safetensors").unlink()
    pickled, content = folder / "pytorch_model.bin", {"weight": Evil(tmp_path / "was run")}
    if how == "pickle":
        pickled.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, pickled, _use_new_zipfile_serialization=how == "torch, zipped")
    with pytest.raises(ModelFolderError, match=r"pickle that holds more than tensors.*is refused"):
        load_model(folder)
    assert not (tmp_path / "was run").exists()


@given(st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
def test_whatever_is_wrong_with_a_pickle_is_one_error(tmp_path, data):
    """Any change of any byte: tensors come out, or the error that says what is wrong."""
    path = tmp_path / "pytorch_model.bin"
    zipped = data.draw(st.booleans())
    weights = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.zeros(2)}
    torch.save(weights, path, _use_new_zipfile_serialization=zipped)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        found = read_weights(tmp_path)
    except ModelFolderError as error:
        assert "pytorch_model.bin: " in str(error)
    else:
        assert all(isinstance(tensor, torch.Tensor) for tensor in found.values())


def damage(folder: Path, how: str) -> None:
    weights, config = folder / "model.safetensors", folder / "config.json"
    if how == "no config":
        config.unlink()
    elif how == "config is text":
        config.write_text("hidden_size: 24")
    elif how == "config is a list":
        config.write_text("[]")
    elif how == "unknown type":
        config.write_text(config.read_text().replace('"roberta"', '"gpt2"'))
    elif how == "other shapes":
        config.write_text(config.read_text().replace('"vocab_size": 37', '"vocab_size": 40'))
    elif how == "no weights":
        weights.unlink()
    elif how == "cut short":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif how == "cut in the header":
        weights.write_bytes(weights.read_bytes()[:5])
    elif how == "a pickle of something else":
        weights.unlink()
        torch.save({"state_dict": {}}, folder / "pytorch_model.bin")
    elif how == "a pointer in place of a pickle":
        weights.unlink()
        (folder / "pytorch_model.bin").write_text("version https://git-lfs.github.com/spec/v1")


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no config", r"has no config\.json, so it is no model folder"),
        ("config is text", r"config\.json: is not JSON: Expecting value"),
        ("config is a list", r"config\.json: holds a list, expected an object"),
        ("unknown type", r"model_type 'gpt2', expected 'bert', .* or 'helixlm'"),
        ("other shapes", r"of another shape: roberta.*\(37, 24\), expected \(40, 24\)"),
        ("no weights", r"has no model\.safetensors, nor .*It holds: config\.json$"),
        ("cut short", r"model\.safetensors: is damaged or cut short"),
        ("cut in the header", r"model\.safetensors: is damaged or cut short"),
        ("a pickle of something else", r"pytorch_model\.bin: holds something else than tensors"),
        ("a pointer in place of a pickle", r"is damaged or cut short \(it is no pickle of tensors"),
    ],
)
def test_a_damaged_folder_is_refused(make, tmp_path, how, message):
    folder = save_model(make(), tmp_path / "model")
    damage(folder, how)
    with pytest.raises(ModelFolderError, match=message) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)


def test_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(ModelFolderError, match="missing: there is no such folder"):
        load_model(tmp_path / "missing")
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFolderError, match=r"file: is a file, expected a folder"):
        load_model(tmp_path / "file")


def test_a_full_disk_leaves_the_old_model(make, tmp_path):
    old = make()
    folder = save_model(old, tmp_path / "model")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # the weights are larger
    try:
        with pytest.raises(
            ModelWriteError, match=r"model: cannot write the model: .*File too large"
        ):
            save_model(make(seed=1), folder)
        with pytest.raises(ModelWriteError) as caught:
            save_model(make(seed=1), tmp_path / "new")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert isinstance(caught.value, OSError)
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert_same(load_model(folder), old)


def test_a_folder_that_cannot_be_made(make, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelWriteError, match=r"cannot write the model: .*Not a directory"):
        save_model(make(), tmp_path / "file" / "model")


SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path):
    """Serve every folder of `tmp_path/hub` as a model, as the Hugging Face hub does."""
    root, asked = tmp_path / "hub", []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.answer(body=True)

        def do_HEAD(self):
            self.answer(body=False)

        def log_message(self, *args):
            pass

        def answer(self, body):
            path = self.path.split("?")[0].lstrip("/")
            asked.append(path)
            owner_and_name = "/".join(path.removeprefix("api/models/").split("/")[:2])
            folder = root / owner_and_name
            files = sorted(folder.iterdir()) if folder.is_dir() else []
            status, kind, content = 200, "application/json", b""
            if not files:
                status, content = 404, b'{"error": "Repository not found"}'
            elif path.startswith("api/models/") and "/tree/" in path:
                tree = [
                    {"type": "file", "path": f.name, "size": f.stat().st_size, "oid": f.name}
                    for f in files
                ]
                content = json.dumps(tree).encode()
            elif path.startswith("api/models/"):
                siblings = [{"rfilename": f.name} for f in files]
                info = {"id": owner_and_name, "sha": SHA, "siblings": siblings, "tags": []}
                content = json.dumps(info).encode()
            else:
                kind = "application/octet-stream"
                content = (folder / path.rsplit("/", 1)[1]).read_bytes()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", SHA)
            self.send_header("ETag", f'"{path.rsplit("/", 1)[1]}"')
            if status == 404:
                self.send_header("X-Error-Code", "RepoNotFound")
            self.end_headers()
            if body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", root, asked
    server.shutdown()
    thread.join()
    server.server_close()


FROM_HUB = """
import sys
from safetensors.torch import save_file
from helixlm.models.hf import ModelFolderError, load_model
model = load_model("someone/model-v1")
save_file(model.state_dict(), sys.argv[1])
model = load_model("someone/pickled")
save_file(model.state_dict(), sys.argv[2])
for name in ("someone/unsafe", "someone/nothing"):
    try:
        load_model(name)
    except ModelFolderError as error:
        print(error)
"""


def test_a_model_comes_from_the_hub(make, hub, tmp_path):
    endpoint, root, asked = hub
    folder = save_model(make(), root / "someone" / "model-v1")
    torch.save({}, folder / "pytorch_model.bin")
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    pickled = save_model(make(seed=1), root / "someone" / "pickled")
    torch.save(load_file(pickled / "model.safetensors"), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    unsafe = save_model(make(), root / "someone" / "unsafe")
    torch.save({"weight": Evil(tmp_path / "was run")}, unsafe / "pytorch_model.bin")
    (unsafe / "model.safetensors").unlink()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(tmp_path / "cache"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "NO_PROXY": "127.0.0.1",
    }
    done = subprocess.run(
        [sys.executable, "-c", FROM_HUB, *(str(tmp_path / f"{n}.safetensors") for n in "01")],
        capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for seed in (0, 1):
        loaded = load_file(tmp_path / f"{seed}.safetensors")
        for name, tensor in make(seed=seed).state_dict().items():
            assert torch.equal(loaded[name], tensor)
    # Pickles are asked for only where there are no safetensors, and code never.
    assert not [path for path in asked if path.endswith(".py")], asked
    pickles = {path for path in asked if path.endswith(".bin")}
    assert {path.split("/")[1] for path in pickles} == {"pickled", "unsafe"}
    unsafe_pickle, no_model = done.stdout.splitlines()
    assert "is a pickle that holds more than tensors" in unsafe_pickle
    assert not (tmp_path / "was run").exists()
    assert no_model.startswith(
        "someone/nothing: there is no such folder, and no model of this name"
    )


def test_a_folder_goes_before_the_hub(make, tmp_path, monkeypatch):
    save_model(make(), tmp_path / "someone" / "model")
    monkeypatch.chdir(tmp_path)
    assert find_folder("someone/model") == Path("someone/model")
