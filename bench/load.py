"""The load: what is asked of each server, by raw sockets in one thread."""

from __future__ import annotations

import mmap
import os
import socket
import ssl
import threading
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable

from interop.content import folder, write
from interop.report import Failure
from interop.servers import Server
from interop.wire import Control

from .meter import CpuMeter, memory

SMALL = 1024
_CHUNK = 1 << 20
_LISTINGS = 10
# Sessions from one address: below the cap that servers have by default.
_PER_ADDRESS = 50


@dataclass
class Sample:
    """One run of a workload. `rate` is in the row's unit; `cpu` in seconds per operation; `times` in seconds."""

    rate: float
    cpu: float | None = None
    times: list[float] = field(default_factory=list)


@dataclass
class Workload:
    """`what` it is, the `unit` of its rate, and what its CPU time is counted `per`."""

    what: str
    unit: str
    per: str
    run: Callable[[Server, CpuMeter], Sample | None]
    # What the servers are started with: "" or "require".
    tls: str = ""


def workloads(size: int, files: int, logins: int, commands: int, entries: int, idle: int) -> list[Workload]:
    shown = f"{size / (1 << 30):g} GiB" if size >= 1 << 28 else f"{size / (1 << 20):g} MiB"
    return [
        Workload(f"one file of {shown} down", "MiB/s", "GiB", lambda s, m: bulk(s, m, size, download)),
        Workload(f"four at once of {shown} down", "MiB/s", "GiB", lambda s, m: streams(s, m, size, 4)),
        Workload(f"one file of {shown} up", "MiB/s", "GiB", lambda s, m: bulk(s, m, size, upload)),
        Workload(f"one file of {shown} down, TLS", "MiB/s", "GiB", lambda s, m: bulk(s, m, size, download), "require"),
        Workload(f"one file of {shown} up, TLS", "MiB/s", "GiB", lambda s, m: bulk(s, m, size, upload), "require"),
        Workload(f"{files:,} files of 1 KiB down", "files/s", "file", lambda s, m: small(s, m, files, download)),
        Workload(f"{files:,} files of 1 KiB up", "files/s", "file", lambda s, m: small(s, m, files, upload)),
        Workload(f"{logins:,} logins, PWD, QUIT", "logins/s", "login", lambda s, m: _logins(s, m, logins)),
        Workload(f"{commands:,} NOOP", "commands/s", "command", lambda s, m: _noop(s, m, commands)),
        Workload(f"LIST of {entries:,} entries", "entries/s", "listing", lambda s, m: list_directory(s, m, entries, "LIST", _LISTINGS)),
        Workload(f"MLSD of {entries:,} entries", "entries/s", "listing", lambda s, m: list_directory(s, m, entries, "MLSD", _LISTINGS)),
        Workload(f"{idle:,} idle sessions", "KiB each", "", lambda s, m: _idle(s, idle)),
    ]


def random_file(path: Path, size: int) -> Path:
    """A file with blocks of its own, none of them zero: sparse files are cheaper to read than real ones."""
    block = os.urandom(_CHUNK)
    with path.open("wb") as out:
        for at in range(0, size, _CHUNK):
            out.write(block[: min(_CHUNK, size - at)])
    path.chmod(0o666)
    return path


def furnish(site: Path, big: Path, files: int, entries: int) -> None:
    """What every server serves: the same bytes, the large file even the same pages."""
    os.link(big, site / "big.bin")
    small = folder(site / "small")
    for n in range(files):
        write(small / f"{n:05}.bin", os.urandom(SMALL))
    folder(site / "up")
    many = folder(site / "many")
    for n in range(entries):
        write(many / f"a file with an ordinary name {n:05}.txt", b"")


def bulk(server: Server, meter: CpuMeter, size: int, transfer: _Transfer) -> Sample:
    with session(server) as control:
        local = server.site / "big.bin"
        cpu, begin = meter.read(), time.perf_counter()
        path = "/site/big.bin" if transfer is download else "/site/up/big.bin"
        if transfer(control, path, local) != size:
            raise Failure(f"{server.name} sent a part of the file only")
        seconds, cpu = time.perf_counter() - begin, meter.read() - cpu
        uploaded = server.site / "up/big.bin"
        if uploaded.exists():
            if uploaded.stat().st_size != size:
                raise Failure(f"{server.name} stored a part of the file only")
            uploaded.unlink()
    return Sample(size / (1 << 20) / seconds, cpu / (size / (1 << 30)))


def streams(server: Server, meter: CpuMeter, size: int, count: int) -> Sample:
    """The same file by several sessions at once, a thread each: they hold Python's lock for a fraction of their time."""
    counts: list[int] = []
    with ExitStack() as stack:
        controls = [stack.enter_context(session(server)) for _ in range(count)]
        threads = [threading.Thread(target=lambda c=c: counts.append(download(c, "/site/big.bin", Path()))) for c in controls]
        cpu, begin = meter.read(), time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        seconds, cpu = time.perf_counter() - begin, meter.read() - cpu
    if counts != [size] * count:
        raise Failure(f"{server.name} sent {counts} bytes to {count} sessions")
    return Sample(size * count / (1 << 20) / seconds, cpu / (size * count / (1 << 30)))


