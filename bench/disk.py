"""What a disk costs: uploads that wait for it beside those that do not, and a file that has to be read from it first."""

from __future__ import annotations

import os
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median, quantiles
from typing import Callable

from interop.servers import Port21
from interop.wire import Control

from . import load
from .meter import CpuMeter

_SESSIONS = 100
_SMALL_FILES = 300


def tables(only: list[str], repetitions: int, size: int, progress: Callable[[str], None]) -> list[str]:
    """The tables, as Markdown, whose name has one of these texts; all if there is none."""
    parts = [
        ("disk: durable", lambda: _commits(repetitions, size, progress)),
        ("disk: cold", lambda: _cold(repetitions, size, progress)),
    ]
    return [table() for name, table in parts if not only or any(text in name for text in only)]


def _commits(repetitions: int, size: int, progress: Callable[[str], None]) -> str:
    """The same uploads, `durable` and `atomic`, taking turns."""
    large: dict[str, list[load.Sample]] = {"atomic": [], "durable": []}
    small: dict[str, list[load.Sample]] = {"atomic": [], "durable": []}
    with ExitStack() as stack:
        servers = {}
        for commit in large:
            server = Port21(quiet=True)
            server.extra = ("--commit", commit)
            big = load.random_file(server.root / "big.bin", size)
            load.furnish(server.site, big, _SMALL_FILES, 0)
            meter = stack.enter_context(CpuMeter())
            stack.enter_context(server)
            meter.follow(server.pid)
            servers[commit] = server, meter
        for repetition in range(repetitions):
            for commit, (server, meter) in servers.items():
                progress(f"disk: {commit} uploads, {repetition + 1} of {repetitions}")
                large[commit].append(load.bulk(server, meter, size, load.upload))
                small[commit].append(load.small(server, meter, _SMALL_FILES, load.upload))
    rows = [["uploads to a disk", *large], ["---", "---:", "---:"]]
    shown = f"{size >> 20:,} MiB"

    def row(what: str, samples: dict[str, list[load.Sample]], of: Callable[[load.Sample], float], form: str) -> None:
        rows.append([what, *(f"{median(map(of, each)):{form}}" for each in samples.values())])

    row(f"one file of {shown}, MiB/s", large, lambda s: s.rate, ",.0f")
    row("… ms of CPU a GiB", large, lambda s: (s.cpu or 0) * 1e3, ",.0f")
    row(f"{_SMALL_FILES} files of 1 KiB, files/s", small, lambda s: s.rate, ",.0f")
    row("… µs of CPU a file", small, lambda s: (s.cpu or 0) * 1e6, ",.0f")
    row("… ms a file, median", small, lambda s: median(s.times) * 1e3, ".2f")
    return "\n".join(f"| {' | '.join(each)} |" for each in rows)


def _cold(repetitions: int, size: int, progress: Callable[[str], None]) -> str:
    """NOOPs of a hundred sessions in turn: alone, while a file is sent from the kernel's cache, and while it comes from the disk."""
    samples: dict[str, list[float]] = {"nothing else": [], "a download from the cache": [], "a download from the disk": []}
    with Port21(quiet=True) as server, ExitStack() as stack:
        big = load.random_file(server.site / "big.bin", size)
        _forget(big)
        controls = []
        for n in range(_SESSIONS):
            control = stack.enter_context(Control(server.host, server.port, source=f"127.0.2.{1 + n // 50}"))
            controls.append(control.login(server.user, server.password))
        for repetition in range(repetitions):
            for what, times in samples.items():
                progress(f"disk: {what}, {repetition + 1} of {repetitions}")
                if what == "nothing else":
                    times += _noops(controls, lambda rounds: rounds < 5)
                    continue
                if "cache" in what:
                    big.read_bytes()
                else:
                    _forget(big)
                with load.session(server) as control:
                    fetch = threading.Thread(target=load.download, args=(control, "/site/big.bin", Path()))
                    fetch.start()
                    times += _noops(controls, lambda _: fetch.is_alive())
                    fetch.join()
    head = [f"NOOPs of {_SESSIONS} sessions beside", "median, µs", "99 of 100 within", "longest"]
    rows = [head, ["---", "---:", "---:", "---:"]]
    for what, times in samples.items():
        rows.append([what, *(f"{value * 1e6:,.0f}" for value in (median(times), quantiles(times, n=100)[98], max(times)))])
    return "\n".join(f"| {' | '.join(each)} |" for each in rows)


def _noops(controls: list[Control], on: Callable[[int], bool]) -> list[float]:
    times: list[float] = []
    rounds = 0
    while on(rounds):
        for control in controls:
            at = time.perf_counter()
            control.command("NOOP", "2")
            times.append(time.perf_counter() - at)
        rounds += 1
    return times


def _forget(file: Path) -> None:
    """Have the kernel write the file and drop it from its cache."""
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
