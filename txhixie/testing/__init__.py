"""Test tools: both sides of a connection in memory, recording applications, and traces.

Only ``txhixie.testing.strategies`` has a further dependency, Hypothesis.
"""

from .applications import Applications, Recorder, echo
from .end import End
from .pair import Cable, Pair
from .trace import Trace
from .wire import Wire

__all__ = ["Applications", "Cable", "End", "Pair", "Recorder", "Trace", "Wire", "echo"]
