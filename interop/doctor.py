"""`port21 doctor` against other people's servers: all is well where it is, and each fault is named, just that one."""

from __future__ import annotations

import json
from typing import Callable

from .binary import port21
from .content import write
from .findings import expect_each
from .link import standing_link
from .processes import run
from .report import Failure, Scenario
from .servers import ALL, Port21, Proftpd, Server, Vsftpd

# An address of a private network that is nobody's here (RFC 1918).
_PRIVATE = "10.21.21.21"


def scenarios() -> list[Scenario]:
    kinds = [(server, tls) for server in ALL.values() for tls in ("", *server.tls_kinds)]
    well = [Scenario(f"doctor > {server.name}", tls or "clear", _well(server, tls)) for server, tls in kinds]
    return [
        *well,
        Scenario("doctor > vsftpd", "private address", _private),
        Scenario("doctor > vsftpd", "filtered ports", _filtered),
        Scenario("doctor > vsftpd", "wrong password", _refused),
    ]


def _well(server: type[Server], tls: str) -> Callable[[Scenario], None]:
    def play(scenario: Scenario) -> None:
        with server(tls=tls) as running:
            write(running.site / "readme.txt", b"hello\n")
            told = _Told(running, "--write")
            scenario.check("nothing fails", told.nothing_fails)
            scenario.check("each step was tried", lambda: told.passed("login", "EPSV", "PASV", "listing", "download", "upload"))
            scenario.check("nothing is left there", lambda: _left(running))
            scenario.check("nothing else is found wrong", lambda: told.finds(*_asked_for(server, tls)))
            if tls:
                scenario.check("TLS", lambda: told.passed("TLS"))
                # pure-ftpd and pyftpdlib take any data connection, and pure-ftpd resumes no session of TLS 1.3.
                if server in (Vsftpd, Proftpd, Port21):
                    scenario.check("sessions are resumed", lambda: told.passed("TLS on data"))
                    scenario.check("resumption is demanded", lambda: told.noticed("TLS reuse", "demanded"))

    return play


def _asked_for(server: type[Server], tls: str) -> set[str]:
    """What fails because the doctor tries it: TLS where there is none, and data connections that resume no session."""
    if not tls:
        return {"tls-refused"}
    # The reply of ProFTPD does not tell why.
    return {Proftpd: {"transfer-failed"}, Vsftpd: {"tls-reuse"}, Port21: {"tls-reuse"}}.get(server, set())


def _private(scenario: Scenario) -> None:
    with _Settings(f"pasv_address={_PRIVATE}\n") as server:
        told = _Told(server)
        scenario.check("the address is named", lambda: told.noticed("PASV", _PRIVATE, "pasv_address"))
        scenario.check("and nothing else", lambda: told.only_notices("PASV", "TLS"))


def _filtered(scenario: Scenario) -> None:
    with standing_link() as link, _Settings("", host=link.server_address) as server:
        first, last = server.ports.passive
        # What answers a SYN to these ports never arrives.
        link.drop(f"tcp sport {first}-{last}")
        told = _Told(server, "--timeout", "2s", before=["ip", "netns", "exec", link.space])
        scenario.check("the port is named", lambda: told.failed("EPSV", 3, "firewall", "pasv_min_port"))
        scenario.check("the login is not", lambda: told.passed("connect", "greeting", "login"))


def _refused(scenario: Scenario) -> None:
    with Vsftpd() as server:
        told = _Told(server, user="nobody-of-here")
        scenario.check("the login is named", lambda: told.failed("login", 4))
        scenario.check("nothing else is found wrong", lambda: told.finds("login-refused"))


class _Settings(Vsftpd):
    """vsftpd with more settings."""

    def __init__(self, more: str, **how: object):
        super().__init__(**how)  # type: ignore[arg-type]
        self.more = more

    def command(self) -> list[str]:
        command = super().command()
        with (self.scratch / "vsftpd.conf").open("a") as config:
            config.write(self.more)
        return command


class _Told:
    """What the doctor told of a server."""

    def __init__(self, server: Server, *flags: str, user: str = "", before: list[str] | None = None):
        scheme = {"": "ftp", "require": "ftpes", "implicit": "ftps"}[server.tls]
        host = "localhost" if server.tls else server.url_host
        url = f"{scheme}://{user or server.user}@{host}:{server.port}/site/"
        trust = ["-4", "--cacert", str(server.certificate)] if server.tls else []
        environment = {**server.environment(), "PORT21_PASSWORD": server.password}
        self.recording = server.scratch / "doctor.jsonl"
        trace = ["--trace", str(self.recording)]
        ended = run([*(before or []), port21(), "doctor", "--json", *trace, *flags, *trust, url], env=environment)
        self.said, self.code = ended.stdout, ended.returncode
        try:
            self.all = json.loads(self.said)
        except ValueError as error:
            raise Failure(f"what it told is no JSON: {error}", self.said) from error

    def steps(self, name: str) -> list[dict]:
        found = [step for step in self.all["steps"] if step["step"] == name]
        if not found:
            raise Failure(f"{name} was not told of", self.said)
        return found

    def finds(self, *rules: str) -> None:
        """What its session has faults and warnings by."""
        expect_each([self.recording], rules)

    def nothing_fails(self) -> None:
        if self.code != 0 or self.all["failed"] is not None:
            raise Failure(f"{self.all['failed']} failed, exit {self.code}", self.said)

    def passed(self, *names: str) -> None:
        for name in names:
            if not any(step["outcome"] == "passed" for step in self.steps(name)):
                raise Failure(f"{name} has not passed", self.said)

    def noticed(self, name: str, *words: str) -> None:
        self._says(name, "noticed", words)

    def failed(self, name: str, code: int, *words: str) -> None:
        if self.all["failed"] != name or self.code != code:
            raise Failure(f"{self.all['failed']} failed first, exit {self.code}", self.said)
        self._says(name, "failed", words)

    def only_notices(self, *names: str) -> None:
        self.nothing_fails()
        others = [step["step"] for step in self.all["steps"] if step["outcome"] == "noticed" and step["step"] not in names]
        if others:
            raise Failure(f"it notices {', '.join(others)} too", self.said)

    def _says(self, name: str, outcome: str, words: tuple[str, ...]) -> None:
        for step in self.steps(name):
            text = " ".join(str(step[key]) for key in ("found", "cause", "advice"))
            if step["outcome"] == outcome and all(word in text for word in words):
                return
        raise Failure(f"{name} is not {outcome} with {', '.join(words)}", self.said)


def _left(server: Server) -> None:
    left = sorted(path.name for path in server.site.iterdir() if path.name != "readme.txt")
    if left:
        raise Failure(f"{', '.join(left)} is left")
