"""Every finding, caused on real sockets: by a peer that does what is wrong, on a network that loses what it is told to lose. Each
is found in the packets of its session, as the root and alone. What a recording shows as well is caused in
`crates/cli/tests/it/findings.rs`."""

from __future__ import annotations

import json
import re
import socket
import ssl
import tempfile
import time
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from .binary import port21
from .capture import Capture, Packet
from .link import Link, Port21Beyond, standing_link
from .processes import run
from .report import Failure, Scenario, Skip
from .scripted import Scripted, Session
from .servers import Port21
from .wire import Control

_HERE = Path(__file__).resolve().parents[1]
# An address of a private network that is nobody's here (RFC 1918).
_NOWHERE = "10.21.21.21"
_LARGE = b"x" * 4_000_000


def scenarios() -> list[Scenario]:
    return [Scenario("causes", "", _all_rules), *(Scenario("causes", cause.rule, cause.play) for cause in _CAUSES)]


@dataclass
class Cause:
    """A finding, and how it comes about: what the client does in its session, and what the server does otherwise than usual."""

    rule: str
    client: Callable[[Control], object]
    answers: dict[str, Callable[[Session], None]] = field(default_factory=dict)
    begin: Callable[[Session], None] = lambda session: session.say("220 here")
    # Who is beyond a link: "client", "server", or nobody, and all is on this machine's loopback.
    beyond: str = ""
    # What is done to the link, and the port that the server has there.
    link: Callable[[Link], None] = lambda link: None
    port: int = 0
    # What of it is captured: so many bytes of a packet, and which packets, by the server's port.
    snap: int = 1 << 18
    keeps: Callable[[Packet, int], bool] = lambda packet, port: True
    # A fault that comes with it: it is what the finding is about.
    along: frozenset[str] = field(default=frozenset())

    def play(self, scenario: Scenario) -> None:
        scenario.check("is found, and nothing else", self._play)

    def _play(self) -> None:
        with standing_link() if self.beyond else nullcontext() as link:
            if link:
                self.link(link)
            hosts = (link.server_address, link.client_address) if link else ("127.0.0.1", "127.0.0.1")
            here, there = nullcontext, (link.inside if link else nullcontext)
            # The link's names are for a server that is here.
            host = hosts[1] if self.beyond == "server" else hosts[0]
            scripted = Scripted(self.answers, self.begin, host, self.port, there if self.beyond == "server" else here)
            with _capture(link.here if link else "lo") as capture, scripted as server:
                with (there if self.beyond == "client" else here)():
                    with Control(server.host, server.port, 20) as control:
                        self.client(control)
            port = server.port
        _expect(self.rule, capture, port, self)


def _capture(interface: str) -> Capture:
    try:
        return Capture(interface)
    except PermissionError:
        raise Skip("a packet capture needs root") from None


