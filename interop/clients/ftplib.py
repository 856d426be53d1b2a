"""Python's ftplib, in this process."""

from __future__ import annotations

import ftplib
import io
from pathlib import Path
from typing import Callable

from ..report import Failure
from .base import Client, Mode


class Ftplib(Client):
    name = "ftplib"
    modes = (Mode("PASV"), Mode("PORT"), Mode("EPSV", 6), Mode("EPRT", 6))

    def list(self, folder: str) -> str:
        lines: list[str] = []

        def both(ftp: ftplib.FTP) -> None:
            ftp.dir(folder, lines.append)
            lines.extend(ftp.nlst(folder))

        self._session(both)
        return "\n".join(lines)

    def get(self, path: str, local: Path) -> str:
        with local.open("wb") as out:
            return self._session(lambda ftp: ftp.retrbinary(f"RETR {path}", out.write))

    def put(self, local: Path, path: str) -> str:
        with local.open("rb") as source:
            return self._session(lambda ftp: ftp.storbinary(f"STOR {path}", source))

    def resume_get(self, path: str, local: Path) -> str:
        at = local.stat().st_size
        with local.open("ab") as out:
            return self._session(lambda ftp: ftp.retrbinary(f"RETR {path}", out.write, rest=at))

    def resume_put(self, local: Path, path: str) -> str:
        def tail(ftp: ftplib.FTP) -> str:
            at = ftp.size(path) or 0
            return ftp.storbinary(f"STOR {path}", io.BytesIO(local.read_bytes()[at:]), rest=at)

        return self._session(tail)

    def rename(self, old: str, new: str) -> str:
        return self._session(lambda ftp: ftp.rename(old, new))

    def mkdir(self, path: str) -> str:
        return self._session(lambda ftp: ftp.mkd(path))

    def rmdir(self, path: str) -> str:
        return self._session(lambda ftp: ftp.rmd(path))

    def delete(self, path: str) -> str:
        return self._session(lambda ftp: ftp.delete(path))

    def _session(self, action: Callable[[ftplib.FTP], object]) -> str:
        try:
            with ftplib.FTP(timeout=15, encoding="utf-8") as ftp:
                ftp.connect(self.server.host, self.server.port)
                ftp.login(self.server.user, self.server.password)
                ftp.voidcmd("TYPE I")
                ftp.set_pasv(not self.mode.active)
                return str(action(ftp))
        except ftplib.all_errors as error:
            raise Failure(f"ftplib: {type(error).__name__}: {error}") from None
