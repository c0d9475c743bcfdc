"""Random streams of frames, right and wrong ones, cut into reads anywhere."""

from __future__ import annotations

from random import Random

from support.frames import modern_frame

_FIRST = [0x81] * 12 + [0x82] * 8 + [0x80, 0x01, 0x02, 0x00, 0x88, 0x89, 0x8A, 0xC1, 0x83]
_TEXTS = ["", "a", "Hello", "é", "日本語", "\U0001f600", "\0"]


def payload(random: Random) -> bytes:
    """A payload: mostly UTF-8, of any size at which a header or a branch changes."""
    kind = random.randrange(12)
    if kind == 0:
        return random.randbytes(random.randrange(60))
    if kind == 1:
        return bytes(random.choice([125, 126, 127, 511, 512, 513, 4999, 5000, 5001]))
    if kind == 2 and random.randrange(8) == 0:
        return b"x" * random.choice([16383, 16384, 16385, 65535, 65536, 70_000])
    text = random.choice(_TEXTS) * random.randrange(30)
    return text.encode()[: random.randrange(1, 200) if random.randrange(20) == 0 else None]


def modern(random: Random, masked: bool) -> bytes:
    """Frames of RFC 6455; a run of frames of one size now and then."""
    frames = []
    for _ in range(random.randrange(20)):
        content = payload(random)
        first = random.choice(_FIRST)
        right = random.randrange(60) > 0
        form = 8 if random.randrange(60) == 0 else None
        for _ in range(random.choice([1] * 8 + [2, 5, 70]) if len(content) < 200 else 1):
            key = random.randbytes(4) if masked is right else None
            frame = modern_frame(first & 0x0F, content, key=key, form=form)
            frames.append(bytes((first,)) + frame[1:])
    return b"".join(frames)


def long_stream(random: Random, masked: bool) -> list[bytes]:
    """The reads of frames of RFC 6455 with up to 500,000 bytes each, and of short ones."""
    frames = []
    for _ in range(random.randrange(1, 8)):
        content = random.choice([b"a", "é".encode(), "日本語".encode(), random.randbytes(999)])
        content *= random.randrange(1, 500_000) // len(content)
        first = random.choice([0x81, 0x82, 0x82, 0x01, 0x02, 0x80, 0x00, 0x89])
        content = content if first < 0x89 else b"ping"
        frame = modern_frame(first & 0x0F, content, key=random.randbytes(4) if masked else None)
        frames.append(bytes((first,)) + frame[1:])
    data = b"".join(frames)
    size = random.choice([1500, 30_000, 100_000, 1 << 20])
    chunks = []
    while data:
        cut = random.randrange(1, size + 1)
        chunks.append(data[:cut])
        data = data[cut:]
    return chunks


def hixie(random: Random) -> bytes:
    """Frames of hixie-75 and hixie-76."""
    frames = []
    for _ in range(random.randrange(20)):
        content = payload(random).replace(b"\xff", b"")
        other = [b"\x80\x03abc", b"\xff\x00", b"\x01a\xff", b"\x80\x80\x01x", b"\x00a\xc3\xff"]
        frame = b"\x00%b\xff" % content
        if random.randrange(20) == 0:
            frame = random.choice(other)
        frames.append(frame * random.choice([1] * 8 + [2, 5, 70]) if len(frame) < 200 else frame)
    return b"".join(frames)


def stream(random: Random, row: str, masked: bool) -> list[bytes]:
    """
    The reads of a stream, in a dialect.

    :param masked: whether the sender has to mask.
    """
    data = hixie(random) if row.startswith("hixie") else modern(random, masked)
    if data and random.randrange(10) == 0:
        at = random.randrange(len(data))
        data = data[:at] + random.randbytes(1) + data[at + 1 :]
    chunks = []
    size = random.choice([1, 3, 50, 1000, 30_000, 1 << 20])
    if size < 50:
        data = data[:3000]
    while data:
        cut = random.randrange(1, size + 1)
        chunks.append(data[:cut])
        data = data[cut:]
    return chunks
