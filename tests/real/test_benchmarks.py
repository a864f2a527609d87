"""Published benchmark files: sizes, and the leaks that are known."""

import pytest

from helixlm.tasks.data import read_task


@pytest.mark.parametrize(
    ("task", "sizes"),
    [
        ("prom/prom_core_tata", (4904, 613, 613)),
        ("prom/prom_core_notata", (42452, 5307, 5307)),
        ("tf/0", (32378, 1000, 1000)),
        ("mouse/0", (6478, 810, 810)),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_gue_files_have_the_published_sizes(data, task, sizes):
    parts = (data / "gue" / task / f"{name}.csv.gz" for name in ("train", "dev", "test"))
    found = read_task(*parts)
    assert tuple(len(x.sequences) for x in (found.train, found.dev, found.test)) == sizes


def test_known_leak_of_prom_core_tata(data):
    folder = data / "gue" / "prom" / "prom_core_tata"
    found = read_task(*(folder / f"{name}.csv.gz" for name in ("train", "dev", "test")))
    shared = sum(x in set(found.train.sequences) for x in found.test.sequences)
    assert shared / len(found.test.sequences) == pytest.approx(0.0261, abs=0.0001)
