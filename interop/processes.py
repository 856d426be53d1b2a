"""Programs that run to an end, servers that run until they are stopped, and the ports that they listen on."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Callable, Mapping, Sequence

from .report import Failure

STEP_SECONDS = 25
READY_SECONDS = 10
STOP_SECONDS = 10
WRITTEN_SECONDS = 10


def run(
    command: Sequence[str],
    *,
    stdin: str = "",
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    seconds: float = STEP_SECONDS,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return its exit status and all that it said (both streams, in order).

    One that outlives `seconds` is killed with all its children, and that is a failure.
    """
    process = _start(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=dict(env) if env is not None else None,
        text=True,
        encoding="utf-8",
        errors="backslashreplace",
    )
    try:
        said, _ = process.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        _kill(process.pid)
        said, _ = process.communicate()
        raise Failure(f"no end after {seconds:g} s", said) from None
    finally:
        _running.discard(process.pid)
    return subprocess.CompletedProcess(list(command), process.returncode, said)


class Daemon:
    """A server process: started, awaited until it accepts connections, and ended by its process id."""

    def __init__(self, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None):
        self.log = log
        # The log is standard input too: vsftpd, made to be run by inetd, says on descriptor 0 why it will not start.
        with log.open("w+b") as out:
            self._process = _start(
                command,
                stdin=out,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
            )
        self.pid = self._process.pid

    def wait_until_ready(self, host: str, port: int, greets: bool = True) -> None:
        """Return once a connection is accepted; fail when the process ends first or READY_SECONDS are over."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise Failure(f"the server ended at once with status {self._process.returncode}", self.said())
            try:
                with socket.create_connection((host, port), timeout=1) as probe:
                    if not greets:
                        return
                    probe.settimeout(5)
                    probe.recv(512)  # the greeting: a server that is cut off before it counts as an odd client in its log
                    return
            except OSError:
                time.sleep(0.02)
        self.stop()
        raise Failure(f"nothing accepts connections at {host} port {port} after {READY_SECONDS} s", self.said())

    def running(self) -> bool:
        return self._process.poll() is None

    def stop(self) -> int | None:
        """Ask it to end (SIGTERM), and make it end (SIGKILL) when it does not. Its exit status; None when it was killed."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        finally:
            # Whatever is left of its own process group: forked sessions, and the server itself if it did not listen.
            _kill(self.pid)
            self._process.wait()
            _running.discard(self.pid)

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="backslashreplace")

    def wait_until_said(self, *words: str) -> None:
        """Return once one line of its log has all of these words: it writes the line behind the reply, at its leisure."""
        said = lambda lines: any(all(word in line for word in words) for line in lines)
        wait_until_written(self.log, said, " ".join(words))


def wait_until_written(log: Path, whole: Callable[[list[str]], bool], what: str) -> list[str]:
    """The lines of a log, once they are the whole that is waited for; fails when they are not after WRITTEN_SECONDS."""
    end = time.monotonic() + WRITTEN_SECONDS
    while True:
        lines = log.read_text(encoding="utf-8", errors="backslashreplace").splitlines()
        if whole(lines):
            return lines
        if time.monotonic() > end:
            raise Failure(f"the log has no {what} after {WRITTEN_SECONDS} s", "\n".join(lines))
        time.sleep(0.02)


# The process groups that run now: each program leads one of its own. And whether no further one may be started.
_running: set[int] = set()
_stopped = False
_starting = threading.RLock()


def _start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a program as the leader of a process group of its own."""
    with _starting:
        if _stopped:
            raise Failure("interrupted")
        process = subprocess.Popen(list(command), start_new_session=True, **options)
        _running.add(process.pid)
    return process


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
    """Start a program that is talked to while it runs; `stop` ends it."""
    return _start(command, **options)


def stop(process: subprocess.Popen[Any]) -> None:
    """End a program of `start` with all its children."""
    _kill(process.pid)
    process.wait()
    _running.discard(process.pid)


def kill_all() -> None:
    """End everything that was started here and still runs, and start nothing more: for one who interrupts."""
    global _stopped
    with _starting:
        _stopped = True
        for group in list(_running):
            _kill(group)


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


# Ports for the servers: below the range from which Linux takes ephemeral ports (32768 and up), so that no client's own
# port is in the way between the choice and the bind.
_FIRST, _LAST, _BLOCK = 20000, 32000, 100
_blocks = itertools.cycle(range(_FIRST, _LAST, _BLOCK))
_lock = threading.Lock()


class Ports:
    """A block of ports for one server: `control`, the one below it for active data, and a range for passive data."""

    def __init__(self) -> None:
        with _lock:
            for base in itertools.islice(_blocks, (_LAST - _FIRST) // _BLOCK):
                if _free(base) and _free(base + 1):
                    self.control, self.passive = base + 1, (base + 2, base + _BLOCK - 1)
                    return
        raise Failure(f"no free ports between {_FIRST} and {_LAST}")


def _free(port: int) -> bool:
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            with socket.socket(family, socket.SOCK_STREAM) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, port))
                probe.listen()
        except OSError:
            if family == socket.AF_INET or has_ipv6():
                return False
    return True


def has_ipv6() -> bool:
    """Whether this machine has an IPv6 loopback (some containers have none)."""
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
        return True
    except OSError:
        return False
