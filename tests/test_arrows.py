"""Imports point down: to the module's own package, or to a lower layer; and `helixlm` is light."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

LAYERS = [
    "errors jit registration rng version",
    "compute files seq",
    "data tokenizers models",
    "train inference",
    "variants interpret",
    "tasks",
    "report recipes",
    "pipeline",
    "app cli",
    "__init__ __main__",
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names.split()}
ROOT = Path(__file__).parents[1] / "src" / "helixlm"
MODULES = sorted(ROOT.rglob("*.py"))
HEAVY = ["torch", "transformers", "matplotlib", "sklearn", "pysam", "pyarrow", "numba", "scipy"]


def home_of(path):
    """The sub-package or top module that a file belongs to."""
    return path.relative_to(ROOT).with_suffix("").parts[0]


def imports(path):
    """Each import in a file, wherever it stands: line, level of relative imports, dotted name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, 0, alias.name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, node.level, f"{node.module or ''}.{alias.name}"


def test_every_module_has_a_layer():
    assert {home_of(path) for path in MODULES} <= set(LEVEL)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    here = home_of(path)
    for line, relative, name in imports(path):
        assert relative == 0, f"line {line}: relative import of {name}"
        package, *rest = name.split(".")
        if package != "helixlm" or (rest and rest[0] == here):
            continue
        # `import helixlm` alone reaches the top of the package, which lies above everything.
        there = rest[0] if rest and rest[0] in LEVEL else "__init__"
        assert LEVEL[there] < LEVEL[here], f"line {line}: {here} -> {there}"


def test_the_test_sees_imports_that_point_up(tmp_path):
    module = tmp_path / "m.py"
    module.write_text(
        "import helixlm.train.loop\n"
        "def f():\n    from helixlm.tasks import data, heads\n"
        "from . import x\n"
    )
    assert sorted(imports(module)) == [
        (1, 0, "helixlm.train.loop"),
        (3, 0, "helixlm.tasks.data"),
        (3, 0, "helixlm.tasks.heads"),
        (4, 1, ".x"),
    ]


def loaded_by(statement):
    """Heavy modules that a fresh interpreter holds after a statement."""
    code = f"import json, sys\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout)) & set(HEAVY)


def test_importing_the_package_is_light():
    assert loaded_by("import helixlm") == set()
    assert loaded_by("import helixlm.cli.main") == set()


def test_sequences_need_nothing_heavy_and_streaming_no_pysam():
    assert loaded_by("import helixlm.seq.ops, helixlm.seq.interval, helixlm.rng") == set()
    assert loaded_by("import helixlm.data.formats.fasta") == set()
