"""What the parent and a worker tell each other: every value of an option passes unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from txhixie.daemon.options import OPTIONS
from txhixie.daemon.tap import Options
from txhixie.daemon.workers.orders import (
    Mistake,
    Order,
    Serve,
    Told,
    TraceOrder,
    WorkerState,
    decode_told,
    encode_told,
)

TEXTS = {
    "port": "tcp:8080:interface=127.0.0.1",
    "serve": "/chat=ws://127.0.0.1:9000 header=X-A: b binary=base64",
    "console": "/console",
    "health": "/health",
    "status": "/status",
    "metrics": "/metrics",
    "status-allow": "10.0.0.0/8",
    "bus": "local",
    "workers": "2",
    "proxy-protocol": "127.0.0.1",
    "trust-forwarded": "unix",
    "flash-policy": "example.com,*.example.com",
    "trace": "/chat",
}
"""Values of options that are no numbers, flags or conditions."""


def test_the_options_of_a_daemon(tmp_path: Path) -> None:
    options = Options()
    for setting in OPTIONS:
        text = TEXTS.get(setting.name) or setting.default
        try:
            options.say(setting, text)
        except Exception:
            assert setting.name not in TEXTS, setting.name
    assert len(options.said) > len(TEXTS) + 10
    places = (("tcp", "127.0.0.1", 8080, 1), ("unix", str(tmp_path), 1))
    serve = Serve(str(tmp_path), options.said, places, {"systemd:index=0": (3, 2)}, is_traced=True)
    assert decode_told(encode_told(serve)) == serve


@pytest.mark.parametrize(
    "told", [*Order, *WorkerState, TraceOrder(is_on=True), Mistake("hixie: no")]
)
def test_orders_and_states(told: Told) -> None:
    assert decode_told(encode_told(told)) == told
