"""Compiled functions against the same code uncompiled, with and without a place for the cache."""

import pytest
from numba.core import caching

from helixlm.jit import compiled


def collatz(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps


@pytest.mark.parametrize("can_cache", [True, False])
def test_it_gives_what_python_gives(monkeypatch, can_cache):
    if not can_cache:
        monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [])
        monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    fast = compiled(collatz)
    assert [fast(n) for n in range(1, 50)] == [collatz(n) for n in range(1, 50)]
    assert (fast.stats.cache_path is not None) == can_cache