def _expect(rule: str, capture: Capture, port: int, cause: Cause) -> None:
    """What is found in the sessions with this port: that rule, and of what is as grave or graver no other."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cause.pcap"
        capture.save(path, cause.snap, lambda packet: cause.keeps(packet, port))
        ended = run([port21(), "trace", "--format", "json", "--only", f"server:{port}", str(path)])
    document = next((line for line in ended.stdout.splitlines() if line.startswith('{"version":')), None)
    if document is None:
        raise Failure(f"port21 trace: exit status {ended.returncode}", ended.stdout)
    found = [(finding["severity"], finding["rule"], finding["text"]) for finding in json.loads(document)["findings"]]
    shown = "\n".join(": ".join(finding) for finding in found)
    if rule not in {name for _, name, _ in found}:
        raise Failure("it is not found", shown)
    others = {name for severity, name, _ in found if severity != "note"} - {rule} - cause.along
    if others:
        raise Failure(f"also found: {', '.join(sorted(others))}", shown)


def _all_rules(scenario: Scenario) -> None:
    """Each rule of the document has its cause, here or in the tests of recordings."""

    def each() -> None:
        rules = re.findall(r"^\| `([a-z-]+)` \|", (_HERE / "docs/findings.md").read_text(), re.MULTILINE)
        recorded = set(re.findall(r'"([a-z]+-?[a-z-]*)"', (_HERE / "crates/cli/tests/it/findings.rs").read_text()))
        without = set(rules) - recorded - {cause.rule for cause in _CAUSES}
        if not rules or without:
            raise Failure(f"no cause for: {', '.join(sorted(without))}")

    scenario.check("each rule is caused", each)


def _in(control: Control, user: str = "bob") -> Control:
    return control.login(user, "secret")


def _quit(control: Control) -> None:
    control.command("QUIT", "221")


def _passive(control: Control, command: str, use: Callable[[socket.socket], object], end: str = "226") -> None:
    """A transfer by EPSV, in a session of its own."""
    _in(control)
    control.command("TYPE I", "200")
    with control.passive() as data:
        control.command(command, "150")
        use(data)
    control.expect(end, command)
    _quit(control)


def _active(control: Control, address: str = "", end: str = "226") -> None:
    """A download by PORT, to an address that is told instead of the own one."""
    _in(control)
    with socket.create_server((control.socket.getsockname()[0], 0)) as listener:
        port = listener.getsockname()[1]
        host = (address or control.socket.getsockname()[0]).replace(".", ",")
        control.command(f"PORT {host},{port >> 8},{port & 255}", "200")
        control.command("RETR x", "150")
        listener.settimeout(20)
        if end == "226":
            data, _ = listener.accept()
            with data:
                _drain(data)
        control.expect(end, "RETR")
    _quit(control)


def _drain(data: socket.socket) -> None:
    while data.recv(1 << 16):
        pass


def _leads_nowhere(link: Link) -> None:
    link.lead_to(_NOWHERE)


# What clients do.


def _tries(control: Control) -> None:
    """It goes where it is told to go, and nobody comes."""
    _in(control)
    told = re.search(r"\(([\d,]+)\)", control.command("PASV", "227"))
    assert told
    *host, high, low = told[1].split(",")
    control.socket.sendall(b"RETR x\r\n")
    try:
        socket.create_connection((".".join(host), int(high) << 8 | int(low)), 2).close()
    except TimeoutError:
        pass
    control.expect("425", "RETR")
    _quit(control)


def _reads_late(data: socket.socket) -> None:
    time.sleep(3)
    _drain(data)


def _asks(control: Control, count: int = 40) -> None:
    _in(control)
    for _ in range(count):
        control.command("NOOP", "200")
    _quit(control)


def _asks_for_size(control: Control) -> None:
    _in(control)
    control.command("SIZE x", "502")
    _quit(control)


def _repeats(control: Control) -> None:
    _in(control)
    for answer in ("450", "150"):
        with control.passive() as data:
            control.command("RETR x", answer)
            if answer == "150":
                _drain(data)
                control.expect("226")
    _quit(control)


# What servers do.


def _nobody_came(session: Session) -> None:
    time.sleep(2)
    session.say("425 nobody has come")


def _names_nowhere(session: Session) -> None:
    session.say(f"227 ok ({_NOWHERE.replace('.', ',')},195,80)")


def _tells_a_port(session: Session) -> None:
    host, port = session.control.getsockname()[0].replace(".", ","), 50000
    session.say(f"227 ok ({host},{port >> 8},{port & 255})")


def _goes_there(session: Session) -> None:
    session.say("150 coming")
    session.patience = 2
    try:
        session.data().close()
    except TimeoutError:
        session.say("425 no way through")


def _from(source: str) -> Callable[[Session], None]:
    def send(session: Session) -> None:
        session.source = (source, 0)
        session.usual("RETR x")

    return send


def _in_two_pieces(session: Session) -> None:
    """What Nagle's algorithm and delayed acknowledgements make of a reply that is written in two pieces."""
    session.control.sendall(b"200 ")
    session.control.sendall(b"ok\r\n")


def _after(seconds: float) -> Callable[[Session], None]:
    def answer(session: Session) -> None:
        time.sleep(seconds)
        session.say("200 ok")

    return answer


def _asks_who_it_is(session: Session) -> None:
    """Ident, of a host that has none; and then some waiting for nothing."""
    try:
        socket.create_connection((session.control.getpeername()[0], 113), 1).close()
    except OSError:
        pass
    time.sleep(3.2)
    session.say("220 here")


def _sends_much(session: Session) -> None:
    session.say("150 here it comes")
    session.send(_LARGE)
    session.say("226 done")


def _has_enough_of_it(session: Session) -> None:
    session.say("150 send it")
    session.patience = 4
    with session.data() as data:
        data.settimeout(4)
        try:
            data.recv(1)
        except TimeoutError:
            pass
        session.say("426 nothing came")


def _talks(session: Session) -> None:
    session.say(f"200 {'words ' * 20}")


