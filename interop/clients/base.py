"""What every client driver has in common."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence
from urllib.parse import quote

from ..processes import run
from ..report import Failure
from ..servers import Server


@dataclass(frozen=True)
class Mode:
    """How data connections are made: the command that the client has to send for it, and over which family."""

    verb: str
    family: int = 4
    variant: str = ""

    def __str__(self) -> str:
        return f"{self.verb}/IPv{self.family}{' ' + self.variant if self.variant else ''}"

    @property
    def active(self) -> bool:
        return self.verb in ("PORT", "EPRT")

    @property
    def host(self) -> str:
        return "::1" if self.family == 6 else "127.0.0.1"


class Client:
    """One client program, told to use one mode with one server.

    Every method returns what the client said. None judges: that is done by what is on disk afterwards. Paths on the
    server are absolute; `local` is a file of this machine.
    """

    name = ""
    modes: tuple[Mode, ...] = ()
    # Operations that this client truly does not have, with the reason that the table gives.
    cannot: dict[str, str] = {}
    # Whether PASV is used only where the server refuses EPSV.
    falls_back_to_pasv = False

    def __init__(self, server: Server, mode: Mode, home: Path):
        self.server, self.mode, self.home = server, mode, home

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

    def verbs(self) -> set[str] | None:
        """The FTP commands that it sent so far, by its own log; None when it keeps none."""
        return None

    def run(self, *command: str, stdin: str = "", statuses: Sequence[int] = (0,)) -> str:
        """Run the client in a home directory of its own. An exit status other than `statuses` is a failure as well."""
        env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self.home),
            "LC_ALL": "C.UTF-8",
            "TERM": "dumb",
        }
        ended = run(command, stdin=stdin, cwd=self.home, env=env)
        if ended.returncode not in statuses:
            raise Failure(f"exit status {ended.returncode}", ended.stdout)
        return ended.stdout

    def url(self, path: str, login: bool = False) -> str:
        """The URL of a path of the server; `//` after the host would be the root by RFC 1738, and `/` is home: the same here."""
        who = f"{quote(self.server.user)}:{quote(self.server.password)}@" if login else ""
        return f"ftp://{who}{self.server.url_host}:{self.server.port}{quote(path)}"
