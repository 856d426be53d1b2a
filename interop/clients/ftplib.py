"""Python's ftplib, in this process."""

from __future__ import annotations

import ftplib
import io
import ssl
from pathlib import Path
from typing import Callable

from ..report import Failure
from .base import Client, Mode, protected


class Ftplib(Client):
    name = "ftplib"
    modes = (
        *(Mode("PASV"), Mode("PORT"), Mode("EPSV", 6), Mode("EPRT", 6)),
        *protected("PASV"),
        Mode("PORT", tls="require", version="1.3"),
    )

    def many_puts(self, up: Path, path: str) -> str:
        def all_of_them(ftp: ftplib.FTP) -> None:
            for file in sorted(up.iterdir()):
                with file.open("rb") as source:
                    ftp.storbinary(f"STOR {path}/{file.name}", source)

        return self._session(all_of_them)

    def many_gets(self, path: str, down: Path) -> str:
        def all_of_them(ftp: ftplib.FTP) -> None:
            for n in range(200):
                with (down / f"{n}.bin").open("wb") as out:
                    ftp.retrbinary(f"RETR {path}/{n}.bin", out.write)

        return self._session(all_of_them)

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

    def _client(self) -> ftplib.FTP:
        if not self.mode.tls:
            return ftplib.FTP(timeout=15, encoding="utf-8")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[self.mode.version]
        context.minimum_version = context.maximum_version = version
        kind = _Implicit if self.mode.tls == "implicit" else _Resuming
        return kind(context=context, timeout=15, encoding="utf-8")

    def _session(self, action: Callable[[ftplib.FTP], object]) -> str:
        try:
            with self._client() as ftp:
                ftp.connect(self.server.host, self.server.port)
                ftp.login(self.server.user, self.server.password)
                if isinstance(ftp, ftplib.FTP_TLS):
                    ftp.prot_p()
                ftp.voidcmd("TYPE I")
                ftp.set_pasv(not self.mode.active)
                return str(action(ftp))
        except ftplib.all_errors as error:
            raise Failure(f"ftplib: {type(error).__name__}: {error}") from None


class _Resuming(ftplib.FTP_TLS):
    """Data connections resume the control connection's session: ftplib itself leaves that to its users."""

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple:
        connection, size = ftplib.FTP.ntransfercmd(self, cmd, rest)
        if self._prot_p:
            connection = self.context.wrap_socket(
                connection, server_hostname=self.host, session=self.sock.session
            )
        return connection, size


class _Implicit(_Resuming):
    """TLS from the first byte on."""

    _socket = None

    @property
    def sock(self):  # noqa: ANN201
        return self._socket

    @sock.setter
    def sock(self, value) -> None:  # noqa: ANN001
        plain = value is not None and not isinstance(value, ssl.SSLSocket)
        self._socket = self.context.wrap_socket(value, server_hostname=self.host) if plain else value