class _Once:
    """The first time it is refused."""

    def __init__(self) -> None:
        self.refused = False

    def __call__(self, session: Session) -> None:
        if self.refused:
            session.usual("RETR x")
        else:
            self.refused = True
            session.say("450 not now")


# With port21 as the server, under TLS.


class _Protected(Cause):
    """A session with `port21 serve` under TLS; what the client does is told of the server, not of a connection."""

    def _play(self) -> None:
        with standing_link() if self.beyond else nullcontext() as link:
            host = link.client_address if link else "127.0.0.1"
            with link.inside() if link else nullcontext():
                server = (Port21Beyond if link else Port21)(host, tls="require")
                server.__enter__()
            try:
                if link:
                    first, last = server.ports.passive
                    link.drop(f"tcp dport {first}-{last}")
                with _capture(link.here if link else "lo") as capture:
                    self.client(server)  # type: ignore[arg-type]
            finally:
                server.__exit__()
        _expect(self.rule, capture, server.port, self)


def _commands_ahead_of_tls(server: Port21) -> None:
    with Control(server.host, server.port) as control:
        control.expect("220")
        control.socket.sendall(b"AUTH TLS\r\nNOOP\r\n")
        control.expect("234")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        control.socket = context.wrap_socket(control.socket)
        control.log_in(server.user, server.password)
        _quit(control)


def _trusts_nobody(server: Port21) -> None:
    """It speaks TLS 1.2, where an alert about the certificate is sent in clear."""
    with Control(server.host, server.port) as control:
        control.expect("220")
        control.command("AUTH TLS", "234")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.maximum_version, context.check_hostname = ssl.TLSVersion.TLSv1_2, False
        try:
            context.wrap_socket(control.socket)
        except ssl.SSLCertVerificationError:
            return
    raise Failure("the certificate was believed")


def _is_filtered(server: Port21) -> None:
    with Control(server.host, server.port) as control:
        control.expect("220")
        control.secure().log_in(server.user, server.password)
        control.socket.settimeout(2)
        try:
            control.passive().close()
        except TimeoutError:
            return
    raise Failure("the connection came to stand")


_CAUSES = [
    Cause("pasv-address", _tries, {"PASV": _names_nowhere, "RETR": _nobody_came}, beyond="client", link=_leads_nowhere),
    Cause("port-address", lambda c: _active(c, _NOWHERE, "425"), {"RETR": _goes_there}, beyond="server", link=_leads_nowhere),
    Cause(
        "data-unanswered",
        _tries,
        {"PASV": _tells_a_port, "RETR": _nobody_came},
        beyond="server",
        link=lambda link: link.drop("tcp dport 50000"),
    ),
    Cause("other-address", _active, {"RETR": _from("127.0.0.9")}),
    Cause("active-port", _active, beyond="server", port=21),
    Cause("stalls", _asks, {"NOOP": _in_two_pieces}),
    Cause("slow-login", lambda c: _asks(c, 1), begin=_asks_who_it_is),
    Cause(
        "retransmissions",
        lambda c: _passive(c, "STOR x", lambda data: data.sendall(_LARGE)),
        beyond="server",
        link=lambda link: link.drop("tcp dport != 21 meta length > 1000 numgen inc mod 8 == 5"),
        port=21,
    ),
    Cause(
        "black-hole",
        lambda c: _passive(c, "STOR x", lambda data: data.sendall(_LARGE[:20_000]), "426"),
        {"STOR": _has_enough_of_it},
        beyond="server",
        link=lambda link: link.drop("meta length > 1000"),
    ),
    Cause("zero-window", lambda c: _passive(c, "RETR x", _reads_late), {"RETR": _sends_much}),
    _Protected("tls-alert", _trusts_nobody),
    _Protected("firewall-blind", _is_filtered, beyond="server", along=frozenset({"data-unanswered"})),
    _Protected("before-auth", _commands_ahead_of_tls),
    Cause("repeated", _repeats, {"RETR": _Once()}),
    Cause("clear-password", lambda c: _asks(c, 1)),
    Cause("closed-first", _in),
    Cause("slow-phase", lambda c: _asks(c, 2), {"NOOP": _after(1.1)}),
    Cause("round-trips", _asks, {"NOOP": _after(0.025)}),
    Cause("expected-refusal", _asks_for_size),
    # By one side alone FTP is known on its own port.
    Cause("one-direction", lambda c: _asks(c, 2), beyond="server", port=21, keeps=lambda packet, port: packet.source[1] == port),
    Cause("captured-part", lambda c: _asks(c, 2), {"NOOP": _talks}, snap=100),
]
