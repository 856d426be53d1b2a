"""A disk that is full, and one that cannot be written to: what the client is told, what is in the log, and that the files that are
there stay as they are. The disks are file systems in memory, in a mount namespace of the server's own, where that is permitted."""

from __future__ import annotations

import os

from .findings import expect_each
from .processes import run
from .report import Failure, Scenario, Skip
from .servers import Port21
from .wire import Control

_NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount")
_ROOM = 128 * 1024
_LARGE = os.urandom(3 * _ROOM)
_MOUNT = f"""
mkdir "$0/full" "$0/fixed" &&
mount -t tmpfs -o size={_ROOM} none "$0/full" && mount -t tmpfs -o size={_ROOM} none "$0/fixed" &&
echo old > "$0/full/old" && echo old > "$0/fixed/old" && mount -o remount,ro "$0/fixed" && exec "$@"
"""


def scenarios() -> list[Scenario]:
    return [Scenario("disk", "", _play)]


class _OnSmallDisks(Port21):
    """port21 with two further file systems below its root, that nobody else sees."""

    def command(self) -> list[str]:
        return [*_NAMESPACE, "sh", "-c", _MOUNT, str(self.site), *super().command()]


def _play(scenario: Scenario) -> None:
    tried = run([*_NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"])
    if tried.returncode != 0:
        raise Skip(f"nothing can be mounted here: {tried.stdout.strip()}")
    with _OnSmallDisks() as server:

        def logged(*words: str) -> None:
            server.wait_until_said("WARN", *words)

        def full() -> None:
            with _login(server) as control:
                for name in ("new", "old"):
                    _store(control, f"/site/full/{name}", "452")
                    logged(f"/site/full/{name}", "No space left on device")
                _is_old(control, "/site/full/old")
                _is_not_there(control, "/site/full/new")
                control.command("DELE /site/full/old", "250")

        def fixed() -> None:
            with _login(server) as control:
                for name in ("new", "old"):
                    with control.passive():
                        control.command(f"STOR /site/fixed/{name}", "550")
                    logged(f"/site/fixed/{name}", "Read-only file system")
                _is_old(control, "/site/fixed/old")
                control.command("DELE /site/fixed/old", "550")

        scenario.check("one that is full", full)
        scenario.check("one that cannot be written to", fixed)
        server.stop()
        scenario.check("nothing else is found wrong", lambda: expect_each(server.recordings(), {"transfer-failed"}))


def _login(server: Port21) -> Control:
    control = Control(server.host, server.port).login(server.user, server.password)
    control.command("TYPE I", "200")
    return control


def _store(control: Control, path: str, code: str) -> None:
    with control.passive() as data:
        control.command(f"STOR {path}", "150")
        try:
            data.sendall(_LARGE)
        except OSError:
            pass  # it was told that no more is wanted
    control.expect(code, "STOR")


def _is_old(control: Control, path: str) -> None:
    with control.passive() as data:
        control.command(f"RETR {path}", "150")
        there = b"".join(iter(lambda: data.recv(4096), b""))
    control.expect("226", "RETR")
    if there != b"old\n":
        raise Failure("the file is not what it was", repr(there[:80]))


def _is_not_there(control: Control, path: str) -> None:
    with control.passive():
        control.command(f"RETR {path}", "550")
