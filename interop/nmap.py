"""What nmap's scripts find at a site in default settings: nothing to mend.

Guests are let in and can write nothing, nothing bounces, strangers are not told which software this is, and all ciphers are
graded A. The scripts that look for known holes of other servers find none.
"""

from __future__ import annotations

import os
import re
import shutil
from typing import Callable

from .binary import port21
from .content import write
from .processes import run
from .report import Failure, Scenario, Skip
from .servers import Port21

_FTP = ("ftp-anon", "ftp-bounce", "ftp-syst")
# Of ports for FTP, not for implicit TLS.
_HOLES = ("ftp-libopie", "ftp-vsftpd-backdoor", "ftp-proftpd-backdoor", "ftp-vuln-cve2010-4221")
_TLS = (
    *("ssl-enum-ciphers", "ssl-ccs-injection", "ssl-dh-params", "ssl-heartbleed", "ssl-poodle"),
    *("sslv2", "sslv2-drown"),
)
# An address that is nobody's (RFC 5737): where a server that bounces would be sent.
_NOBODY = "192.0.2.1"


def scenarios() -> list[Scenario]:
    return [Scenario("nmap", name, _play(tls, service)) for name, tls, service in _SITES]


# How each is called, what `serve --tls` says, and what nmap is to take the port for.
_SITES = [
    ("clear", "", "ftp"),
    ("TLS offered", "offer", "ftp"),
    ("TLS required", "require", "ftp"),
    ("TLS implicit", "implicit", "ftps"),
]


def _play(tls: str, service: str) -> Callable[[Scenario], None]:
    def play(scenario: Scenario) -> None:
        if not shutil.which("nmap"):
            raise Skip("nmap is not on this machine")
        with Guests(tls=tls) as server:
            # nmap goes by the permission bits of listings, and these are the disk's.
            write(server.root / "readme.txt", b"hello\n").chmod(0o644)
            server.site.chmod(0o755)
            holes = _HOLES if service == "ftp" else ()
            # nmap asks for no protected data: where that is required it would wait for its listing in vain.
            listing = tls in ("", "offer")
            said = _nmap(server, service, _FTP + holes, *(() if listing else ("ftp-anon.maxlist=0",)))
            scenario.check("guests", lambda: _guests(said, listing))
            scenario.check("nothing bounces", lambda: _silent(said, "ftp-bounce"))
            scenario.check("SYST and STAT tell nothing", lambda: _tells_nothing(said, server))
            if holes:
                scenario.check("no known hole", lambda: _silent(said, *holes))
            if tls:
                ciphers = _nmap(server, service, _TLS)
                scenario.check("ciphers", lambda: _ciphers(ciphers))
                scenario.check("no known hole of TLS", lambda: _no_hole_of_tls(ciphers))
            scenario.check("server is well", lambda: _is_well(server))

    return play


class Guests(Port21):
    """A directory for guests, with nothing else said."""

    def command(self) -> list[str]:
        tls = ("--tls", self.tls) if self.tls else ()
        return [port21(), "serve", str(self.root), "--listen", f"{self.url_host}:{self.port}", *tls]


def _nmap(server: Guests, service: str, scripts: tuple[str, ...], *arguments: str) -> str:
    """What these scripts say of a port, which nmap is told to take for this service."""
    (server.scratch / "nmap-services").write_text(f"{service} {server.port}/tcp 0.5\n")
    command = ["nmap", "-n", "-Pn", "-sT", "--datadir", str(server.scratch), "-p", str(server.port), "-d1"]
    told = ",".join((f"ftp-bounce.checkhost={_NOBODY}", *arguments))
    command += ["--script", ",".join(scripts), "--script-args", told, server.host]
    ended = run(command, seconds=120, env={**os.environ, "LC_ALL": "C"})
    if ended.returncode != 0 or not re.search(rf"^{server.port}/tcp open", ended.stdout, re.MULTILINE):
        raise Failure(f"nmap ended with {ended.returncode}", ended.stdout)
    return ended.stdout


def _guests(said: str, listing: bool) -> None:
    """nmap gets in as a guest, sees the file where it can, and nothing that it could write to."""
    found = _script(said, "ftp-anon")
    if "Anonymous FTP login allowed" not in found or ("readme.txt" in found) != listing:
        raise Failure("nmap has not logged in as a guest, or not seen what guests see", said)
    if "writeable" in found:
        raise Failure("nmap found something that guests may write", found)


def _silent(said: str, *scripts: str) -> None:
    for script in scripts:
        if found := _script(said, script):
            raise Failure(f"{script} found something", found)
        if f"NSE: Starting {script} against" not in said:
            raise Failure(f"{script} was not run", said)


def _tells_nothing(said: str, server: Guests) -> None:
    if "NSE: Finished ftp-syst against" not in said:
        raise Failure("ftp-syst was not run", said)
    found = _script(said, "ftp-syst")
    for secret in ("port21", str(server.root), server.scratch.name):
        if secret in found:
            raise Failure(f"strangers are told {secret}", found)
    if re.search(r"\d+\.\d+\.\d+(?!\.)", found):
        raise Failure("strangers are told a version", found)


def _ciphers(said: str) -> None:
    found = _script(said, "ssl-enum-ciphers")
    if set(re.findall(r"(?:TLS|SSL)v[\d.]+(?=:)", found)) != {"TLSv1.2", "TLSv1.3"}:
        raise Failure("TLS 1.2 and 1.3, and no other, were to be found", said)
    if "least strength: A" not in found or "warnings" in found:
        raise Failure("nmap does not grade all ciphers A", found)


def _no_hole_of_tls(said: str) -> None:
    _silent(said, *(script for script in _TLS if script != "ssl-enum-ciphers"))


def _is_well(server: Guests) -> None:
    if not server.running() or "panicked" in server.said():
        raise Failure("the server has ended, or a part of it", server.said())


def _script(said: str, name: str) -> str:
    """What one script has found; empty where it says nothing."""
    # To where the next script's lines begin.
    found = re.search(rf"^\|[ _]{re.escape(name)}:.*(?:\n\|[ _](?![a-z][a-z0-9-]*:).*)*", said, re.MULTILINE)
    return found[0] if found else ""
