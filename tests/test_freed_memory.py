"""Processes that keep freed memory: their page faults, and the memory that they keep."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from typing import Final

import pytest

from support.counted_twistd import LIBRARY

PAGE: Final = resource.getpagesize()
MEBI: Final = 1024 * 1024

needs_glibc = pytest.mark.skipif(
    not hasattr(LIBRARY, "gnu_get_libc_version"), reason="needs glibc, which has the setting"
)


def run(program: str, **environment: str) -> list[str]:
    """The words that a Python program prints."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("MALLOC_") and name != "GLIBC_TUNABLES"
    }
    words = [sys.executable, "-c", program]
    return subprocess.check_output(words, env={**inherited, **environment}, text=True).split()


EXCHANGE: Final = """
import resource
from txhixie import keep_freed_memory

def exchange(times):
    for _ in range(times):
        messages = [bytes([number]) * (1 << 20) for number in range(8)]

{}
exchange(3)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
exchange(20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
"""A program that allocates and frees 8 messages of 1 MiB, twenty times, and prints its page
faults."""

ALL_PAGES: Final = 20 * 8 * MEBI // PAGE


@needs_glibc
def test_large_messages_cause_page_faults_without_the_function() -> None:
    """The reason of the function: if this fails, glibc needs no setting."""
    (faults,) = run(EXCHANGE.format(""))
    assert int(faults) > ALL_PAGES // 4


@needs_glibc
def test_large_messages_cause_no_page_faults_with_the_function() -> None:
    kept, faults = run(EXCHANGE.format("print(keep_freed_memory())"))
    assert kept == "True"
    assert int(faults) < ALL_PAGES // 50


HOLD: Final = """
from pathlib import Path
from txhixie import keep_freed_memory

def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])

print(keep_freed_memory())
before = pages()
for megabytes in (40, 200):
    held = [bytes([number]) * (1 << 20) for number in range(megabytes)]
    print(pages() - before)
    del held
    print(pages() - before)
"""
"""A program that holds and frees 40 MiB and 200 MiB, and prints by how many pages it has grown."""


@needs_glibc
def test_at_most_48_MiB_of_freed_memory_are_kept() -> None:
    kept, *grown = run(HOLD)
    assert kept == "True"
    few, left_of_few, many, left_of_many = (int(pages) * PAGE for pages in grown)
    assert few > 39 * MEBI
    assert left_of_few > 39 * MEBI
    assert many > 199 * MEBI
    assert left_of_many < 49 * MEBI


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_TRIM_THRESHOLD_", "131072"),
        ("MALLOC_MMAP_THRESHOLD_", "131072"),
        ("MALLOC_TOP_PAD_", "131072"),
        ("GLIBC_TUNABLES", "glibc.malloc.trim_threshold=131072"),
    ],
)
def test_thresholds_of_the_environment_stay(name: str, value: str) -> None:
    """The operator of the program has set them."""
    kept, faults = run(EXCHANGE.format("print(keep_freed_memory())"), **{name: value})
    assert kept == "False"
    assert int(faults) > ALL_PAGES // 4


@needs_glibc
def test_other_tunables_of_the_environment_do_not_matter() -> None:
    kept, _ = run(
        EXCHANGE.format("print(keep_freed_memory())"), GLIBC_TUNABLES="glibc.pthread.rseq=1"
    )
    assert kept == "True"