def small(server: Server, meter: CpuMeter, files: int, transfer: _Transfer) -> Sample:
    with session(server) as control:
        control.command("CWD /site/small" if transfer is download else "CWD /site/up", "250")
        names = [f"{n:05}.bin" for n in range(files)]

        def one(name: str) -> None:
            if transfer(control, name, server.site / "small" / name) != SMALL:
                raise Failure(f"{server.name} sent a part of {name} only")

        sample = _each(meter, names, one)
    if transfer is upload:
        for name in names:
            if (server.site / "up" / name).stat().st_size != SMALL:
                raise Failure(f"{server.name} stored a part of {name} only")
            (server.site / "up" / name).unlink()
    return sample


def _logins(server: Server, meter: CpuMeter, logins: int) -> Sample:
    def one(_: str) -> None:
        with session(server) as control:
            control.command("PWD", "257")
            control.command("QUIT", "221")

    return _each(meter, [""] * logins, one)


def _noop(server: Server, meter: CpuMeter, commands: int) -> Sample:
    with session(server) as control:
        return _each(meter, [""] * commands, lambda _: control.command("NOOP", "2"))


def list_directory(server: Server, meter: CpuMeter, entries: int, verb: str, listings: int) -> Sample | None:
    with session(server) as control:
        if verb == "MLSD" and "MLST" not in control.command("FEAT", "211"):
            return None
        control.command("CWD /site/many", "250")

        def one(_: str) -> None:
            listing = bytearray()
            with control.passive() as data:
                control.command(verb, "1")
                while chunk := data.recv(_CHUNK):
                    listing += chunk
            control.expect("226", verb)
            found = listing.count(b"a file with an ordinary name")
            if found != entries:
                raise Failure(f"{server.name} listed {found} of {entries} entries")

        sample = _each(meter, [""] * listings, one)
        return Sample(sample.rate * entries, sample.cpu, sample.times)


def _idle(server: Server, sessions: int) -> Sample:
    """The memory that a session takes while it does nothing: logged in, one small file fetched."""
    with ExitStack() as stack:
        # A fresh process: one that has had as many sessions before takes their memory from what it has kept.
        fresh = type(server)(quiet=True)
        fresh.ports.passive = server.ports.passive
        write(fresh.site / "small.bin", os.urandom(SMALL))
        stack.enter_context(fresh)
        before = memory(fresh.pid)
        for n in range(sessions):
            control = stack.enter_context(Control(fresh.host, fresh.port, source=f"127.0.2.{1 + n // _PER_ADDRESS}"))
            control.login(fresh.user, fresh.password)
            control.command("TYPE I", "200")
            download(control, "/site/small.bin", Path())
        return Sample((memory(fresh.pid) - before) / sessions / 1024)


_Transfer = Callable[[Control, str, Path], int]


def download(control: Control, path: str, _: Path) -> int:
    """Fetch a file and throw its bytes away; how many came."""
    count = 0
    with control.passive() as plain:
        control.command(f"RETR {path}", "1")
        sink = bytearray(_CHUNK)
        with control.protected(plain) as data:
            # MSG_TRUNC: the kernel drops the bytes without copying them, so that the load takes little CPU from the server.
            # What TLS has protected has to be looked at.
            flags = () if isinstance(data, ssl.SSLSocket) else (len(sink), socket.MSG_TRUNC)
            while received := data.recv_into(sink, *flags):
                count += received
    control.expect("226", "RETR")
    return count


def upload(control: Control, path: str, local: Path) -> int:
    """Send a file from memory, as most clients do: what `sendfile` lends to the receiver costs it more to copy than what was
    copied for it, and it is the receiver that is measured. How many bytes went."""
    count = local.stat().st_size
    with control.passive() as plain:
        control.command(f"STOR {path}", "1")
        with control.protected(plain) as data:
            block = _block(local)
            for at in range(0, count, _CHUNK):
                data.sendall(block[: count - at])
            if isinstance(data, ssl.SSLSocket):
                # The end of data is close_notify. Not every server answers it before it closes.
                with suppress(OSError):
                    data.unwrap().close()
    control.expect("226", "STOR")
    return count


def _block(local: Path) -> memoryview:
    """What the file begins with (`random_file` repeats it), in memory that begins with a page: copying it is cheaper."""
    memory = mmap.mmap(-1, _CHUNK)
    with local.open("rb") as source:
        source.readinto(memory)
    return memoryview(memory)


def _each(meter: CpuMeter, items: Iterable[str], one: Callable[[str], None]) -> Sample:
    """One operation after the other, none sent ahead, each with its time."""
    times = []
    cpu, begin = meter.read(), time.perf_counter()
    for item in items:
        at = time.perf_counter()
        one(item)
        times.append(time.perf_counter() - at)
    seconds, cpu = time.perf_counter() - begin, meter.read() - cpu
    return Sample(len(times) / seconds, cpu / len(times), times)


def session(server: Server) -> Control:
    control = Control(server.host, server.port, seconds=60)
    control.expect("220", "the connection")
    if server.tls:
        control.secure()
    control.log_in(server.user, server.password)
    control.command("TYPE I", "200")
    return control
