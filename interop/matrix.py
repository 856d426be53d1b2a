"""Every client against every server that it is to be tried with: the same operations, judged by what is on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Iterable

from .clients import Client, Mode
from .content import NAMES, PART, PAYLOAD, RESUMED, expect, expect_gone, folder, write
from .findings import expect_none
from .processes import has_ipv6
from .report import Failure, Scenario, Skip
from .servers import Server


def scenarios(clients: Iterable[type[Client]], servers: Iterable[type[Server]]) -> list[Scenario]:
    """One scenario for each client, each server, and each way to make data connections: a server process for each."""
    found = list(servers)
    return [
        Scenario(
            client.name if len(found) == 1 else f"{client.name} > {server.name}",
            str(mode),
            lambda scenario, client=client, server=server, mode=mode: _play(scenario, server, client, mode),
        )
        for client in clients
        for server in found
        for mode in client.modes
        if not mode.tls or mode.tls in server.tls_kinds
    ]


def _play(scenario: Scenario, server_class: type[Server], client_class: type[Client], mode: Mode) -> None:
    if mode.family == 6 and not has_ipv6():
        raise Skip("this machine has no IPv6 loopback")
    if mode.verb in server_class.lacks:
        raise Skip(f"{server_class.name} has no {mode.verb}")
    # Our client has no flag for PASV: it is what it falls back to.
    refuse_epsv = mode.verb == "PASV" and client_class.falls_back_to_pasv
    with server_class(mode.host, epsv=not refuse_epsv, tls=mode.tls) as server:
        home = folder(server.scratch / "home")
        client = client_class(server, mode, home)
        play = _Play(server, client, server.site, home)
        many = {"200 puts, 200 gets": lambda: client.many(server.site)} if mode.tls and client.can_many() else {}
        for operation, action in {**play.operations(), **client.more(server.site), **many}.items():
            scenario.check(operation, action)
        scenario.check(f"sent {mode.verb}", play.sent_verb)
        scenario.check("server ends cleanly", play.server_ends)
        # A session that did what it was to do has no fault and no warning, whoever recorded it.
        scenario.check("nothing is found wrong", lambda: expect_none(play.recordings(), {**server.found, **client.found}))


class _Play:
    """The operations, each on files of its own: one that fails takes no other with it."""

    def __init__(self, server: Server, client: Client, site: Path, home: Path):
        self.server, self.client, self.site, self.home = server, client, site, home

    def operations(self) -> dict[str, Callable[[], object]]:
        actions: dict[str, Callable[[], object]] = {
            "list": self.list,
            "get": self.get,
            "get, empty file": self.get_empty,
            "put": self.put,
            "put over a file": self.put_over,
            "put, empty file": self.put_empty,
            "resume get": self.resume_get,
            "resume put": self.resume_put,
            "rename": self.rename,
            "mkdir": self.mkdir,
            "rmdir": self.rmdir,
            "delete": self.delete,
        }
        for what, name in NAMES.items():
            actions[what] = lambda name=name: self.name(name)
        return {operation: self._unless_it_cannot(operation, action) for operation, action in actions.items()}

    def list(self) -> None:
        there = folder(self.site / "list")
        names = [f"file-{i}.bin" for i in range(20)]
        for name in names:
            write(there / name, b"x" * len(name))
        folder(there / "subfolder")
        said = self.client.list("/site/list")
        absent = [name for name in [*names, "subfolder"] if name not in said]
        if absent:
            raise Failure(f"not in the listing: {', '.join(absent)}", said)

    def get(self) -> None:
        write(self.site / "get.bin", PAYLOAD)
        self._get("/site/get.bin", PAYLOAD)

    def get_empty(self) -> None:
        write(self.site / "get-empty.bin", b"")
        self._get("/site/get-empty.bin", b"")

    def put(self) -> None:
        self._put("/site/put.bin", PAYLOAD)

    def put_over(self) -> None:
        write(self.site / "put-over.bin", PAYLOAD * 2)
        self._put("/site/put-over.bin", PAYLOAD)

    def put_empty(self) -> None:
        self._put("/site/put-empty.bin", b"")

    def resume_get(self) -> None:
        write(self.site / "resume-get.bin", PAYLOAD)
        local = write(self.home / "resume-get.bin", PART)
        expect(local, RESUMED, self.client.resume_get("/site/resume-get.bin", local))

    def resume_put(self) -> None:
        # What is older than the local file is not gone on with by every client.
        local = write(self.home / "resume-put.bin", PAYLOAD)
        there = write(self.site / "resume-put.bin", PART)
        # Nor is what the server's digest shows to begin otherwise.
        anew = self.client.compares_digests and self.server.tells_digests
        expect(there, PAYLOAD if anew else RESUMED, self.client.resume_put(local, "/site/resume-put.bin"))

    def rename(self) -> None:
        old, new = write(self.site / "rename-old.bin", PAYLOAD), self.site / "rename-new.bin"
        said = self.client.rename("/site/rename-old.bin", "/site/rename-new.bin")
        expect(new, PAYLOAD, said)
        expect_gone(old, said)

    def mkdir(self) -> None:
        said = self.client.mkdir("/site/made")
        if not (self.site / "made").is_dir():
            raise Failure("no such directory was made", said)

    def rmdir(self) -> None:
        there = folder(self.site / "to-remove")
        expect_gone(there, self.client.rmdir("/site/to-remove"))

    def delete(self) -> None:
        there = write(self.site / "delete.bin", PAYLOAD)
        expect_gone(there, self.client.delete("/site/delete.bin"))

    def name(self, name: str) -> None:
        """A name makes the whole round: up, listed, renamed from and to, down, deleted."""
        place = folder(self.site / f"names-{len(name)}")
        path = f"/site/{place.name}/{name}"
        if "put" in self.client.cannot:
            write(place / name, PAYLOAD)
            self._get(path, PAYLOAD)
            return
        local = write(self.home / f"name-{len(name)}.bin", PAYLOAD)
        expect(place / name, PAYLOAD, self.client.put(local, path))
        said = self.client.list(f"/site/{place.name}")
        if name not in said:
            raise Failure(f"{name!r} is not in the listing", said)
        self._get(path, PAYLOAD)
        other = f"{name} 2"
        said = self.client.rename(path, f"/site/{place.name}/{other}")
        expect(place / other, PAYLOAD, said)
        expect_gone(place / other, self.client.delete(f"/site/{place.name}/{other}"))

    def sent_verb(self) -> None:
        """The client did use the mode that it was told to use: the server says so."""
        verbs = self.server.verbs()
        if verbs is None:
            verbs = self.client.verbs()
        if verbs is None:
            raise Skip(f"neither {self.server.name} nor {self.client.name} keeps a log of commands")
        if self.client.mode.verb not in verbs:
            raise Failure(f"the server was sent only {' '.join(sorted(verbs))}")

    def recordings(self) -> set[Path]:
        """The sessions in which no check provoked a fault: a wrong password, a file that is not there."""
        return {*self.server.recordings(), *self.client.recordings()} - self.client.provoked

    def server_ends(self) -> None:
        if not self.server.running():
            raise Failure("the server has ended on its own", self.server.said())
        said = self.server.said()
        status = self.server.stop()
        if status is None:
            raise Failure("SIGTERM did not end it", said)

    def _get(self, path: str, data: bytes) -> None:
        local = self.home / f"{len(list(self.home.iterdir()))}.down"
        expect(local, data, self.client.get(path, local))

    def _put(self, path: str, data: bytes) -> None:
        local = write(self.home / f"{Path(path).name}.up", data)
        expect(self.site / Path(path).name, data, self.client.put(local, path))

    def _unless_it_cannot(self, operation: str, action: Callable[[], object]) -> Callable[[], object]:
        base = operation.split(",")[0].replace("put over a file", "put")
        if base not in self.client.cannot:
            return action

        def skip() -> None:
            raise Skip(self.client.cannot[base])

        return skip
