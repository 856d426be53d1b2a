"""How our server's cost grows with the work: more sessions, longer listings, more streams at once."""

from __future__ import annotations

import itertools
import os
import resource
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Callable, Iterator

from interop.content import folder, write
from interop.servers import Port21
from interop.wire import Control

from . import load
from .meter import CpuMeter, memory

SESSIONS = (10, 100, 1_000, 10_000)
ENTRIES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)
STREAMS = (1, 2, 4, 8, 16, 32, 64)
# At the least so many operations are measured together: the kernel accounts in slices.
_OPERATIONS = 2_000
_ENTRIES_TOLD = 200_000
_STREAMED = 8 << 30


def tables(only: list[str], repetitions: int, big: Path, size: int, progress: Callable[[str], None]) -> list[str]:
    """The tables, as Markdown, whose name has one of these texts; all if there is none."""
    parts = [
        ("growth: sessions", lambda: _sessions(progress)),
        ("growth: entries", lambda: _entries(repetitions, progress)),
        ("growth: streams", lambda: _streams(repetitions, big, size, progress)),
    ]
    return [table() for name, table in parts if not only or any(text in name for text in only)]


def _sessions(progress: Callable[[str], None]) -> str:
    """Sessions that have logged in and fetched a file, and wait: their memory, and what a command costs among them."""
    _raise_descriptors()
    each, total, cost = [], [], []
    with CpuMeter() as meter, _Roomy(quiet=True) as server, ExitStack() as stack:
        meter.follow(server.pid)
        write(server.site / "small.bin", b"x" * load.SMALL)
        sources = (f"127.0.{2 + n // 250}.{1 + n % 250}" for n in itertools.count())
        before, controls = memory(server.pid), []
        for wanted in SESSIONS:
            progress(f"growth: {wanted:,} sessions")
            while len(controls) < wanted:
                source = next(sources)
                for _ in range(min(50, wanted - len(controls))):
                    controls.append(_waiting(server, source, stack))
            used = memory(server.pid) - before
            rounds = max(1, _OPERATIONS // wanted)
            cpu = meter.read()
            for control in controls * rounds:
                control.command("NOOP", "2")
            cost.append((meter.read() - cpu) / (wanted * rounds))
            each.append(used / wanted / 1024)
            total.append(used / (1 << 20))
    return _table(
        "sessions that wait",
        SESSIONS,
        [("KiB each", each, ".1f"), ("MiB in all", total, ".1f"), ("µs of CPU for a NOOP of each in turn", _times(cost, 1e6), ".1f")],
    )


def _waiting(server: Port21, source: str, stack: ExitStack) -> Control:
    control = stack.enter_context(Control(server.host, server.port, source=source))
    control.login(server.user, server.password)
    control.command("TYPE I", "200")
    load.download(control, "/site/small.bin", Path())
    return control


def _entries(repetitions: int, progress: Callable[[str], None]) -> str:
    costs: dict[str, list[float]] = {"LIST": [], "MLSD": []}
    with CpuMeter() as meter, _Roomy(quiet=True) as server:
        meter.follow(server.pid)
        there, many = 0, folder(server.site / "many")
        for entries in ENTRIES:
            progress(f"growth: {entries:,} entries")
            for n in range(there, entries):
                os.mknod(many / f"a file with an ordinary name {n:07}.txt")
            there = entries
            listings = max(1, min(100, _ENTRIES_TOLD // entries))
            for verb, values in costs.items():
                samples = [load.list_directory(server, meter, entries, verb, listings) for _ in range(repetitions)]
                values.append(median(sample.cpu or 0 for sample in samples if sample) / entries)
    rows = [(f"{verb}, µs of CPU an entry", _times(values, 1e6), ".2f") for verb, values in costs.items()]
    return _table("entries of a directory", ENTRIES, rows)


def _streams(repetitions: int, big: Path, size: int, progress: Callable[[str], None]) -> str:
    rates, costs = [], []
    with CpuMeter() as meter, _Roomy(quiet=True) as server:
        meter.follow(server.pid)
        (server.site / "big.bin").hardlink_to(big)
        for streams in STREAMS:
            progress(f"growth: {streams} streams")
            rounds = max(1, _STREAMED // size // streams // repetitions)
            samples = [load.streams(server, meter, size, streams) for _ in range(repetitions * rounds)]
            rates.append(median(sample.rate for sample in samples))
            costs.append(median(sample.cpu or 0 for sample in samples))
    rows = [("MiB/s", rates, ",.0f"), ("ms of CPU a GiB", _times(costs, 1e3), ",.0f")]
    return _table("downloads at once", STREAMS, rows)


class _Roomy(Port21):
    """With room for more than the default allows: 2,000 sessions in all, and 10,000 commands a second of each."""

    def command(self) -> list[str]:
        config = self.scratch / "port21.toml"
        config.write_text(
            "[limits]\nconnections = 10050\nconnections-per-address = 1000\ncommands-per-second = 0\n\n"
            '[uploads]\ncommit = "atomic"\n\n[timeouts]\nidle = "1h"\n'
        )
        self.extra = ("--config", str(config))
        return super().command()


def _raise_descriptors() -> None:
    """As many as we may have, and those that we start: each session takes one of theirs and one of ours."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _table(what: str, columns: tuple[int, ...], rows: list[tuple[str, list[float], str]]) -> str:
    lines: Iterator[list[str]] = ([name, *(f"{value:{form}}" for value in values)] for name, values, form in rows)
    head = [what, *(f"{column:,}" for column in columns)]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] + ["---:"] * len(columns), *lines])


def _times(values: list[float], factor: float) -> list[float]:
    return [value * factor for value in values]
