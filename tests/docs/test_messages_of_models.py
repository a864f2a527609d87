"""The table of refused models: each row is provoked, and is then what the page says."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from tests.models.published import publish, weights_of
from tests.pipeline.hub_server import only_hub

import helixlm
from helixlm.errors import HelixError
from helixlm.tokenizers.kmer_overlapping import dnabert_vocabulary

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
FOLDER = Path("dnabert")


def table():
    """Return the rows of the page's table: what was given, and the message."""
    text = PAGE.read_text().partition("| the message says |")[2]
    return dict(re.findall(r"^\| ([^|]+) \| `([^`]+)` \|", text, re.MULTILINE))


def fits(message, found):
    pattern = ".*".join(re.escape(part) for part in message.split("..."))
    return re.fullmatch(pattern, " ".join(found.split())) is not None


class Evil:
    """Runs a command when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch was-run",)


def convert():
    helixlm.convert(FOLDER, "new")


def with_settings(**changes):
    settings = json.loads((FOLDER / "config.json").read_text()) | changes
    settings = {name: value for name, value in settings.items() if value is not None}
    (FOLDER / "config.json").write_text(json.dumps(settings))
    convert()


def with_weights(change):
    weights = weights_of("dnabert", vocab_size=69)
    change(weights)
    torch.save(weights, FOLDER / "pytorch_model.bin")
    convert()


def with_file(name, content):
    (FOLDER / "pytorch_model.bin").unlink()
    if name == "pytorch_model.bin" and not isinstance(content, bytes):
        torch.save(content, FOLDER / name)
    else:
        (FOLDER / name).write_bytes(content)
    convert()


def of_another_family():
    shutil.copy(publish("nt-v1", Path("nt"), vocab_size=69) / "config.json", FOLDER)
    convert()


def safetensors_cut_short():
    convert()
    path = Path("new/model.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    helixlm.load("new")


def pickle_cut_short():
    path = FOLDER / "pytorch_model.bin"
    with_file(path.name, path.read_bytes()[:-100])


def a_part_is_missing():
    parts = {"weight_map": {"a": "pytorch_model-00002-of-00002.bin"}}
    with_file("pytorch_model.bin.index.json", json.dumps(parts).encode())


def vocabulary(words):
    (FOLDER / "vocab.txt").unlink()
    if words:
        (FOLDER / "vocab.txt").write_text("\n".join(words))
    convert()


def too_long():
    helixlm.load(FOLDER).model(torch.full((1, 41), 7))


def not_on_the_hub():
    with pytest.MonkeyPatch.context() as patch, only_hub(patch, Path.cwd()):
        helixlm.load("someone/nothing")


def output_is_there():
    convert()
    convert()


CASES = {
    "a model of another family": lambda: with_settings(model_type="gpt2"),
    "weights of another family than config.json": of_another_family,
    "a weight that is missing": lambda: with_weights(
        lambda weights: weights.pop("bert.embeddings.LayerNorm.bias")
    ),
    "weights of other sizes": lambda: with_settings(intermediate_size=40),
    "a decoder that is not the embedding": lambda: with_weights(
        lambda weights: weights["cls.predictions.decoder.weight"].add_(1)
    ),
    "a model with code of its own": lambda: with_settings(
        auto_map={"AutoModel": "modeling_bert.BertModel"}
    ),
    "a sparse GENA-LM": lambda: with_settings(
        auto_map=None,
        pre_layer_norm=True,
        sparse_config_cls="deepspeed.ops.sparse_attention:BigBirdSparsityConfig",
    ),
    "a setting that is missing": lambda: with_settings(hidden_size=None),
    "no head in the weights' settings": lambda: with_settings(architectures=["BertModel"]),
    "safetensors cut short": safetensors_cut_short,
    "a pickle cut short": pickle_cut_short,
    "a pickle with code in it": lambda: with_file("pytorch_model.bin", {"weight": Evil()}),
    "a pointer of Git LFS in place of a file": lambda: with_file(
        "pytorch_model.bin", b"version https://git-lfs.github.com/spec/v1\noid sha256:7ff39ec7\n"
    ),
    "a pickle of a training state": lambda: with_file(
        "pytorch_model.bin", {"epoch": 3, "state_dict": {}}
    ),
    "no weights": lambda: with_file("tf_model.h5", b""),
    "a part of split weights that is missing": a_part_is_missing,
    "config.json that is no JSON": lambda: with_file("config.json", b"model_type: bert"),
    "no tokenizer": lambda: vocabulary([]),
    "a vocabulary that does not fit the weights": lambda: vocabulary(dnabert_vocabulary(4)),
    "more tokens than learned positions": too_long,
    "a name that is not on the hub": not_on_the_hub,
    "an output folder that holds something": output_is_there,
}


@pytest.mark.parametrize("given", CASES)
def test_the_message_is_that_of_the_page(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    publish("dnabert", FOLDER, vocab_size=69)
    (FOLDER / "vocab.txt").write_text("\n".join(dnabert_vocabulary(3)))
    with pytest.raises(HelixError) as caught:
        CASES[given]()
    assert fits(table()[given], str(caught.value)), f"{table()[given]}\n{caught.value}"
    assert not Path("was-run").exists()
    assert Path("new").exists() == (given in CASES_THAT_WRITE), "something was left behind"


CASES_THAT_WRITE = ("safetensors cut short", "an output folder that holds something")


def test_every_row_of_the_page_is_provoked():
    assert table().keys() == CASES.keys()
