"""Models are found in runs and folders; what is no model is said to be none."""

import json
import shutil

import pytest
import torch

from helixlm import load
from helixlm.errors import InputError, StateError
from helixlm.models.heads import MaskedLM, SequenceClassifier


def test_a_masked_language_model(masked_folder):
    loaded = load(masked_folder)
    assert isinstance(loaded.model, MaskedLM)
    assert (loaded.kind, loaded.labels, loaded.max_tokens) == ("masked", (), 24)
    assert loaded.path == masked_folder
    assert not loaded.model.training


def test_a_classifier_keeps_its_labels(classifier_folder):
    loaded = load(classifier_folder)
    assert isinstance(loaded.model, SequenceClassifier)
    assert (loaded.kind, loaded.labels) == ("classifier", ("exon", "intron, long", "other"))


def test_the_model_of_a_run(masked_folder, tmp_path):
    shutil.copytree(masked_folder, tmp_path / "run" / "model")
    loaded = load(str(tmp_path / "run"))
    assert loaded.path == tmp_path / "run" / "model"
    weights = load(masked_folder).model.state_dict()
    assert all(torch.equal(weights[k], v) for k, v in loaded.model.state_dict().items())


def test_what_is_no_model(masked_folder, tmp_path):
    with pytest.raises(InputError, match="nowhere/at/all: there is no such folder"):
        load("nowhere/at/all")
    with pytest.raises(InputError, match=r"neither a model folder \(no config.json\) nor a run"):
        load(tmp_path)
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(StateError, match="a run without a model: it is not finished"):
        load(tmp_path)
    (tmp_path / "checkpoints" / "step-00000010").mkdir(parents=True)
    with pytest.raises(StateError, match=r"or give .*checkpoints/step-00000010$"):
        load(tmp_path)


def test_a_tokenizer_of_another_model(masked_folder, tmp_path):
    folder = shutil.copytree(masked_folder, tmp_path / "model")
    path = folder / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["ACGTACGTAC"] = len(content["model"]["vocab"])
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="has 25 tokens, the model 24: the two do not belong"):
        load(folder)
