"""Models pushed to a hub on loopback and read back from there, and what their cards say."""

import json
import shutil

import pytest
import torch
import transformers
import yaml
from huggingface_hub import ModelCard
from safetensors.torch import load as load_tensors
from tests.models.published import publish
from tests.pipeline.hub_server import Dataset, only_hub
from transformers import AutoModelForMaskedLM, AutoTokenizer

import helixlm
from helixlm.data.hub import HubError
from helixlm.errors import InputError, StateError
from helixlm.models.heads import CausalLM
from helixlm.models.hf import save_model
from helixlm.models.hyena_config import HyenaConfig
from helixlm.models.init import initialise
from helixlm.pipeline.hub_model import push_model
from helixlm.recipes.load import load_recipe
from helixlm.report.numerals import count
from helixlm.tokenizers.kmer import nt_vocabulary

# Of huggingface_hub's own upload.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")

NAME = "alba/model"
TUNE = ["finetune.max_steps=2", "finetune.warmup_steps=1", "finetune.eval_every=2"]
FILES = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"}


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(transformers.utils.hub, "_hf_api", None)  # it remembers the last hub
    with only_hub(monkeypatch, tmp_path) as served:
        yield served


@pytest.fixture(scope="module")
def tuned(run, world, tmp_path_factory):
    config = load_recipe("demo", TUNE).finetune
    output = tmp_path_factory.mktemp("tuned") / "tuned"
    helixlm.finetune(
        run.run, train=world.task("promoter", "train"), test=world.task("promoter", "test"),
        output=output, config=config, device="cpu",
    )  # fmt: skip
    return output


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Nucleotide Transformer v2, which no class of transformers builds."""
    folder = publish("nt-v2", tmp_path_factory.mktemp("nt"), vocab_size=4107)
    (folder / "vocab.txt").write_text("\n".join(nt_vocabulary(2)))
    return folder


def test_a_run_goes_to_the_hub_and_back(hub, run):
    done = push_model(run.run, NAME, licence="mit")
    repository = hub.models[NAME]
    assert (done.url, done.sent, done.deleted) == (f"{hub.url}/{NAME}", 6, 0)
    assert done.revision == repository.refs["main"]
    assert set(repository.files) == {*FILES, "recipe.yaml", ".gitattributes"}
    assert repository.files["recipe.yaml"] == (run.run / "recipe.yaml").read_bytes()
    assert hub.datasets == {}

    there, here = helixlm.load(NAME), helixlm.load(run.run)
    assert there.tokenizer.sha256 == here.tokenizer.sha256
    for name, tensor in here.model.state_dict().items():
        assert torch.equal(there.model.state_dict()[name], tensor), name
    assert push_model(run.run, NAME, licence="mit")[1:] == (done.revision, 0, 0)


def test_the_card_tells_what_the_run_recorded(hub, run):
    push_model(run.run, NAME, licence="mit")
    card = ModelCard(hub.models[NAME].files["README.md"].decode())
    assert card.data.license == "mit"
    assert (card.data.library_name, card.data.pipeline_tag) == ("transformers", "fill-mask")
    summary = json.loads((run.run / "summary.json").read_text())
    for fact in (
        f"{summary['validation_loss']:.4f}",
        f"{summary['unigram_loss']:.4f}",
        f"{summary['neighbour_loss']:.4f}",
        f"{summary['parameters']:,}",
        f"{summary['best_step']} of {summary['steps']}",
        summary["corpus_sha256"],
        "| alba |",
        "Whole contigs are held out",
        f'AutoModelForMaskedLM.from_pretrained("{NAME}")',
    ):
        assert fact in card.text, fact
    assert "import helixlm" not in card.text
    shown = card.text.partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(shown) == yaml.safe_load((run.run / "recipe.yaml").read_text())
    assert str(run.run) not in card.content


def test_the_card_of_a_corpus_that_is_gone_has_its_hash(hub, run, tmp_path):
    shutil.copytree(run.run, tmp_path / "moved")
    shutil.rmtree(tmp_path / "moved" / "corpus")
    summary = json.loads((tmp_path / "moved" / "summary.json").read_text())
    summary["corpus"] = str(tmp_path / "gone")
    (tmp_path / "moved" / "summary.json").write_text(json.dumps(summary))
    push_model("moved", NAME)
    card = hub.models[NAME].files["README.md"].decode()
    assert f"rows, in order, have the SHA-256 `{summary['corpus_sha256']}`" in card
    assert "license:" not in card


def test_a_classifier(hub, tuned):
    push_model(tuned, NAME)
    card = ModelCard(hub.models[NAME].files["README.md"].decode())
    assert card.data.pipeline_tag == "text-classification"
    summary = json.loads((tuned / "summary.json").read_text())
    for split in ("dev", "test"):
        cells = " | ".join(f"{value:.4f}" for value in summary[split].values())
        assert f"| {split} | {cells} |" in card.text
    assert f"{count(summary['examples']['train'])} sequences for training" in card.text
    assert "What it was pretrained on is not recorded with it." in card.text
    assert "recipe.yaml" not in hub.models[NAME].files
    assert helixlm.load(NAME).labels == ("0", "1")


def test_a_published_model_of_our_own_class(hub, published):
    push_model(published, NAME)
    card = hub.models[NAME].files["README.md"].decode()
    assert "```python\nimport helixlm\nfrom transformers import AutoModelForMaskedLM" in card
    for missing in ("What it was pretrained on is", "None are", "The settings are"):
        assert f"{missing} " in card
    names = load_tensors(hub.models[NAME].files["model.safetensors"])
    assert "lm_head.decoder.weight" in names
    model = AutoModelForMaskedLM.from_pretrained(NAME)
    batch = AutoTokenizer.from_pretrained(NAME)("ACGTTGACAT", return_tensors="pt")
    expected = helixlm.load(published).model(batch["input_ids"])
    torch.testing.assert_close(model(**batch).logits, expected, rtol=1e-5, atol=1e-5)


def test_hyenadna_is_read_by_helixlm_alone(hub, tmp_path):
    """Its tokenizer is published as code, so that the folder has none; it is made."""
    config = HyenaConfig(
        vocab_size=16, hidden_size=8, num_layers=2, intermediate_size=32, max_positions=20
    )
    model = CausalLM(config)
    initialise(model, config, torch.Generator().manual_seed(1))
    save_model(model, tmp_path / "hyena")
    done = helixlm.convert("hyena", "converted")
    assert (done.class_name, done.home) == ("HyenaDNAForCausalLM", None)
    push_model("hyena", NAME)
    card = ModelCard(hub.models[NAME].files["README.md"].decode())
    assert (card.data.library_name, card.data.pipeline_tag) == ("helixlm", None)
    assert "It predicts each token of DNA from those before it. A HyenaDNA of" in card.text
    assert f'helixlm.load("{NAME}")' in card.text
    assert "transformers" not in card.text
    there = helixlm.load(NAME)
    assert there.tokenizer.encode("ACGTN").tolist() == [7, 8, 9, 10, 11]
    for name, tensor in model.state_dict().items():
        assert torch.equal(there.model.state_dict()[name], tensor), name


def test_push_to_hub_of_transformers_gives_the_same_model(hub, published):
    done = helixlm.convert(published, "converted")
    AutoModelForMaskedLM.from_pretrained(done.path).push_to_hub(NAME)
    AutoTokenizer.from_pretrained(done.path).push_to_hub(NAME)
    there, here = helixlm.load(NAME).model, helixlm.load(published).model
    assert there.config == here.config
    for name, tensor in here.state_dict().items():
        assert torch.equal(there.state_dict()[name], tensor), name


def test_another_model_takes_its_place(hub, run, published):
    push_model(run.run, NAME)
    done = push_model(published, NAME)
    assert (done.sent, done.deleted) == (5, 1)  # the recipe
    assert set(hub.models[NAME].files) == {*FILES, ".gitattributes"}
    assert helixlm.load(NAME).model.config.family == "helixlm"


def test_what_is_not_pushed(hub, run, published, tmp_path):
    hub.models["alba/other"] = Dataset(False)
    hub.models["alba/other"].commit("main", {"config.json": b"{}", "pytorch_model.bin": b"x"})
    for arguments, kind, message in (
        ((run.run, "model"), HubError, "model: expected OWNER/NAME, the name of a model on the"),
        ((run.run, "alba/other"), HubError, r"does not write \(pytorch_model.bin\): choose"),
        ((run.run, "others/w"), HubError, r"others/w: the token has no right to do this \(403\)"),
        ((tmp_path / "none", NAME), InputError, "none: there is no such folder"),
        ((run.run / "corpus", NAME), InputError, "neither a model folder"),
    ):
        with pytest.raises(kind, match=message):
            push_model(*arguments)
    with pytest.raises(HubError, match='"license" must be one of mit'):
        push_model(run.run, NAME, licence="mine")
    push_model(run.run, NAME)
    with pytest.raises(HubError, match="expected a private model, found a public one"):
        push_model(run.run, NAME, private=True)
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "metrics.jsonl").touch()
    with pytest.raises(StateError, match="it is not finished"):
        push_model(tmp_path / "unfinished", NAME)
