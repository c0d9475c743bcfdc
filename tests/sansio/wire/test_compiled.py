"""Which of two twins is used: C where it could be built, unless the environment says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from support.c_extension import FOLDER, shared_object

CHOSEN = """
import importlib.util, sys
if path := sys.argv[1]:
    spec = importlib.util.spec_from_file_location("txhixie.sansio.wire._wire", path)
    sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sys.modules[spec.name])
else:
    sys.modules["txhixie.sansio.wire._wire"] = None
from txhixie.sansio.wire import hixie, hixie_batch, hybi, hybi_batch, mask
from txhixie.sansio.wire import joined_texts, message_batch
assert hybi.mask is mask.mask and hybi.read_plain is hybi_batch.read_plain
assert hixie.read_texts is hixie_batch.read_texts
assert mask.mask(b"Hello", b"\\x37\\xfa\\x21\\x3d") == b"\\x7f\\x9f\\x4d\\x51\\x58"
twins = [(mask, "mask"), (hybi_batch, "read_plain"), (hybi_batch, "write_plain")]
twins.append((hixie_batch, "read_texts"))
twins += [(message_batch, name) for name in ("read_messages", "read_text_messages")]
names = "join_text", "join_hixie_text", "take_joined"
twins += [(joined_texts, name) for name in names]
pure = {getattr(module, name) is getattr(module, name + "_in_python") for module, name in twins}
print({(True,): "python", (False,): "c"}.get(tuple(pure), "both"))
"""


def chosen(path: str, value: str | None) -> str:
    """The implementation that a fresh interpreter uses, with the C module or without, in this
    environment."""
    environment = {name: text for name, text in os.environ.items() if "TXHIXIE_PURE" not in name}
    environment["PYTHONPATH"] = str(FOLDER.parents[2])
    if value is not None:
        environment["TXHIXIE_PURE_PYTHON"] = value
    done = subprocess.run(
        [sys.executable, "-c", CHOSEN, path],
        check=True,
        timeout=60,
        env=environment,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("value", "way"), [(None, "c"), ("", "c"), ("0", "c"), ("1", "python"), ("yes", "python")]
)
def test_the_environment_chooses(value: str | None, way: str) -> None:
    """So that everything can be run without C where there is one."""
    assert chosen(str(shared_object()), value) == way


@pytest.mark.parametrize("value", [None, "0", "1"])
def test_without_the_C_module_Python_is_used(value: str | None) -> None:
    """The environment variable makes no difference then."""
    assert chosen("", value) == "python"
