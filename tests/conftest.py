"""What every test of txhixie runs under.

Hypothesis draws the same examples each time; and what the tests start can be interrupted, also
where they are a job in the background, which a shell has ignore that.
"""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("txhixie", derandomize=True, deadline=None, database=None)
settings.load_profile("txhixie")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
