"""Published folders as they come: read, converted once, and read again by transformers and by us.

The folders hold what the hub has: a pickle, config.json, and the tokenizer in the files of its
time. Weights are random and small.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from tests.models.published import publish
from tests.pipeline.hub_server import Dataset, only_hub

import helixlm
from helixlm.errors import InputError, StateError
from helixlm.models.config import EncoderConfig
from helixlm.models.encoder import LengthError
from helixlm.models.heads import MaskedLM
from helixlm.models.hf import save_model
from helixlm.models.init import initialise
from helixlm.tokenizers.bpe import bpe_tokenizer
from helixlm.tokenizers.char import book_tokenizer
from helixlm.tokenizers.kmer import nt_vocabulary
from helixlm.tokenizers.kmer_overlapping import dnabert_vocabulary

MERGES = [("T", "A"), ("TA", "TA"), ("G", "C"), ("A", "A"), ("C", "TA")]
SEQUENCE = "ACGTTGACATATAAAGGCNTTAC"


def make_folder(kind, folder):
    """Write the folder of a published model, as its authors lay it out."""
    if kind in ("dnabert2", "gena"):
        order = {"dnabert2": "dnabert2", "gena": "gena-lm"}[kind]
        tokenizer = bpe_tokenizer(MERGES, special_order=order)
        publish(kind, folder, vocab_size=tokenizer.vocab_size)
        (folder / "tokenizer.json").write_text(tokenizer._text)
        (folder / "tokenizer_config.json").write_text(
            '{"tokenizer_class": "PreTrainedTokenizerFast"}'
        )
    elif kind == "dnabert":
        publish(kind, folder, vocab_size=69)
        (folder / "vocab.txt").write_text("\n".join(dnabert_vocabulary(3)) + "\n")
        (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')
    else:
        version = 1 if kind == "nt-v1" else 2
        publish(kind, folder, vocab_size=4105 if version == 1 else 4107)
        (folder / "vocab.txt").write_text("\n".join(nt_vocabulary(version)))
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "EsmTokenizer"}')
    return folder


KINDS = ["dnabert2", "gena", "dnabert", "nt-v1", "nt-v2"]
STOCK = {"dnabert": "BertForMaskedLM", "nt-v1": "EsmForMaskedLM"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The published folder of each kind, and what `convert` made of it."""
    root = tmp_path_factory.mktemp("published")
    made = {}
    for kind in KINDS:
        published = make_folder(kind, root / kind)
        made[kind] = published, helixlm.convert(published, root / f"{kind}-converted")
    return made


def logits_of(loaded):
    ids = loaded.tokenizer.add_special(loaded.tokenizer.encode(SEQUENCE))
    return loaded.model(torch.from_numpy(ids).long()[None])


@pytest.mark.parametrize("kind", KINDS)
def test_a_converted_model_is_the_published_one(folders, kind):
    published, done = folders[kind]
    before, after = helixlm.load(published), helixlm.load(done.path)
    assert after.model.config == before.model.config
    assert torch.equal(logits_of(before), logits_of(after))
    assert before.tokenizer.tokens == after.tokenizer.tokens
    assert done.class_name == STOCK.get(kind, "HelixlmForMaskedLM")
    assert done.home == ("transformers" if kind in STOCK else "helixlm")
    assert done.num_parameters == sum(p.numel() for p in before.model.parameters())
    assert sorted(path.name for path in done.path.iterdir()) == [
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"
    ]  # fmt: skip
    limit = json.loads((done.path / "tokenizer_config.json").read_text())["model_max_length"]
    assert limit == (42 if kind == "nt-v2" else 40)


AUTO = """
import json, sys
if "--blocked" in sys.argv:
    sys.modules["helixlm"] = None
else:
    import helixlm
import torch, transformers
from safetensors.torch import save_file
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, pipeline
found = {}
for folder in sys.argv[2:-1]:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model, info = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert not any(info.values()), info
    batch = tokenizer("ACGTTGACATATAAAGGCNTTAC", return_tensors="pt")
    output = model(**batch, output_hidden_states=True)
    found[f"{folder} ids"] = batch["input_ids"]
    found[f"{folder} logits"] = output.logits
    hidden = AutoModel.from_pretrained(folder)(**batch).last_hidden_state
    assert torch.equal(hidden, output.hidden_states[-1]), folder
    assert len(output.hidden_states) == 3
    if "dnabert-" not in folder:
        best = pipeline("fill-mask", model=folder)(f"ACGTTG{tokenizer.mask_token}TATAAAGG")[0]
        assert 0 < best["score"] < 1
save_file({name: x.detach().contiguous() for name, x in found.items()}, sys.argv[1])
"""


