"""What systemd makes of the units in `packaging/`, where it is installed (it need not run): that they parse, how exposed the service
is, and that a socket which systemd has opened is served."""

from __future__ import annotations

import shutil
from pathlib import Path

from .binary import port21
from .content import expect, folder, write
from .processes import run
from .report import Failure, Scenario, Skip
from .servers import Port21
from .wire import Control

_PACKAGING = Path(__file__).resolve().parents[1] / "packaging"
# In tenths, as systemd-analyze counts it: an FTP server needs the network, low ports, and other people's files.
_MOST_EXPOSED = 17


def scenarios() -> list[Scenario]:
    return [Scenario("systemd", "", _play)]


def _play(scenario: Scenario) -> None:
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd is not on this machine")
    with _Activated() as server:
        scenario.check("the units parse", lambda: _parse(folder(server.scratch / "units")))
        scenario.check("the service is confined", _confined)
        scenario.check("a socket of systemd's", lambda: _served(server))


def _parse(scratch: Path) -> None:
    for unit in ("port21.service", "port21.socket"):
        # The program is where this machine has it.
        write(scratch / unit, (_PACKAGING / unit).read_bytes().replace(b"/usr/bin/port21", port21().encode())).chmod(0o644)
    ended = run(["systemd-analyze", "verify", "--man=no", str(scratch / "port21.service"), str(scratch / "port21.socket")])
    # It warns of units that are not ours as well.
    wrong = [line for line in ended.stdout.splitlines() if str(scratch) in line or "port21" in line.split(":")[0]]
    if ended.returncode != 0 or wrong:
        raise Failure("systemd finds fault with the units", ended.stdout)


def _confined() -> None:
    unit = str(_PACKAGING / "port21.service")
    ended = run(["systemd-analyze", "security", "--no-pager", "--offline=yes", f"--threshold={_MOST_EXPOSED}", unit])
    if "unrecognized option" in ended.stdout:
        raise Skip("this systemd looks at no unit that is not installed")
    if ended.returncode != 0:
        raise Failure(f"the service is more exposed than {_MOST_EXPOSED / 10}", ended.stdout)


class _Activated(Port21):
    """port21 at a socket that somebody else has opened."""

    def command(self) -> list[str]:
        listen = ["systemd-socket-activate", "-l", f"{self.host}:{self.port}", "--fdname=ftp"]
        return [*listen, "-E", "STATE_DIRECTORY", *super().command()]


def _served(server: Port21) -> None:
    with Control(server.host, server.port).login(server.user, server.password) as control:
        control.command("TYPE I", "200")
        with control.passive() as data:
            control.command("STOR /site/file.bin", "150")
            data.sendall(b"by systemd's socket")
        control.expect("226", "STOR")
    expect(server.site / "file.bin", b"by systemd's socket", server.said())
