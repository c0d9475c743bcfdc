"""For tests, yours and ours: both ends of a connection in memory, and applications that remember.

Nothing here needs more than the package itself, except ``strategies``, which needs Hypothesis.
"""

from .applications import Applications, Recorder, echo
from .end import End
from .pair import Cable, Pair
from .trace import Trace
from .wire import Wire

__all__ = ["Applications", "Cable", "End", "Pair", "Recorder", "Trace", "Wire", "echo"]
