"""curl: one connection a command, a CWD for each part of the path, and commands before a transfer with -Q."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Callable

from ..content import PAYLOAD, expect, folder, write
from .base import Client, Mode, protected


def _version() -> tuple[int, int]:
    curl = shutil.which("curl")
    said = subprocess.run([curl, "--version"], capture_output=True, text=True, check=True).stdout if curl else ""
    found = re.match(r"curl (\d+)\.(\d+)", said)
    # Where it is still to be installed it will be Debian's.
    return (int(found[1]), int(found[2])) if found else (7, 88)


# curl 7.87 to 8.0 (Debian 12 has 7.88) never begin TLS on a connection that they have accepted (curl's issue 10666).
ACTIVE_TLS = tuple(
    Mode(verb, tls="require", version=version)
    for verb in ("EPRT", "PORT")
    for version in ("1.2", "1.3")
    if not (7, 87) <= _version() < (8, 1)
)


class Curl(Client):
    name = "curl"
    modes = (
        Mode("EPSV"),
        Mode("PASV"),
        Mode("EPRT"),
        Mode("PORT"),
        Mode("EPSV", 6),
        Mode("EPRT", 6),
        *protected("EPSV"),
        *ACTIVE_TLS,
    )
    # curl 7.88 looks for the reply to EPSV right behind it. Where the server was that fast (in 5 to 80 of 100 cases over
    # loopback) it goes to sleep with nothing to look at, for a second, before it connects: poll on its own pipe, with a
    # time-out of 1000. That is so with every server, in clear too, and 8.23 needs 0.4 s for the 200 files. So a second for
    # each file, and the rest for what they take.
    many_seconds = 240

    def many_puts(self, up: Path, path: str) -> str:
        return self._curl("-T", f"{{{','.join(str(file) for file in sorted(up.iterdir()))}}}", self.url(f"{path}/"))

    def many_gets(self, path: str, down: Path) -> str:
        return self._curl("--output-dir", str(down), "-o", "#1.bin", self.url(path) + "/[0-199].bin")

    def more(self, site: Path) -> dict[str, Callable[[], object]]:
        """Data connections over which nothing goes: each used to cost a client that keeps one ticket of TLS 1.3 its next file."""
        if self.mode.active:
            return {}
        return {
            "missing files between others": lambda: self._between(site, "missing"),
            # Without a word of its size first: it is RETR that is refused.
            "refused files between others": lambda: self._between(site, "refused", "--ignore-content-length"),
            "complete files between others": lambda: self._complete(site),
        }

    def _between(self, site: Path, name: str, *options: str) -> None:
        """Every other file is not there."""
        there, down = folder(site / name), folder(self.home / name)
        for n in range(0, 7, 2):
            write(there / f"{n}.bin", PAYLOAD)
        # The status is that of the last file, which is there.
        files = self.url(f"/site/{name}/") + "[0-6].bin"
        said = self._curl(*options, "-o", f"{down}/#1.bin", files, provokes=True)
        for n in range(0, 7, 2):
            expect(down / f"{n}.bin", PAYLOAD, said)

    def _complete(self, site: Path) -> None:
        """Every other file is here already, and is to be gone on with."""
        there, down = folder(site / "complete"), folder(self.home / "complete")
        for n in range(7):
            write(there / f"{n}.bin", PAYLOAD)
            if n % 2:
                write(down / f"{n}.bin", PAYLOAD)
        said = self._curl("-C", "-", "-o", f"{down}/#1.bin", self.url("/site/complete/") + "[0-6].bin")
        for n in range(7):
            expect(down / f"{n}.bin", PAYLOAD, said)

    def list(self, folder: str) -> str:
        return self._curl(self.url(f"{folder}/"))

    def get(self, path: str, local: Path) -> str:
        return self._curl("-o", str(local), self.url(path))

    def put(self, local: Path, path: str) -> str:
        return self._curl("-T", str(local), self.url(path))

    def resume_get(self, path: str, local: Path) -> str:
        return self._curl("-C", "-", "-o", str(local), self.url(path))

    def resume_put(self, local: Path, path: str) -> str:
        return self._curl("-C", "-", "-T", str(local), self.url(path))

    def rename(self, old: str, new: str) -> str:
        return self._quote(f"RNFR {old}", f"RNTO {new}")

    def mkdir(self, path: str) -> str:
        return self._quote(f"MKD {path}")

    def rmdir(self, path: str) -> str:
        return self._quote(f"RMD {path}")

    def delete(self, path: str) -> str:
        return self._quote(f"DELE {path}")

    def _quote(self, *commands: str) -> str:
        quotes = [argument for command in commands for argument in ("-Q", command)]
        return self._curl("--head", *quotes, self.url("/"))

    def _curl(self, *arguments: str, provokes: bool = False) -> str:
        how = {
            "EPSV": [],
            "PASV": ["--disable-epsv"],
            "EPRT": ["--ftp-port", "-"],
            "PORT": ["--ftp-port", "-", "--disable-eprt"],
        }[self.mode.verb]
        tls = {
            "": [],
            "1.2": ["-k", "--ssl-reqd", "--tlsv1.2", "--tls-max", "1.2"],
            "1.3": ["-k", "--ssl-reqd", "--tlsv1.3"],
        }[self.mode.version]
        login = f"{self.server.user}:{self.server.password}"
        command = ["curl", "-q", "-sS", "-v", "--max-time", "20", "--user", login, *how, *tls, *arguments]
        return self.run(*command, provokes=provokes)
