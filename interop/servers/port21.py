"""port21 itself."""

from __future__ import annotations

import re
from pathlib import Path

from ..binary import port21
from ..report import Skip
from .base import Server


class Port21(Server):
    name = "port21"
    tells_digests = True
    tls_kinds = ("require", "implicit")
    # Further flags of `serve`.
    extra: tuple[str, ...] = ()

    def command(self) -> list[str]:
        if not self.epsv:
            raise Skip("port21 cannot be told to refuse EPSV")
        first, last = self.ports.passive
        command = [
            *(port21(), "serve", str(self.root)),
            *("--listen", f"{self.url_host}:{self.port}"),
            *("--user", f"{self.user}:{self.password}"),
            "--write",
            *("--passive-ports", f"{first}-{last}"),
            *(("--tls", self.tls, "--cert", str(self.certificate), "--key", str(self.key)) if self.tls else ()),
            *(("--commit", "atomic") if self.tls else ()),
            *self.extra,
        ]
        return [*command, "--quiet"] if self.quiet else [*command, "--record", str(self.scratch / "sessions")]

    def environment(self) -> dict[str, str]:
        return {**super().environment(), "STATE_DIRECTORY": str(self.scratch / "state")}

    def sessions(self) -> int:
        """How many there were so far."""
        return len(self.recordings())

    def recordings(self) -> list[Path]:
        return list((self.scratch / "sessions").glob("*.jsonl"))

    def verbs(self) -> set[str] | None:
        recordings = (path.read_text(encoding="utf-8") for path in self.recordings())
        return {verb for recording in recordings for verb in re.findall(r'"verb":"([A-Z]+)"', recording)}
