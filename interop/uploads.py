"""Uploads that are whole or not there: the server killed at each of its steps, cut uploads gone on with by other people's
clients, also when it was the network that was cut, and the order of what makes an upload last, as the system sees it."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Callable

from .clients import Client, Mode
from .clients.curl import Curl
from .clients.lftp import Lftp
from .content import PAYLOAD, expect, expect_gone, folder, write
from .findings import expect_each, expect_none
from .link import Port21Beyond, standing_link
from .processes import wait_until_written
from .report import Failure, Scenario, Skip
from .servers import Port21
from .wire import Control, reset

_OLD = b"\xee" * 100_000
# Where an upload is killed: its file was made, is to be synced, named, and its name to be synced: that call alone is about the
# directory, and which thread makes it is for nobody to say.
_STEPS = (("flock", False), ("fsync", False), ("renameat,renameat2", False), ("fsync", True))


def scenarios() -> list[Scenario]:
    return [
        Scenario("uploads", "strace", _order),
        Scenario("uploads", "kill -9", _killed_at_each_step),
        *(Scenario("uploads", f"resumed, {client.name}", lambda s, c=client: _resumed(s, c)) for client in (Curl, Lftp)),
        *(Scenario("uploads", f"cut network, {way.name}", lambda s, w=way: _cut_network(s, w)) for way in (_ByCurl, _ByLftp, _ByHand)),
    ]


class _Traced(Port21):
    """port21 under strace, which notes its calls or kills it at one of them."""

    def __init__(self, *strace: str):
        super().__init__()
        self.strace = strace

    @property
    def log(self) -> Path:
        return self.scratch / "strace.log"

    def command(self) -> list[str]:
        return ["strace", "-f", "-qq", "-o", str(self.log), *self.strace, *super().command()]


def _order(scenario: Scenario) -> None:
    """write, sync of the file, rename, sync of the directory, 226."""
    calls = "write,pwrite64,fsync,fdatasync,renameat,renameat2,sendto,sendmsg"
    with _Traced("-y", "-s", "64", "-e", f"trace={calls}") as server:

        def durable(name: str) -> None:
            with Control(server.host, server.port).login(server.user, server.password) as control:
                control.command("TYPE I", "200")
                with control.passive() as data:
                    control.command(f"STOR /site/{name}", "150")
                    data.sendall(PAYLOAD)
                control.expect("226", "STOR")
            expect(server.site / name, PAYLOAD, "")
            # The client may have the 226 before the tracer has written that it was sent.
            begins = lambda line: f"data connection for /site/{name}" in line
            ends = lambda lines: any(map(begins, lines)) and any('"226 ' in line for line in lines[_last(begins, lines) :])
            log = wait_until_written(server.log, ends, f"226 for {name}")
            begin = _last(begins, log)
            aside = r"\.port21-(?:part|over)-[0-9a-f]+"
            steps = {
                "write": rf"\bwrite\(\d+<[^>]*{aside}>",
                "sync of the file": rf"\bfsync\(\d+<[^>]*{aside}>\)",
                "rename": rf"\brenameat2?\(.*\"{aside}\", .*\"{name}\"",
                "sync of the directory": r"\bfsync\(\d+<[^>]*/site>\)",
                "226": r"\bsend(?:to|msg|)\(.*\"226 ",
            }
            rest = log[begin:]
            # A call that others interrupt in the log is begun on one line and ends on another: it counts where it begins,
            # and the next step begins only behind its end.
            at = 0
            for step, pattern in steps.items():
                found = next((n for n in range(at, len(rest)) if re.search(pattern.replace(r"\)", r"(?:\)| <unf)"), rest[n])), None)
                if found is None:
                    raise Failure(f"no {step} behind line {at}", "\n".join(rest))
                at = _end_of(rest, found) + 1
            writes = [n for n, line in enumerate(rest) if re.search(steps["write"], line)]
            sync = next(n for n, line in enumerate(rest) if re.search(r"\bfsync\(\d+<[^>]*" + aside, line))
            if max(writes) > sync:
                raise Failure("a write behind the sync of the file", "\n".join(rest))

        scenario.check("durable, new file", lambda: durable("new.bin"))
        write(server.site / "over.bin", _OLD)
        scenario.check("durable, over a file", lambda: durable("over.bin"))
        scenario.check("nothing is found wrong", lambda: expect_none(server.recordings()))


def _last(fits: Callable[[str], bool], log: list[str]) -> int:
    return max(n for n, line in enumerate(log) if fits(line))


def _end_of(log: list[str], begin: int) -> int:
    """The line on which the call ends that begins on this one; that behind the last, where it has not ended yet."""
    if "<unfinished ...>" not in log[begin]:
        return begin
    task = log[begin].split()[0]
    ends = (n for n in range(begin + 1, len(log)) if log[n].split()[0] == task and "resumed>" in log[n])
    return next(ends, len(log))


def _killed_at_each_step(scenario: Scenario) -> None:
    """SIGKILL as the server makes a call: under the name is the old file or the whole new one; a new one goes on."""

    def killed(call: str, of_directory: bool, old: bytes | None) -> None:
        # That an upload over a file has begun is forced to the disk too, before all else.
        when = 2 if call == "fsync" and old is not None else 1
        server = _Traced("-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}")
        if of_directory:
            server.strace += ("-P", str(server.site))
        with server:
            file = server.site / "file.bin"
            if old is not None:
                write(file, old)
            try:
                with Control(server.host, server.port).login(server.user, server.password) as control:
                    control.command("TYPE I", "200")
                    with control.passive() as data:
                        control.command("STOR /site/file.bin", "150")
                        data.sendall(PAYLOAD)
                    reply = control.reply()
            except (Failure, OSError):
                reply = ""
            if reply:
                raise Failure(f"the server was not killed: {reply}", server.log.read_text())
            server.stop()
            found = file.read_bytes() if file.exists() else None
            if found not in (old, PAYLOAD):
                raise Failure("the file is neither the old one nor the new one")
            server.strace = ("-e", "trace=none")
            with server:
                _go_on(server, "file.bin", found)

    for call, of_directory in _STEPS:
        of = " of the directory" if of_directory else ""
        scenario.check(f"{call}{of}, new file", lambda: killed(call, of_directory, None))
        scenario.check(f"{call}{of}, over a file", lambda: killed(call, of_directory, _OLD))


def _go_on(server: Port21, name: str, found: bytes | None) -> None:
    """What a client does that has lost its server: it asks what is there, and sends the rest; or it is told that it cannot."""
    with Control(server.host, server.port).login(server.user, server.password) as control:
        control.command("TYPE I", "200")
        size = control.command(f"SIZE /site/{name}")
        there = int(size.split()[1]) if size.startswith("213") else 0
        if found == PAYLOAD:
            return
        with control.passive() as data:
            control.command(f"REST {there}", "350")
            reply = control.command(f"STOR /site/{name}")
            if found is not None:
                if not reply.startswith("554"):
                    raise Failure(f"it would go on with the old file: {reply}")
                return
            data.sendall(PAYLOAD[there:])
        control.expect("226", "STOR")
    expect(server.site / name, PAYLOAD, "")


def _resumed(scenario: Scenario, client_class: type[Client]) -> None:
    """An upload that was cut, and the same client again, told to go on: never a mixture."""
    with Port21() as server:
        client = client_class(server, Mode("EPSV"), folder(server.scratch / "home"))
        local = write(client.home / "whole.bin", PAYLOAD)
        part = PAYLOAD[:200_000]

        def cut(name: str, end: Callable[[Control, socket.socket], None]) -> None:
            control = Control(server.host, server.port).login(server.user, server.password)
            control.command("TYPE I", "200")
            data = control.passive()
            control.command(f"STOR /site/{name}", "150")
            data.sendall(part)
            _until(lambda: any(p.stat().st_size == len(part) for p in server.site.glob(".port21-*")))
            end(control, data)
            _until(lambda: _is_free(server))

        def rst(control: Control, data: socket.socket) -> None:
            reset(data)
            reset(control.socket)

        def fin(control: Control, data: socket.socket) -> None:
            control.socket.close()
            data.close()

        def new(name: str, end: Callable[[Control, socket.socket], None]) -> None:
            cut(name, end)
            expect_gone(server.site / name, "")
            said = client.resume_put(local, f"/site/{name}")
            expect(server.site / name, PAYLOAD, said)

        def over(name: str, end: Callable[[Control, socket.socket], None]) -> None:
            there = write(server.site / name, _OLD)
            cut(name, end)
            expect(there, _OLD, "after the cut")
            try:
                said = client.resume_put(local, f"/site/{name}")
            except Failure as refused:
                said = refused.evidence
            if there.read_bytes() not in (_OLD, PAYLOAD):
                raise Failure("a mixture of the old file and the new one", said)

        def killed() -> None:
            """The client itself is killed, and started again."""
            url, login = client.url("/site/killed.bin"), f"{server.user}:{server.password}"
            curl = subprocess.Popen(["curl", "-q", "-sS", "--user", login, "-T", "-", url], stdin=subprocess.PIPE)
            assert curl.stdin is not None
            curl.stdin.write(part)
            curl.stdin.flush()
            _until(lambda: any(p.stat().st_size >= 100_000 for p in server.site.glob(".port21-*")))
            # Long enough under way for its end to be waited for.
            time.sleep(0.5)
            curl.send_signal(signal.SIGKILL)
            curl.wait(10)
            curl.stdin = None
            _until(lambda: _is_free(server))
            expect_gone(server.site / "killed.bin", "")
            said = client.resume_put(local, "/site/killed.bin")
            expect(server.site / "killed.bin", PAYLOAD, said)

        scenario.check("new file, RST", lambda: new("new-rst.bin", rst))
        scenario.check("new file, FIN of both", lambda: new("new-fin.bin", fin))
        scenario.check("new file, kill -9 of curl", killed)
        scenario.check("over a file, RST", lambda: over("over-rst.bin", rst))
        scenario.check("over a file, FIN of both", lambda: over("over-fin.bin", fin))
        server.stop()
        # What was cut, whichever of its connections was seen to end first; and who would go on with an old file is refused,
        # where the client does not see that it cannot.
        expected = {"control-cut", *({"transfer-failed"} if client_class is Curl else set())}
        scenario.check("nothing else is found wrong", lambda: expect_each(server.recordings(), expected, {"reset"}))


class _ByHand:
    """A client that keeps to the letter: it asks what is there, and sends the rest by REST and STOR."""

    name = "REST"

    def __init__(self, server: Port21):
        self.server = server
        self.local = write(folder(server.scratch / "home") / "whole.bin", PAYLOAD)

    def begin(self, name: str) -> Callable[[], None]:
        """An upload that is under way; what is given ends the client, without a word to the server."""
        control = Control(self.server.host, self.server.port).login(self.server.user, self.server.password)
        control.command("TYPE I", "200")
        data = control.passive()
        control.command(f"STOR /site/{name}", "150")
        data.sendall(PAYLOAD[:200_000])

        def end() -> None:
            reset(data)
            reset(control.socket)

        return end

    def resume(self, name: str) -> str:
        with Control(self.server.host, self.server.port).login(self.server.user, self.server.password) as control:
            control.command("TYPE I", "200")
            size = control.command(f"SIZE /site/{name}", "213")
            there = int(size.split()[1])
            with control.passive() as data:
                control.command(f"REST {there}", "350")
                reply = control.command(f"STOR /site/{name}")
                if not reply.startswith("150"):
                    return reply
                data.sendall(PAYLOAD[there:])
            return control.expect("226", "STOR")


class _ByProgram(_ByHand):
    """A program, slow enough to be caught in the midst of it, and the same one again."""

    client: type[Client]

    def slowly(self, client: Client, name: str) -> list[str]:
        raise NotImplementedError

    def begin(self, name: str) -> Callable[[], None]:
        program = subprocess.Popen(
            self.slowly(self.client(self.server, Mode("EPSV"), self.local.parent), name),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

        def end() -> None:
            program.kill()
            program.wait(10)

        return end

    def resume(self, name: str) -> str:
        try:
            return self.client(self.server, Mode("EPSV"), self.local.parent).resume_put(self.local, f"/site/{name}")
        except Failure as refused:
            return refused.evidence


class _ByCurl(_ByProgram):
    name = "curl -C -"
    client = Curl

    def slowly(self, client: Client, name: str) -> list[str]:
        login = f"{self.server.user}:{self.server.password}"
        rate = ["--limit-rate", "100k", "--user", login]
        return ["curl", "-q", "-sS", *rate, "-T", str(self.local), client.url(f"/site/{name}")]


class _ByLftp(_ByProgram):
    name = "lftp put -c"
    client = Lftp

    def slowly(self, client: Client, name: str) -> list[str]:
        login = f"open -p {self.server.port} -u {self.server.user},{self.server.password} ftp://{self.server.url_host}"
        limits = "set ftp:ssl-allow no\nset net:limit-rate 100000"
        return ["lftp", "--norc", "-c", f"{limits}\n{login}\nput {self.local} -o /site/{name}"]


def _cut_network(scenario: Scenario, way: type[_ByHand]) -> None:
    """The network goes in the midst of an upload, and no end is told: the server ends the session by itself. Over another network
    the client goes on: under the name is the old file or the whole new one."""
    if os.geteuid() != 0:
        raise Skip("cutting a network needs root")
    with standing_link() as link, Port21Beyond(link.server_address) as server:
        client = way(server)

        def cut(name: str) -> None:
            with link.inside():
                end = client.begin(name)
            try:
                _until(lambda: any(p.stat().st_size >= 50_000 for p in server.site.glob(".port21-*")))
                link.cut()
            finally:
                end()
            _until(lambda: _is_free(server), 30)
            link.renew()

        def new() -> None:
            cut("new.bin")
            expect_gone(server.site / "new.bin", "")
            with link.inside():
                said = client.resume("new.bin")
            expect(server.site / "new.bin", PAYLOAD, said)

        def over() -> None:
            there = write(server.site / "over.bin", _OLD)
            cut("over.bin")
            expect(there, _OLD, "after the cut")
            with link.inside():
                said = client.resume("over.bin")
            if there.read_bytes() not in (_OLD, PAYLOAD):
                raise Failure("a mixture of the old file and the new one", said)
            with link.inside():
                said = _whole(server, "over.bin")
            expect(there, PAYLOAD, said)

        scenario.check("new file", new)
        scenario.check("over a file", over)
        server.stop()
        # The server breaks off what stands still; who would go on with an old file is refused, where the client does not see
        # that it cannot.
        refused = set() if way is _ByLftp else {"transfer-failed"}
        expected, perhaps = {"reset", *refused}, {"service-closing"}
        scenario.check("nothing else is found wrong", lambda: expect_each(server.recordings(), expected, perhaps))


def _whole(server: Port21, name: str) -> str:
    """The file once more, from its beginning."""
    with Control(server.host, server.port).login(server.user, server.password) as control:
        control.command("TYPE I", "200")
        with control.passive() as data:
            control.command(f"STOR /site/{name}", "150")
            data.sendall(PAYLOAD)
        return control.expect("226", "STOR")


def _is_free(server: Port21) -> bool:
    """Whether no upload is under way: each locks its file."""
    for path in server.site.glob(".port21-*"):
        with path.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
    return True


def _until(holds: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > end:
            raise Failure(f"not within {seconds:g} s")
        time.sleep(0.02)