def run_auto(output, folders, last):
    done = subprocess.run(
        [sys.executable, "-c", AUTO, str(output), *map(str, folders), last],
        capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return load_file(output)


def test_plain_transformers_loads_what_is_stock_and_ours_with_helixlm(folders, tmp_path):
    stock = [folders[kind][1].path for kind in STOCK]
    others = [folders[kind][1].path for kind in KINDS if kind not in STOCK]
    found = run_auto(tmp_path / "stock", stock, "--blocked")
    found |= run_auto(tmp_path / "all", [*stock, *others], "--imported")
    for kind in KINDS:
        loaded = helixlm.load(folders[kind][1].path)
        ids = found[f"{loaded.path} ids"]
        expected = loaded.tokenizer.add_special(loaded.tokenizer.encode(SEQUENCE))
        assert ids[0].tolist() == expected.tolist(), kind
        torch.testing.assert_close(
            found[f"{loaded.path} logits"], logits_of(loaded), rtol=1e-5, atol=1e-5
        )


def test_trap_10_the_two_vocabularies_of_nucleotide_transformer(folders):
    """Version 1 ends with <eos> and <bos>, of which its model has no rows; 2 begins with them."""
    first, second = (helixlm.load(folders[kind][0]) for kind in ("nt-v1", "nt-v2"))
    assert first.model.config.vocab_size == 4105
    assert (len(first.tokenizer.tokens), first.tokenizer.tokens[4105:]) == (
        4107,
        ["<eos>", "<bos>"],
    )
    assert second.model.config.vocab_size == len(second.tokenizer.tokens) == 4107
    assert second.tokenizer.tokens[4:6] == ["<eos>", "<bos>"]
    for loaded, word in ((first, 4), (second, 6)):
        assert loaded.tokenizer.add_special(loaded.tokenizer.encode("AAAAAA")).tolist() == [3, word]


def test_trap_8_the_book_puts_nothing_around_a_sequence(tmp_path):
    """Position p of a sequence is token p, and the row of probabilities p is for that base."""
    tokenizer = book_tokenizer()
    config = EncoderConfig(
        family="modernbert", vocab_size=23, hidden_size=16, num_layers=3, num_heads=2,
        intermediate_size=24, max_positions=512, pad_token_id=19, positions="rotary", norm="pre",
        first_norm=False, activation="geglu", type_vocab_size=0, global_every=3, window=64,
        rotary_base=160_000.0, attention_bias=False, up_bias=False, down_bias=False,
        norm_bias=False, head_bias=False, hidden_dropout=0, attention_dropout=0,
    )  # fmt: skip
    model = MaskedLM(config)
    initialise(model, config, torch.Generator().manual_seed(1))
    save_model(model, tmp_path / "book")
    tokenizer.save(tmp_path / "book")
    loaded = helixlm.load(tmp_path / "book")
    ids = loaded.tokenizer.add_special(loaded.tokenizer.encode("ACGTN"))
    assert [loaded.tokenizer.tokens[i] for i in ids[:4]] == list("ACGT")
    assert len(ids) == 5
    assert loaded.tokenizer.special[:2] == (None, None)


def test_a_vocabulary_that_does_not_fit_the_weights(folders, tmp_path):
    folder = shutil.copytree(folders["dnabert"][0], tmp_path / "dnabert")
    (folder / "vocab.txt").write_text("\n".join(dnabert_vocabulary(4)))
    with pytest.raises(InputError, match="the tokenizer has 261 tokens, the model 69: the two do"):
        helixlm.load(folder)
    with pytest.raises(InputError, match="the tokenizer has 261 tokens"):
        helixlm.convert(folder, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_checkpoint_of_the_wrong_family(folders, tmp_path):
    folder = shutil.copytree(folders["dnabert"][0], tmp_path / "dnabert")
    shutil.copy(folders["nt-v1"][0] / "config.json", folder)
    with pytest.raises(
        InputError,
        match=r"the weights do not make the esm model .*: missing: esm.*; left over: bert",
    ):
        helixlm.load(folder)


def test_an_input_longer_than_learned_positions_allow(folders):
    loaded = helixlm.load(folders["nt-v1"][0])
    assert loaded.max_tokens == 40
    with pytest.raises(LengthError, match=r"a row has 41 tokens, .* positions for 40: cut it, or"):
        loaded.model(torch.full((1, 41), 7))
    assert helixlm.load(folders["nt-v2"][0]).model(torch.full((1, 90), 7)).shape == (1, 90, 4107)


def test_a_folder_that_is_there_is_not_written_over(folders):
    published, done = folders["dnabert"]
    for source in (published, "nowhere/at/all"):  # said before anything is read
        with pytest.raises(StateError, match="the folder is not empty"):
            helixlm.convert(source, done.path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_on_the_hub_is_enough(folders, tmp_path, monkeypatch, kind):
    """Settings, weights and tokenizer are fetched; code never is."""
    published, _ = folders[kind]
    with only_hub(monkeypatch, tmp_path) as hub:
        hub.models["someone/model"] = Dataset(False)
        files = {path.name: path.read_bytes() for path in published.iterdir()}
        files |= {"bert_layers.py": b"raise SystemExit", "flax_model.msgpack": b""}
        hub.models["someone/model"].commit("main", files)
        found, here = helixlm.load("someone/model"), helixlm.load(published)
        assert torch.equal(logits_of(found), logits_of(here))
        assert found.tokenizer.tokens == here.tokenizer.tokens
        asked = {path.rpartition("/")[2] for _, path in hub.asked("GET .*/resolve/")}
    assert asked == set(files) - {"bert_layers.py", "flax_model.msgpack"}
