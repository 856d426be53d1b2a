"""What every client driver has in common."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence
from urllib.parse import quote

from ..content import expect, folder, write
from ..processes import STEP_SECONDS, run
from ..report import Failure
from ..servers import Server


@dataclass(frozen=True)
class Mode:
    """How data connections are made: the command that the client has to send for it, and over which family."""

    verb: str
    family: int = 4
    variant: str = ""
    # "require" (AUTH TLS) or "implicit", and the one version that the client may speak.
    tls: str = ""
    version: str = ""

    def __str__(self) -> str:
        protected = f" {self.tls.replace('require', 'explicit')} {self.version}" if self.tls else ""
        return f"{self.verb}/IPv{self.family}{' ' + self.variant if self.variant else ''}{protected}"

    @property
    def active(self) -> bool:
        return self.verb in ("PORT", "EPRT")

    @property
    def host(self) -> str:
        return "::1" if self.family == 6 else "127.0.0.1"


def protected(verb: str, explicit: bool = True) -> tuple[Mode, ...]:
    """The same over TLS: explicit and implicit, both versions."""
    kinds = ("require", "implicit") if explicit else ("implicit",)
    return tuple(Mode(verb, tls=kind, version=version) for kind in kinds for version in ("1.2", "1.3"))


class Client:
    """One client program, told to use one mode with one server.

    Every method returns what the client said. None judges: that is done by what is on disk afterwards. Paths on the
    server are absolute; `local` is a file of this machine.
    """

    name = ""
    modes: tuple[Mode, ...] = ()
    # Operations that this client truly does not have, with the reason that the table gives.
    cannot: dict[str, str] = {}
    # For 200 files at once. Clients need 0.1 to 2 s of processor for them, with TLS as well, and wait for little: 9 s at the most
    # in a quiet moment of a machine with two cores, and 14 s in a busy one.
    many_seconds: float = 60

    # Rules that rightly find something in its sessions, and why.
    found: dict[str, str] = {}

    # Whether PASV is used only where the server refuses EPSV.
    falls_back_to_pasv = False

    # Whether an upload goes on only with what the server's digest, where it tells one, shows to be the local file's beginning.
    compares_digests = False

    def __init__(self, server: Server, mode: Mode, home: Path):
        self.server, self.mode, self.home = server, mode, home
        self.patience: float = STEP_SECONDS
        # Recordings of sessions in which a check provoked a fault.
        self.provoked: set[Path] = set()

    def list(self, folder: str) -> str:
        raise NotImplementedError

    def get(self, path: str, local: Path) -> str:
        raise NotImplementedError

    def put(self, local: Path, path: str) -> str:
        raise NotImplementedError

    def resume_get(self, path: str, local: Path) -> str:
        raise NotImplementedError

    def resume_put(self, local: Path, path: str) -> str:
        raise NotImplementedError

    def rename(self, old: str, new: str) -> str:
        raise NotImplementedError

    def mkdir(self, path: str) -> str:
        raise NotImplementedError

    def rmdir(self, path: str) -> str:
        raise NotImplementedError

    def delete(self, path: str) -> str:
        raise NotImplementedError

    def more(self, site: Path) -> dict[str, Callable[[], object]]:
        """Further checks that only this client has: their names, and what fails where they do not hold."""
        return {}

    def many(self, site: Path) -> None:
        """200 puts and 200 gets over one control connection, where the client can do that."""
        up, down, there = folder(self.home / "many-up"), folder(self.home / "many-down"), folder(site / "many")
        files = {f"{n}.bin": f"{n} ".encode() * 100 for n in range(200)}
        for name, data in files.items():
            write(up / name, data)
        self.patience = self.many_seconds
        before = self.server.sessions()
        said = self.many_puts(up, "/site/many")
        for name, data in files.items():
            expect(there / name, data, said)
        between = self.server.sessions()
        said = self.many_gets("/site/many", down)
        for name, data in files.items():
            expect(down / name, data, said)
        after = self.server.sessions()
        if before is None or between is None or after is None:
            return
        if self.one_connection and (between - before, after - between) != (1, 1):
            raise Failure(f"not one control connection each: {before}, {between}, {after}", said)

    # Whether the client keeps to one connection: else how many there were tells nothing.
    one_connection = True

    @classmethod
    def can_many(cls) -> bool:
        return cls.many_puts is not Client.many_puts

    def many_puts(self, up: Path, path: str) -> str:
        raise NotImplementedError

    def many_gets(self, path: str, down: Path) -> str:
        raise NotImplementedError

    def recordings(self) -> list[Path]:
        """The sessions that it has recorded."""
        return []

    def verbs(self) -> set[str] | None:
        """The FTP commands that it sent so far, by its own log; None when it keeps none."""
        return None

    def run(self, *command: str, stdin: str = "", statuses: Sequence[int] = (0,), provokes: bool = False) -> str:
        """Run the client in a home directory of its own. An exit status other than `statuses` is a failure as well.

        It `provokes` a fault where the server is to refuse something: then its sessions are not to be without one.
        """
        env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
        }
        before = {*self.server.recordings(), *self.recordings()}
        ended = run(command, stdin=stdin, cwd=self.home, env=env, seconds=self.patience)
        if provokes or 0 not in statuses:
            self.provoked |= {*self.server.recordings(), *self.recordings()} - before
        if ended.returncode not in statuses:
            raise Failure(f"exit status {ended.returncode}", ended.stdout)
        return ended.stdout

    def url(self, path: str, login: bool = False) -> str:
        """The URL of a path of the server; `//` after the host would be the root by RFC 1738, and `/` is home: the same here."""
        who = f"{quote(self.server.user)}:{quote(self.server.password)}@" if login else ""
        scheme = "ftps" if self.mode.tls == "implicit" else "ftp"
        return f"{scheme}://{who}{self.server.url_host}:{self.server.port}{quote(path)}"
