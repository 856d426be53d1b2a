"""inetutils-ftp: GNU's descendant of the BSD `ftp`."""

from __future__ import annotations

from .base import Mode
from .console import Console


class Inetutils(Console):
    name = "inetutils-ftp"
    modes = (
        Mode("PASV"),
        Mode("PORT"),
        Mode("EPSV"),
        Mode("EPRT"),
        Mode("EPSV", 6),
        Mode("EPRT", 6),
    )

    def command(self) -> list[str]:
        way = "-A" if self.mode.active else "-p"
        return ["inetutils-ftp", "-n", "-v", "-i", "-g", way, self.server.host, str(self.server.port)]

    def settings(self) -> list[str]:
        return ["epsv4"] if self.mode.family == 4 and self.mode.verb in ("EPSV", "EPRT") else []
