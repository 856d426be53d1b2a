"""wget: it only fetches."""

from __future__ import annotations

from pathlib import Path

from .base import Client, Mode, protected

_FETCHES = "wget only fetches"


class Wget(Client):
    name = "wget"
    modes = (Mode("PASV"), Mode("PORT"), Mode("EPSV", 6), Mode("EPRT", 6), *protected("PASV"))
    cannot = {operation: _FETCHES for operation in ("put", "resume put", "rename", "mkdir", "rmdir", "delete")}

    def list(self, folder: str) -> str:
        self._wget("--no-remove-listing", "-O", "index.html", self.url(f"{folder}/"))
        return (self.home / ".listing").read_text(encoding="utf-8")

    def get(self, path: str, local: Path) -> str:
        return self._wget("-O", str(local), self.url(path))

    def resume_get(self, path: str, local: Path) -> str:
        return self._wget("-c", "-O", str(local), self.url(path))

    def _wget(self, *arguments: str) -> str:
        way = ["--no-passive-ftp"] if self.mode.active else []
        login = [f"--ftp-user={self.server.user}", f"--ftp-password={self.server.password}"]
        tls = []
        if self.mode.tls:
            version = "TLSv1_2" if self.mode.version == "1.2" else "TLSv1_3"
            tls = ["--no-check-certificate", f"--secure-protocol={version}"]
            if self.mode.tls == "implicit":
                tls.append("--ftps-implicit")
        usual = ["wget", "--no-config", "-nv", "-d", "-t", "1", "-T", "15", "--no-glob"]
        return self.run(*usual, *way, *tls, *login, *arguments)

    def url(self, path: str, login: bool = False) -> str:
        url = super().url(path, login)
        return url if not self.mode.tls else "ftps" + url[url.index(":") :]
