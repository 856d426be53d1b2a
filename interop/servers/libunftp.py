"""libunftp, a library: `libunftp.rs` makes a server of it, built as an example of port21-client, whose tests use it too."""

from __future__ import annotations

import os

from ..binary import libunftp
from ..report import Skip
from .base import Server


class Libunftp(Server):
    name = "libunftp"
    tls_kinds = ("require",)
    lacks = ("EPRT",)

    def command(self) -> list[str]:
        if not self.epsv:
            raise Skip("libunftp cannot be told to refuse EPSV")
        first, last = self.ports.passive
        pair = [str(self.certificate), str(self.key)] if self.tls else []
        return [libunftp(), self.url_host, str(self.port), str(first), str(last), str(self.root), self.user, *pair]

    def environment(self) -> dict[str, str]:
        return {**os.environ, "LC_ALL": "C.UTF-8", "PASSWORD": self.password}
