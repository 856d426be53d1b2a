"""Bytes that catch what FTP gets wrong, and names that catch how it is quoted."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from .report import Failure


def payload(size: int = 300_000, seed: int = 959) -> bytes:
    """The same bytes at every run: every byte value, line ends of all kinds, runs of 0xFF (Telnet's IAC), then noise."""
    hard = bytes(range(256)) + b"\r\n\n\r\r\r\n" + b"\xff" * 7 + b"\xff\xf4\xff\xf2" + b"\0\n\0\r"
    return hard + random.Random(seed).randbytes(size - len(hard))


PAYLOAD = payload()
# What an interrupted transfer has left behind. It does not begin as the payload does: after a true resume that still stands,
# and after a transfer that began anew it does not, so the bytes alone tell the two apart. It ends as the payload goes on,
# for clients that compare the end of what they have with the server's before they add to it.
PART = b"\x5a" * 50_000 + PAYLOAD[50_000:100_000]
RESUMED = PART + PAYLOAD[len(PART) :]

# Names that have to arrive on disk as they were given.
NAMES = {
    "UTF-8 name": "Grüße, 世界 – ☃.txt",
    "name with spaces": "two  blanks and one.txt",
    "name with a single quote": "it's here.txt",
    "name with double quotes": 'say "hello" twice.txt',
}


def write(path: Path, data: bytes) -> Path:
    """Put a file on disk that any account may change: the servers under test do not run as the one who tests."""
    path.write_bytes(data)
    path.chmod(0o666)
    return path


def folder(path: Path) -> Path:
    """Make a directory that any account may change."""
    path.mkdir(parents=True)
    path.chmod(0o777)
    return path


def expect(path: Path, data: bytes, said: str) -> None:
    """The file is there and holds just these bytes."""
    if not path.is_file():
        raise Failure(f"{path.name} is not there", said)
    found = path.read_bytes()
    if found == data:
        return
    if len(found) != len(data):
        raise Failure(f"{path.name} has {len(found)} bytes, not {len(data)}", said)
    at = next(i for i, (a, b) in enumerate(zip(found, data)) if a != b)
    raise Failure(f"{path.name} differs from byte {at} on ({_digest(found)}, not {_digest(data)})", said)


def expect_gone(path: Path, said: str) -> None:
    """Nothing is there any more."""
    if path.exists():
        raise Failure(f"{path.name} is still there", said)


def _digest(data: bytes) -> str:
    return f"sha256 {hashlib.sha256(data).hexdigest()[:12]}"
