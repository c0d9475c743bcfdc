"""State of the package that has no public name, and that tests have to see: each with its reason.

Everything that tests read or change by a private name is here or has a comment ``# private:`` with
the reason on its line; ``tests/test_private_pokes.py`` holds that.
"""

from __future__ import annotations

from typing import Any

from txhixie.sansio.extensions.deflate import Deflater, Inflater


def application_of(connection: Any) -> Any:
    """The application of a connection or of a channel: a user has made it, and so needs no name."""
    return connection._application  # private: here the package has made it


def backend_of(connection: Any) -> Any:
    """The connection to the backend that a gateway made for a client's connection."""
    return application_of(connection)._backend  # private: a client must not reach the backend


def conversation_of(connection: Any) -> Any:
    """The sans-I/O half of a connection, for tests of its buffers and of its end."""
    return connection._conversation  # private: it must not be fed or closed beside the connection


def is_paused(connection: Any) -> bool:
    """Whether a connection has stopped to read: nothing happens by which a peer could tell."""
    return bool(connection._paused)  # private: an application knows what it has paused


def has_noticed_its_loss(connection: Any) -> bool:
    """Whether a connection knows that its transport was lost, with messages left to deliver."""
    return not connection.connected  # the application is called after its last message


def name_of_state(machine: Any) -> str:
    """The name of the state in which a machine of Automat is."""
    state = machine.__automat_transitioner__._state  # private: Automat has no public name for it
    return str(state.name)


def zlib_streams(transform: Any) -> tuple[bool, bool]:
    """
    Whether an extension's transform holds a compressor and a decompressor.

    Their memory, up to 300 KiB, is allocated by zlib in C, where no count of Python's sees it.
    """
    deflater, inflater = transform._deflater, transform._inflater  # private: held between messages
    return has_stream(deflater), has_stream(inflater)


def has_stream(half: Deflater | Inflater | None) -> bool:
    """Whether a `Deflater` or an `Inflater` holds its zlib stream; see `zlib_streams`."""
    if half is None:
        return False
    if isinstance(half, Deflater):
        return half._compressor is not None  # private: what zlib allocates is seen nowhere else
    return half._decompressor is not None  # private: the same


def waiting_bytes(connection: Any) -> int:
    """How many bytes Twisted's transport holds; over TLS, the transport below TLS."""
    transport = connection.transport
    transport = getattr(transport, "transport", transport)
    return len(transport.dataBuffer) - int(transport.offset) + int(transport._tempDataLen)
