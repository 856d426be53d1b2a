"""curl: one connection a command, a CWD for each part of the path, and commands before a transfer with -Q."""

from __future__ import annotations

from pathlib import Path

from .base import Client, Mode


class Curl(Client):
    name = "curl"
    modes = (
        Mode("EPSV"),
        Mode("PASV"),
        Mode("EPRT"),
        Mode("PORT"),
        Mode("EPSV", 6),
        Mode("EPRT", 6),
    )

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

    def _curl(self, *arguments: str) -> str:
        how = {
            "EPSV": [],
            "PASV": ["--disable-epsv"],
            "EPRT": ["--ftp-port", "-"],
            "PORT": ["--ftp-port", "-", "--disable-eprt"],
        }[self.mode.verb]
        login = f"{self.server.user}:{self.server.password}"
        return self.run("curl", "-q", "-sS", "-v", "--max-time", "20", "--user", login, *how, *arguments)
