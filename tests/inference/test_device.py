"""What a user may name as a device, with and without GPUs, and that every verb asks."""

import pytest
import torch

import helixlm
from helixlm.errors import InputError
from helixlm.inference import classify, load, resolve_device


@pytest.fixture
def gpus(monkeypatch):
    """Let torch find so many GPUs."""

    def find(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    return find


@pytest.mark.parametrize(
    ("count", "name", "expected"),
    [
        (0, None, "cpu"),
        (0, "cpu", "cpu"),
        (2, None, "cuda"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda"),
        (2, "cuda:1", "cuda:1"),
        (2, torch.device("cuda", 0), "cuda:0"),
    ],
)
def test_devices_that_are_there(gpus, count, name, expected):
    gpus(count)
    assert resolve_device(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("count", "name", "message"),
    [
        (2, "gpu", r"^device 'gpu': expected cpu, cuda or cuda:N$"),
        (0, "", r"^device '': expected cpu, cuda or cuda:N$"),
        (2, "cuda:x", r"^device 'cuda:x': expected cpu"),
        (0, "mps", r"expected cpu, cuda or cuda:N \(Apple's GPU is not used yet\)$"),
        (0, "cuda", r"^device 'cuda': torch finds no CUDA device here: use cpu, or run nvidia-smi"),
        (0, "cuda:0", r"^device 'cuda:0': torch finds no CUDA device"),
        (2, "cuda:2", r"^device 'cuda:2': this machine has cuda:0 to cuda:1$"),
    ],
)
def test_devices_that_are_not(gpus, count, name, message):
    gpus(count)
    with pytest.raises(InputError, match=message):
        resolve_device(name)


def test_apples_gpu_is_not_taken_unasked(gpus, monkeypatch):
    gpus(0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert resolve_device() == torch.device("cpu")


@pytest.mark.parametrize(
    "call",
    [
        lambda folder: helixlm.predict("model", "in.csv", folder / "out.csv", device="gpu"),
        lambda folder: helixlm.finetune("model", train="t.csv", device="gpu"),
        lambda folder: helixlm.compare(
            "model", train="t.csv", test="t.csv", output=folder / "out", device="gpu"
        ),
        lambda folder: helixlm.demo(folder / "demo", device="gpu"),
    ],
    ids=["predict", "finetune", "compare", "demo"],
)
def test_every_function_asks_before_it_does_anything(call, tmp_path):
    with pytest.raises(InputError, match="device 'gpu'"):
        call(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_loaded_model_is_not_sent_elsewhere(classifier_folder):
    with pytest.raises(InputError, match="device 'gpu'"):
        classify(load(classifier_folder), [], device="gpu")
