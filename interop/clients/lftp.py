"""lftp: also with its command pipeline on (`sync-mode off`), when it sends commands ahead of the replies."""

from __future__ import annotations

from pathlib import Path

from .base import Client, Mode, protected


class Lftp(Client):
    name = "lftp"
    modes = (
        Mode("PASV"),
        Mode("PASV", 4, "ahead"),
        Mode("EPSV"),
        Mode("PORT"),
        Mode("EPSV", 6),
        Mode("EPRT", 6),
        *protected("PASV"),
        Mode("PASV", 4, "ahead", tls="require", version="1.3"),
        Mode("PORT", tls="require", version="1.3"),
    )

    def many_puts(self, up: Path, path: str) -> str:
        return self._lftp(f"mput -O {_quoted(path)} {_quoted(str(up))}/*")

    def many_gets(self, path: str, down: Path) -> str:
        return self._lftp(f"mget -O {_quoted(str(down))} {_quoted(path)}/*")

    def list(self, folder: str) -> str:
        return self._lftp(f"cls -l {_quoted(folder)}", f"ls {_quoted(folder)}")

    def get(self, path: str, local: Path) -> str:
        return self._lftp(f"get {_quoted(path)} -o {_quoted(str(local))}")

    def put(self, local: Path, path: str) -> str:
        return self._lftp(f"put {_quoted(str(local))} -o {_quoted(path)}")

    def resume_get(self, path: str, local: Path) -> str:
        return self._lftp(f"get -c {_quoted(path)} -o {_quoted(str(local))}")

    def resume_put(self, local: Path, path: str) -> str:
        return self._lftp(f"put -c {_quoted(str(local))} -o {_quoted(path)}")

    def rename(self, old: str, new: str) -> str:
        return self._lftp(f"mv {_quoted(old)} {_quoted(new)}")

    def mkdir(self, path: str) -> str:
        return self._lftp(f"mkdir {_quoted(path)}")

    def rmdir(self, path: str) -> str:
        return self._lftp(f"rmdir {_quoted(path)}")

    def delete(self, path: str) -> str:
        return self._lftp(f"rm {_quoted(path)}")

    def _lftp(self, *commands: str) -> str:
        scheme = "ftps://" if self.mode.tls == "implicit" else ""
        yes_no = {True: "yes", False: "no"}
        script = [
            "debug 4",
            "set cmd:fail-exit yes",
            "set cmd:interactive no",
            "set net:timeout 10",
            "set net:max-retries 1",
            *self._tls(),
            "set xfer:clobber yes",
            f"set ftp:passive-mode {yes_no[not self.mode.active]}",
            f"set ftp:prefer-epsv {yes_no[self.mode.verb == 'EPSV']}",
            f"set ftp:sync-mode {yes_no[self.mode.variant != 'ahead']}",
            f"open -p {self.server.port} -u {self.server.user},{self.server.password} {scheme}{self.server.url_host}",
            *commands,
        ]
        return self.run("lftp", "--norc", "-c", "\n".join(script))

    def _tls(self) -> list[str]:
        if not self.mode.tls:
            return ["set ftp:ssl-allow no"]
        return [
            "set ssl:verify-certificate no",
            "set ftp:ssl-force yes",
            "set ftp:ssl-protect-data yes",
            f"set ssl:priority NORMAL:-VERS-ALL:+VERS-TLS{self.mode.version}",
        ]


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
