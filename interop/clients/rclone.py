"""rclone: it keeps a pool of connections, and asks for sizes, times and listings (MLSD) around every operation."""

from __future__ import annotations

from pathlib import Path

from .base import Client, Mode, protected

_RESUME = "rclone begins a transfer again"


class Rclone(Client):
    name = "rclone"
    modes = (Mode("EPSV"), Mode("PASV"), Mode("EPSV", 6), *protected("EPSV"))
    # It makes a pool of connections.
    one_connection = False

    def many_puts(self, up: Path, path: str) -> str:
        return self._rclone("copy", "--transfers", "1", "--checkers", "1", str(up), self._remote(path))

    def many_gets(self, path: str, down: Path) -> str:
        return self._rclone("copy", "--transfers", "1", "--checkers", "1", self._remote(path), str(down))

    cannot = {"resume get": _RESUME, "resume put": _RESUME}

    def list(self, folder: str) -> str:
        return self._rclone("lsl", self._remote(folder)) + self._rclone("lsf", self._remote(folder))

    def get(self, path: str, local: Path) -> str:
        return self._rclone("copyto", self._remote(path), str(local))

    def put(self, local: Path, path: str) -> str:
        return self._rclone("copyto", str(local), self._remote(path))

    def rename(self, old: str, new: str) -> str:
        return self._rclone("moveto", self._remote(old), self._remote(new))

    def mkdir(self, path: str) -> str:
        return self._rclone("mkdir", self._remote(path))

    def rmdir(self, path: str) -> str:
        return self._rclone("rmdir", self._remote(path))

    def delete(self, path: str) -> str:
        return self._rclone("deletefile", self._remote(path))

    def _remote(self, path: str) -> str:
        return f"server:{path}"

    def _rclone(self, *arguments: str) -> str:
        config = self.home / "rclone.conf"
        if not config.exists():
            hidden = self.run("rclone", "obscure", self.server.password).strip()
            settings = {
                "type": "ftp",
                "host": self.server.url_host if self.mode.family == 6 else self.server.host,
                "port": self.server.port,
                "user": self.server.user,
                "pass": hidden,
                "disable_epsv": str(self.mode.verb == "PASV").lower(),
                "explicit_tls": str(self.mode.tls == "require").lower(),
                "tls": str(self.mode.tls == "implicit").lower(),
                "no_check_certificate": "true",
                "disable_tls13": str(self.mode.version == "1.2").lower(),
            }
            config.write_text("[server]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items()))
        limits = ["--retries", "1", "--low-level-retries", "1", "--contimeout", "10s", "--timeout", "15s"]
        return self.run("rclone", "--config", str(config), *limits, *arguments)
