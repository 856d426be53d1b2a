"""An upload that is over a quota: every client is refused in words, keeps the old file, and goes on to what there is room for."""

from __future__ import annotations

from typing import Callable

from .binary import port21
from .clients import Client, Mode
from .clients.curl import Curl
from .clients.ftplib import Ftplib
from .clients.lftp import Lftp
from .content import expect, expect_gone, folder, write
from .findings import expect_each
from .processes import run
from .report import Failure, Scenario
from .servers import Port21

_ROOM = 100_000
_LARGE = bytes(range(256)) * 2000
_SMALL = b"small enough\n" * 100


def scenarios() -> list[Scenario]:
    tls = [Mode("EPSV", tls="require", version=version) for version in ("1.2", "1.3")]
    return [
        Scenario(f"over quota, {client.name}", str(mode), _play(client, mode))
        for client in (Curl, Lftp, Ftplib)
        for mode in (Mode("EPSV"), *tls)
    ]


class _Limited(Port21):
    """port21 with a quota for its user."""

    user = "limited"  # `ftp` is a guest

    def command(self) -> list[str]:
        config = self.scratch / "port21.toml"
        config.write_text(f'[site]\nroot = "{self.root}"\n')
        settings = ["--permissions", "all", "--quota", str(_ROOM), "--config", str(config)]
        environment = {**self.environment(), "PORT21_PASSWORD": self.password}
        added = run([port21(), "user", "add", self.user, *settings], env=environment)
        if added.returncode != 0:
            raise Failure("there is no account", added.stdout)
        command = super().command()
        # The account is that of the file, not one of the command line.
        at = command.index("--user")
        del command[at : at + 3]
        return [*command, "--config", str(config)]


def _play(client_class: type[Client], mode: Mode) -> Callable[[Scenario], None]:
    def play(scenario: Scenario) -> None:
        with _Limited(tls=mode.tls) as server:
            client = client_class(server, mode, folder(server.scratch / "home"))
            large, small = write(client.home / "large.bin", _LARGE), write(client.home / "small.bin", _SMALL)

            def refused(name: str) -> None:
                # Whatever comes of it is to come soon, and in the server's words.
                try:
                    said = client.put(large, f"/site/{name}")
                except Exception as error:  # a driver of a library raises the library's own
                    said = f"{error} {getattr(error, 'evidence', '')}"
                else:
                    raise Failure("it is taken for uploaded", said)
                if "552" not in said and "quota" not in said.lower():
                    raise Failure("it is not told why", said)

            def new() -> None:
                refused("new.bin")
                expect_gone(server.site / "new.bin", "")

            def over() -> None:
                there = write(server.site / "old.bin", b"old\n")
                refused("old.bin")
                expect(there, b"old\n", "after the refusal")

            def after() -> None:
                said = client.put(small, "/site/small.bin")
                expect(server.site / "small.bin", _SMALL, said)

            scenario.check("a new file", new)
            scenario.check("over a file", over)
            scenario.check("what there is room for", after)
            server.stop()
            # The refusals are faults of what was asked for, and there is no other.
            scenario.check("nothing else is found wrong", lambda: expect_each(server.recordings(), {"transfer-failed"}))

    return play
