"""The servers: port21, five of Debian's and libunftp, each started on loopback with a configuration made for the occasion."""

from __future__ import annotations

from .base import Server
from .inetutils import Inetutils
from .libunftp import Libunftp
from .port21 import Port21
from .proftpd import Proftpd
from .pureftpd import PureFtpd
from .pyftpdlib import Pyftpdlib
from .vsftpd import Vsftpd

ALL: dict[str, type[Server]] = {server.name: server for server in (Port21, Vsftpd, Proftpd, PureFtpd, Pyftpdlib, Inetutils, Libunftp)}
THEIRS = [server for server in ALL.values() if server is not Port21]

__all__ = ["ALL", "THEIRS", "Inetutils", "Libunftp", "Port21", "Proftpd", "PureFtpd", "Pyftpdlib", "Server", "Vsftpd"]
