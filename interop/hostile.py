"""A hostile first pass, with real processes: uploads cut in every way, clients that vanish, a crowd that says nothing."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

from .content import PAYLOAD, expect, expect_gone, write
from .findings import expect_each
from .link import Port21Beyond, standing_link
from .report import Failure, Scenario, Skip
from .servers import Port21
from .wire import Control, reset

_CROWD = 1000
# What the server may keep of a crowd that has gone: allocators do not give every page back.
_MEMORY_KEPT = 16 * 1024 * 1024


def scenarios() -> list[Scenario]:
    return [
        Scenario("hostile", "", play)
        for play in (_cut_uploads, _cut_network, _vanishing, _crowd_from_one_address, _crowd_from_many)
    ]


def _cut_uploads(scenario: Scenario) -> None:
    """An upload that is cut leaves what was there; a FIN alone (a killed client sends one) makes no file whole."""
    with Port21() as server:
        before = _descriptors(server.pid)

        def killed_curl() -> None:
            with _old_file(server.site / "killed.bin") as old:
                url = f"ftp://{server.host}:{server.port}/site/killed.bin"
                login = f"{server.user}:{server.password}"
                begun = time.monotonic()
                curl = subprocess.Popen(
                    ["curl", "-q", "-sS", "--max-time", "60", "--user", login, "-T", "-", url], stdin=subprocess.PIPE
                )
                try:
                    assert curl.stdin is not None
                    curl.stdin.write(PAYLOAD * 4)
                    curl.stdin.flush()
                    # The pipe holds 64 KiB: curl has taken the rest, so the upload is under way. And the server has some.
                    _until("the upload is under way", lambda: _uploading(server, old, len(PAYLOAD)))
                    expect(old, PAYLOAD, "while the upload ran")
                    # Long enough under way for its end to be waited for.
                    _until("the upload has run for a while", lambda: time.monotonic() - begun > 0.5)
                finally:
                    curl.send_signal(signal.SIGKILL)
                    curl.wait(10)
                    curl.stdin = None

        def reset_both() -> None:
            with _old_file(server.site / "reset.bin") as old, _upload(server, "reset.bin") as (control, data):
                _until("the upload is under way", lambda: _uploading(server, old, len(PAYLOAD)))
                reset(data)
                reset(control.socket)

        def reset_data() -> None:
            with _old_file(server.site / "reset-data.bin"), _upload(server, "reset-data.bin") as (control, data):
                reset(data)
                control.expect("426", "an upload whose data connection was reset")
                control.command("NOOP", "200")

        def vanished_control() -> None:
            with _old_file(server.site / "no-control.bin") as old, _upload(server, "no-control.bin") as (control, data):
                _until("the upload is under way", lambda: _uploading(server, old, len(PAYLOAD)))
                control.socket.close()
                data.close()

        def aborted() -> None:
            with _old_file(server.site / "aborted.bin"), _upload(server, "aborted.bin") as (control, _data):
                # As Telnet has it: IP and the Data Mark sent urgent, then the command.
                control.socket.sendall(b"\xff\xf4\xff")
                control.socket.send(b"\xf2", socket.MSG_OOB)
                control.command("ABOR", "426")
                control.expect("226", "ABOR")

        def new_file() -> None:
            with _upload(server, "never-whole.bin") as (control, data):
                _until("the upload is under way", lambda: _part_files(server.site))
                reset(data)
                control.expect("426", "an upload whose data connection was reset")
                expect_gone(server.site / "never-whole.bin", "")
                # What came is kept, for this user to go on with, or to remove.
                control.command("SIZE /site/never-whole.bin", "213")
                control.command("DELE /site/never-whole.bin", "250")

        def server_killed() -> None:
            """The server itself is killed in mid-upload: what it leaves aside has another name."""
            old = write(server.site / "stopped.bin", PAYLOAD)
            with _upload(server, "stopped.bin"):
                _until("the upload is under way", lambda: _uploading(server, old, len(PAYLOAD)))
                os.kill(server.pid, signal.SIGKILL)
                server.stop()
            expect(old, PAYLOAD, "")

        scenario.check("upload, kill -9 of curl", killed_curl)
        scenario.check("upload, RST of both", reset_both)
        scenario.check("upload, RST of data", reset_data)
        scenario.check("upload, FIN of both", vanished_control)
        scenario.check("upload, urgent ABOR", aborted)
        scenario.check("new file, RST of data", new_file)
        scenario.check("no part files are left", lambda: _until_only_whole_files(server.site))
        scenario.check("descriptors are back", lambda: _until_descriptors(server.pid, before))
        scenario.check("upload, kill -9 of server", server_killed)
        # Clients that are gone, and data connections that they have reset; ABOR is no fault.
        scenario.check("nothing else is found wrong", lambda: expect_each(server.recordings(), {"control-cut", "reset"}))


def _cut_network(scenario: Scenario) -> None:
    """The network goes away in mid-transfer, with no FIN and no RST: by a link between two name spaces that is cut."""
    if os.geteuid() != 0:
        raise Skip("cutting a network needs root")
    with standing_link() as link, Port21Beyond(link.server_address) as server:

        def upload() -> None:
            with _old_file(server.site / "cut.bin") as old:
                with link.inside():
                    control = Control(link.server_address, server.port).login(server.user, server.password)
                    data = control.passive()
                control.command("STOR /site/cut.bin", "150")
                data.sendall(PAYLOAD)
                _until("the upload is under way", lambda: _uploading(server, old, 1))
                link.cut()
                expect(old, PAYLOAD, "while the network was cut")
                _until("the server gives the upload up", lambda: not _part_files(server.site), 30)

        before = _descriptors(server.pid)
        scenario.check("upload, network cut", upload)
        link.mend()
        scenario.check("descriptors are back", lambda: _until_descriptors(server.pid, before, 30))
        server.stop()
        # It breaks off what stands still; whether the session has ended by then is for nobody to say.
        scenario.check("nothing else is found wrong", lambda: expect_each(server.recordings(), {"reset"}, {"service-closing"}))


def _vanishing(scenario: Scenario) -> None:
    """Clients that go away in the midst of a download or a listing, in every way a socket can."""
    with Port21() as server:
        write(server.site / "large.bin", b"\0" * (64 << 20))
        before = _descriptors(server.pid)

        def vanish(command: str, end: Callable[[Control, socket.socket], None]) -> Callable[[], None]:
            def action() -> None:
                for _ in range(20):
                    control = Control(server.host, server.port).login(server.user, server.password)
                    control.command("TYPE I", "200")
                    data = control.passive()
                    control.command(command, "150")
                    data.recv(1000)
                    end(control, data)
                _until_descriptors(server.pid, before)

            return action

        def fin(control: Control, data: socket.socket) -> None:
            data.close()
            control.socket.close()

        def rst(control: Control, data: socket.socket) -> None:
            reset(data)
            reset(control.socket)

        def quit_and_stall(control: Control, data: socket.socket) -> None:
            """QUIT waits for the transfer; the transfer is then reset."""
            control.socket.sendall(b"QUIT\r\n")
            reset(data)
            control.expect("426", "RETR")
            control.expect("221", "QUIT")
            control.socket.close()

        def stalled() -> None:
            """NOOP and STAT answer while a download stalls, ABOR ends it."""
            with Control(server.host, server.port).login(server.user, server.password) as control:
                control.command("TYPE I", "200")
                with control.passive():
                    control.command("RETR /site/large.bin", "150")
                    control.command("NOOP", "200")
                    control.command("STAT", "21")
                    control.command("ABOR", "426")
                    control.expect("226", "ABOR")
                control.command("NOOP", "200")
            _until_descriptors(server.pid, before)

        scenario.check("download, FIN of both", vanish("RETR /site/large.bin", fin))
        scenario.check("download, RST of both", vanish("RETR /site/large.bin", rst))
        scenario.check("download, QUIT, then RST", vanish("RETR /site/large.bin", quit_and_stall))
        scenario.check("download stalls: NOOP, ABOR", stalled)
        scenario.check("server is well", lambda: _log_in_within_a_second(server))
        server.stop()
        # Which of the two connections is seen to end first is for nobody to say.
        scenario.check("nothing else is found wrong", lambda: expect_each(server.recordings(), {"reset"}, {"control-cut"}))


def _crowd_from_one_address(scenario: Scenario) -> None:
    _crowd(scenario, "one address", lambda n: "127.0.0.1")


def _crowd_from_many(scenario: Scenario) -> None:
    _crowd(scenario, "many addresses", lambda n: f"127.0.1.{1 + n % 200}")


def _crowd(scenario: Scenario, name: str, source: Callable[[int], str]) -> None:
    """1,000 connections that send nothing: meanwhile a user gets in at once, afterwards everything is given back."""
    with Port21() as server:
        # Warm: what the first sessions make the process keep for good is no leak.
        for _ in range(20):
            _log_in_within_a_second(server)
        descriptors, memory = _descriptors(server.pid), _memory(server.pid)
        crowd: list[socket.socket] = []

        def gather() -> None:
            for n in range(_CROWD):
                crowd.append(socket.create_connection((server.host, server.port), 5, (source(n), 0)))

        def memory_is_back() -> None:
            _until(
                f"no more than {_MEMORY_KEPT >> 20} MiB above the {memory >> 20} MiB before",
                lambda: _memory(server.pid) <= memory + _MEMORY_KEPT,
            )

        try:
            scenario.check(f"crowd, {name}", gather)
            scenario.check("a user logs in within 1 s", lambda: _log_in_within_a_second(server))
        finally:
            for connection in crowd:
                connection.close()
        scenario.check("descriptors are back", lambda: _until_descriptors(server.pid, descriptors))
        scenario.check("memory is back", memory_is_back)
        server.stop()
        # Nobody in the crowd has read the greeting, so that it ends with RSTs.
        scenario.check("nothing else is found wrong", lambda: expect_each(server.recordings(), {"reset"}))


def _log_in_within_a_second(server: Port21) -> None:
    begin = time.monotonic()
    with Control(server.host, server.port).login(server.user, server.password):
        seconds = time.monotonic() - begin
    if seconds > 1:
        raise Failure(f"it took {seconds:.2f} s")


@contextmanager
def _old_file(path: Path) -> Iterator[Path]:
    """A file that is to be as it was when the block ends, and then for a while."""
    write(path, PAYLOAD)
    yield path
    _until("no upload is under way", lambda: not _part_files(path.parent))
    expect(path, PAYLOAD, "")


@contextmanager
def _upload(server: Port21, name: str) -> Iterator[tuple[Control, socket.socket]]:
    """A STOR that has begun and sent its first bytes."""
    with Control(server.host, server.port).login(server.user, server.password) as control:
        control.command("TYPE I", "200")
        with control.passive() as data:
            control.command(f"STOR /site/{name}", "150")
            data.sendall(PAYLOAD * 2)
            yield control, data


def _part_files(folder: Path) -> list[Path]:
    """Files that are not what a test has put there: uploads in the making. An empty one marks an upload that broke off."""
    others = (path for path in folder.iterdir() if path.is_file() and not path.name.endswith(".bin"))
    return [path for path in others if path.stat().st_size]


def _uploading(server: Port21, old: Path, least: int) -> bool:
    """Whether the server has written some of an upload, beside the old file or (an unnamed file) in its descriptors."""
    if any(path.stat().st_size >= least for path in _part_files(old.parent)):
        return True
    return any(size >= least for size in _open_unnamed(server.pid))


def _open_unnamed(pid: int) -> Iterator[int]:
    """The sizes of files that a process has open and that have no name (O_TMPFILE, or unlinked)."""
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            status = os.stat(descriptor)
            if status.st_nlink == 0 and os.readlink(descriptor).startswith("/"):
                yield status.st_size
        except OSError:
            continue  # closed meanwhile


def _until_only_whole_files(folder: Path) -> None:
    _until("no file is left but the old ones", lambda: not _part_files(folder))


def _until_descriptors(pid: int, before: int, seconds: float = 10) -> None:
    try:
        _until("", lambda: _descriptors(pid) <= before, seconds)
    except Failure:
        raise Failure(f"{_descriptors(pid)} descriptors are open, not {before} as before") from None


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _memory(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise Failure("the server has ended")


def _until(what: str, holds: Callable[[], object], seconds: float = 10) -> None:
    """Wait, bounded, for something to become true."""
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Failure(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
