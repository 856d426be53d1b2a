"""tnftp: the `ftp` of NetBSD, and of Debian where nothing else is chosen."""

from __future__ import annotations

from .base import Mode
from .console import Console


class Tnftp(Console):
    name = "tnftp"
    modes = (
        Mode("EPSV"),
        Mode("PASV"),
        Mode("EPRT"),
        Mode("PORT"),
        Mode("EPSV", 6),
        Mode("EPRT", 6),
    )

    def command(self) -> list[str]:
        way = "-A" if self.mode.active else "-p"
        return ["tnftp", "-n", "-v", "-i", "-g", way, self.server.host, str(self.server.port)]

    def settings(self) -> list[str]:
        return ["epsv4"] if self.mode.verb in ("PASV", "PORT") else []
