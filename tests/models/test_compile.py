"""The compiled model: one graph, compiled once, with the numbers of eager, bit-stable."""

import shutil

import pytest
import torch
import torch.nn.functional as F
from torch._dynamo.backends.debugging import aot_eager

from helixlm.models.encoder import compile_layers
from helixlm.models.heads import MaskedLM
from helixlm.models.init import initialise

NUM_TOKENS = 64
GENERATOR = torch.Generator().manual_seed(1)
IDS = torch.randint(2, 37, (4, NUM_TOKENS), generator=GENERATOR)
LABELS = torch.randint(2, 37, (48,), generator=GENERATOR)
MASKED = torch.randperm(4 * NUM_TOKENS, generator=GENERATOR)[:48].sort().values
MASKED[-5:], LABELS[-5:] = 0, -100  # unused slots
BORDERS = [(20, 64), (5, 50)]
DOCUMENTS = [
    ((torch.arange(NUM_TOKENS) >= a).long() + 1) * (torch.arange(NUM_TOKENS) < b)
    for a, b in BORDERS
]


def step(model, documents_L, *, bf16, seed=0):
    """Return the loss and all gradients of one training step."""
    model.zero_grad()
    seed = None if seed is None else torch.tensor(seed)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        documents_BL = documents_L.expand(4, -1).contiguous()
        logits_MV = model(
            IDS, document_ids_BL=documents_BL, masked_index_M=MASKED, dropout_seed=seed
        )
    loss = F.cross_entropy(logits_MV, LABELS)
    loss.backward()
    return loss.detach(), [parameter.grad.clone() for parameter in model.parameters()]


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make(tiny_config):
    def build(dropout, num_layers=1):
        config = tiny_config(
            num_layers=num_layers,
            max_positions=NUM_TOKENS + 2,
            hidden_dropout=dropout,
            attention_dropout=dropout,
            initializer_range=0.1,
        )
        model = MaskedLM(config)
        initialise(model, config, torch.Generator().manual_seed(0))
        return model

    torch.compiler.reset()
    return build


def compile_and_compare(model, backend, *, bf16, atol):
    """Compile once, run steps on other documents, and compare with the model as it is."""
    compiled = torch.compile(model, fullgraph=True, dynamic=False, backend=backend)
    first = step(compiled, DOCUMENTS[0], bf16=bf16)
    with torch.compiler.set_stance("fail_on_recompile"):
        other = step(compiled, DOCUMENTS[1], bf16=bf16, seed=1)
        for _ in range(8):
            again = step(compiled, DOCUMENTS[0], bf16=bf16)
            torch.testing.assert_close(again, first, rtol=0, atol=0)
    assert not torch.equal(first[0], other[0])
    for found, documents, seed in ((first, DOCUMENTS[0], 0), (other, DOCUMENTS[1], 1)):
        expected = step(model, documents, bf16=bf16, seed=seed)
        torch.testing.assert_close(found, expected, rtol=0, atol=atol)


# The compiler itself uses what PyTorch has deprecated, and looks at `grad` of inner tensors.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor:UserWarning"),
]


@pytest.mark.parametrize("bf16", [False, True])
def test_one_graph_for_all_steps(make, bf16):
    compile_and_compare(make(0.1), "aot_eager", bf16=bf16, atol=1e-5)  # no code: fast


@pytest.mark.parametrize("bf16", [False, True])
def test_layers_compiled_one_by_one_as_training_does(make, bf16):
    model, plain = make(0.1, num_layers=3), make(0.1, num_layers=3)
    compile_layers(model.encoder.layers)
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return aot_eager(graph, inputs)

    with torch.compiler.set_stance("default", force_backend=backend):
        first = step(model, DOCUMENTS[0], bf16=bf16)
        assert len(graphs) == 2  # the last layer is the one that is asked for masked tokens
        for documents, seed in ((DOCUMENTS[1], 1), (DOCUMENTS[0], 0)):
            found = step(model, documents, bf16=bf16, seed=seed)
            expected = step(plain, documents, bf16=bf16, seed=seed)
            torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
        assert len(graphs) == 2
    torch.testing.assert_close(found, first, rtol=0, atol=0)


def test_the_global_generator_seeds_where_the_caller_does_not(make):
    model = make(0.1)
    compiled = torch.compile(model, fullgraph=True, dynamic=False, backend="aot_eager")
    losses = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        losses.append(step(compiled, DOCUMENTS[0], bf16=False, seed=None)[0])
    torch.manual_seed(1)
    torch.testing.assert_close(losses[0], step(model, DOCUMENTS[0], bf16=False, seed=None)[0])
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.skipif(not shutil.which("g++"), reason="generating code for the CPU needs g++")
def test_generated_code(make, two_threads):
    # Two dozen kernels are compiled: 40 s of processor time the first time, 10 s from the cache.
    compile_and_compare(make(0.1), "inductor", bf16=False, atol=1e-5)


def test_every_shape_may_be_compiled(tiny_config, monkeypatch):
    """torch.compile gives a function up after `recompile_limit` compilations, almost silently."""
    monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 8)
    encoder = MaskedLM(tiny_config()).encoder
    compile_layers(encoder.layers)
    assert torch._dynamo.config.recompile_limit == 8
    compile_layers(encoder.layers, num_shapes=6)
    assert torch._dynamo.config.recompile_limit == 48
    compile_layers(encoder.layers, num_shapes=2)
    assert torch._dynamo.config.recompile_limit == 48
