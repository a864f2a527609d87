"""Work on a Ray cluster of two nodes on this machine, one of which goes away."""

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from helixlm.compute import Compute, ComputeError, Workers, _check_same

# In a process of its own, as Ray leaves threads and handlers behind.
SCRIPT = textwrap.dedent(
    """
    import hashlib, json, sys, time
    from pathlib import Path
    from ray.cluster_utils import Cluster
    from helixlm.compute import Compute, Workers
    from helixlm.data.corpus import tasks as corpus_tasks
    from helixlm.data.corpus.prepare import prepare_corpus
    from helixlm.errors import HelixError, InputError

    folder = Path(sys.argv[1])
    sys.path.insert(0, sys.argv[2])
    from tests.compute_inputs import SETTINGS, TASK_BP, write_sources

    corpus_tasks.TASK_BP = TASK_BP
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()

    def files(path):
        return {
            str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest()
            for file in sorted(path.rglob("*")) if file.is_file()
        }

    def progress(done, total):
        global node
        if node is not None and done > 0.7 * total:
            cluster.remove_node(node, allow_graceful=False)
            node = None

    compute = Compute(ray=cluster.address)
    sources = write_sources(folder)
    prepare_corpus(sources, folder / "one", **SETTINGS)
    prepare_corpus(sources, folder / "ray", **SETTINGS, compute=compute, progress=progress)
    order = list(Workers(compute).map(eval, [f"{n} ** 2" for n in range(20)]))
    try:
        raises = "(_ for _ in ()).throw(__import__('helixlm.errors').errors.InputError('x'))"
        list(Workers(compute).map(eval, ["1", raises]))
        error = None
    except InputError as found:
        error = str(found)
    port = int(cluster.address.rpartition(":")[2])
    try:
        list(Workers(Compute(ray=f"127.0.0.1:{port + 1}")).map(abs, [1]))
        other = None
    except HelixError as found:
        other = str(found)
    same = list(Workers(Compute(ray=f"127.0.0.1:{port}")).map(abs, [-1]))
    late = folder / "late"
    item = f"__import__('time').sleep(2) or open({str(late)!r}, 'x').close()"
    results = Workers(compute).map(eval, ["1", item, item])
    next(results)
    results.close()
    time.sleep(4)
    (folder / "found.json").write_text(json.dumps({
        "same": files(folder / "one") == files(folder / "ray"),
        "files": len(files(folder / "ray")),
        "removed": node is None,
        "order": order,
        "error": error,
        "other": other.partition(", 1")[0],
        "same_port": same,
        "late": late.exists(),
    }))
    """
)


def test_two_nodes_of_which_one_dies_write_the_bytes_of_one_process(tmp_path):
    root = Path(__file__).parents[1]
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found.pop("files") > 10
    other = found.pop("other")
    assert re.match(
        r"--ray 127\.0\.0\.1:\d+: this process works on another Ray cluster already", other
    )
    assert found == {
        "same": True, "removed": True, "order": [n**2 for n in range(20)], "error": "x",
        "same_port": [1], "late": False,
    }  # fmt: skip


def test_no_cluster_there():
    script = (
        "from helixlm.compute import Compute, Workers\n"
        "list(Workers(Compute(ray='127.0.0.1:1')).map(abs, [1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert "ComputeError: --ray 127.0.0.1:1: no Ray cluster answers there" in done.stderr


def test_without_ray_the_message_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Exception, match=r"pip install '.\[cluster\]'"):
        list(Workers(Compute(ray="auto")).map(abs, [1]))
    assert issubclass(ComputeError, RuntimeError)


@pytest.mark.parametrize(
    ("asked", "same"),
    [
        ("10.0.0.1:6379", True),
        ("10.0.0.1:6380", False),
        ("10.0.0.2:6379", False),
        ("127.0.0.1:6379", True),  # perhaps
        ("auto", True),
        ("local", True),
        ("ray://10.0.0.9:10001", True),  # not known
    ],
)
def test_which_cluster_is_another(asked, same):
    if same:
        _check_same(asked, "10.0.0.1:6379")
        return
    with pytest.raises(ComputeError, match=f"--ray {asked}: .* another Ray cluster .*, 10.0.0.1:6"):
        _check_same(asked, "10.0.0.1:6379")
