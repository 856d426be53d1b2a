"""What every server under test has in common."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from ..content import folder
from ..processes import Daemon, Ports, run
from ..report import Failure


class Server:
    """One server process with an empty site that its one user may write to.

    The user sees the folder `site` of this machine as `/site`. With `epsv=False` the server refuses EPSV, so that a
    client has to fall back to PASV. A `quiet` one logs nothing, for measurements.
    """

    name = ""
    user = "ftp"
    password = "secret-21"
    # The same for crypt(3). DES, the cheapest there is: it is servers that are compared here, not hashes.
    password_hash = "p22BGFxWjDH0Y"

    # The kinds of TLS that it can be started with: "require" (AUTH TLS) and "implicit".
    tls_kinds: tuple[str, ...] = ()

    # The commands for data connections that it does not have.
    lacks: tuple[str, ...] = ()
    # Rules that rightly find something in sessions with it, and why.
    found: dict[str, str] = {}
    # It has HASH, or one of the commands like it.
    tells_digests = False

    def __init__(self, host: str = "127.0.0.1", epsv: bool = True, quiet: bool = False, tls: str = ""):
        self.host, self.epsv, self.quiet, self.tls = host, epsv, quiet, tls
        self.ports = Ports()
        self.port = self.ports.control
        self.scratch = Path(tempfile.mkdtemp(prefix=f"port21-interop-{self.name}-"))
        self.scratch.chmod(0o755)
        self.root = self.scratch / "root"
        self.root.mkdir(mode=0o755)
        self.site = folder(self.root / "site")
        self._daemon: Daemon | None = None
        # Where TLS is spoken: a certificate that has signed itself, as most of them, and its key.
        self.certificate, self.key = self.scratch / "certificate.pem", self.scratch / "key.pem"
        if tls:
            self._make_certificate()

    def _make_certificate(self) -> None:
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1"
        made = run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
                *("-days", "30", "-subj", "/CN=localhost", "-addext", names),
                *("-keyout", str(self.key), "-out", str(self.certificate)),
            ]
        )
        if made.returncode != 0:
            raise Failure("openssl made no certificate", made.stdout)

    def __enter__(self) -> Server:
        try:
            self._daemon = Daemon(self.command(), self.scratch / "server.log", self.environment(), self.scratch)
            self._daemon.wait_until_ready(self.host, self.port, greets=self.tls != "implicit")
        except BaseException:
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def stop(self) -> int | None:
        """End the process: its exit status, or None when it had to be killed."""
        daemon, self._daemon = self._daemon, None
        return daemon.stop() if daemon else 0

    @property
    def pid(self) -> int:
        if self._daemon is None:
            raise RuntimeError("the server is not running")
        return self._daemon.pid

    def running(self) -> bool:
        return self._daemon is not None and self._daemon.running()

    def said(self) -> str:
        return self._daemon.said() if self._daemon else ""

    def wait_until_said(self, *words: str) -> None:
        """As `Daemon.wait_until_said`."""
        if self._daemon is None:
            raise Failure("the server does not run")
        self._daemon.wait_until_said(*words)

    @property
    def url_host(self) -> str:
        """The host as a URL has it: an IPv6 address in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    def command(self) -> list[str]:
        """Write what configuration it needs into `scratch` and give the command that runs it in the foreground."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        return {**os.environ, "LC_ALL": "C.UTF-8"}

    def sessions(self) -> int | None:
        """How many there were so far; None when it does not tell."""
        return None

    def recordings(self) -> list[Path]:
        """The sessions that it has recorded."""
        return []

    def verbs(self) -> set[str] | None:
        """The FTP commands that it was sent so far, by its own log; None when it keeps none."""
        return None
