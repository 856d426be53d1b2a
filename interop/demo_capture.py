"""`port21 demo` as the network saw it: a capture on loopback holds every message of the reference session, in order.

The messages are those of the sequence diagram that the project began with. Within each connection their order is the
document's; a bare ACK may merge with what follows it, and a FIN may ride on data.
"""

from __future__ import annotations

import os
import re
import socket
import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .binary import port21
from .capture import ACK, FIN, RST, SYN, Capture, Packet
from .drawings import observed
from .processes import run
from .report import Failure, Scenario, Skip

NAME = "ftp.any-domain.com"

# Each line of the control connection, from the greeting to the farewell; who says it, and all of what is said.
CONTROL = [
    ("S", r"220 ANY-DOMAIN\.COM FTP Service"),
    ("C", r"USER ftp"),
    ("S", r"331 Anonymous access allowed, send identity \(e-mail name\) as password\."),
    ("C", r"PASS [^@ ]+@[^@ ]+"),
    ("S", r"230-Welcome to ftp\.any-domain\.com"),
    ("S", r"230 Anonymous user logged in\."),
    ("C", r"PORT {list_port}"),
    ("S", r"200 PORT command successful\."),
    ("C", r"LIST"),
    ("S", r"150 Opening ASCII mode data connection for /bin/ls\."),
    ("S", r"226 Transfer complete\."),
    ("C", r"CWD \S+"),
    ("S", r"250 CWD command successful\."),
    ("C", r"PORT {get_port}"),
    ("S", r"200 PORT command successful\."),
    ("C", r"RETR readme\.txt"),
    ("S", r"150 Opening ASCII mode data connection for readme\.txt\(1715 bytes\)\."),
    ("S", r"226 Transfer complete\."),
    ("C", r"QUIT"),
    ("S", r"221 Thank you for visiting ftp\.any-domain\.com\."),
]
README_BYTES = 1715
# What each end of the session uses, as the document has it. All move by OFFSET where they may not be bound.
DNS, DATA, FTP, RESOLVER, CONTROL_CLIENT, LIST_CLIENT, GET_CLIENT = 53, 20, 21, 1030, 1175, 5001, 5002
OFFSET = 10000


def scenarios() -> list[Scenario]:
    return [Scenario("demo", "", _twice)]


def _twice(scenario: Scenario) -> None:
    """Once, and again at once: ports that the first has used are in nobody's way."""
    offset = 0 if _are_free() else OFFSET
    for scenario.mode in ("", "again"):
        _demo(scenario, offset)


def _demo(scenario: Scenario, offset: int) -> None:
    try:
        capture = Capture()
    except PermissionError:
        raise Skip("a packet capture needs root") from None
    with tempfile.TemporaryDirectory() as folder:
        with capture:
            ended = run([port21(), "demo", "--out", folder], env={**os.environ, "COLUMNS": "160"})

        def ended_well() -> None:
            if ended.returncode != 0:
                raise Failure(f"exit status {ended.returncode}", ended.stdout)

        scenario.check("judges itself whole", ended_well)
        seen = _Seen(capture.packets, offset)
        for check, action in seen.checks().items():
            scenario.check(check, action)
        capture.save(Path(folder) / "demo.pcap")
        drawn = Path(folder) / "demo.pdf"
        scenario.check("drawn from the capture", lambda: observed(Path(folder) / "demo.pcap", drawn, "127.0.21.2", offset))
        for name in ("session.jsonl", "session.txt", "session.svg"):
            scenario.check(f"wrote {name}", lambda name=name: _is_drawn(Path(folder) / name))


def _are_free() -> bool:
    """Whether the document's own ports can be had: nothing on this machine holds 53, 20 or 21 at every address."""
    try:
        for kind, port in ((socket.SOCK_DGRAM, DNS), (socket.SOCK_STREAM, DATA), (socket.SOCK_STREAM, FTP)):
            with socket.socket(socket.AF_INET, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM))
                probe.bind(("127.0.21.21", port))
    except OSError:
        return False
    return True


class _Seen:
    """The packets of the demo's connections, found by the ports of the servers."""

    def __init__(self, packets: list[Packet], offset: int):
        self.packets, self.offset = packets, offset
        if not self._between(FTP + offset, CONTROL_CLIENT + offset):
            raise Failure(f"no packet passed between ports {FTP + offset} and {CONTROL_CLIENT + offset}")

    def checks(self) -> dict[str, Callable[[], None]]:
        return {
            "DNS query and answer": self.dns,
            "control connection": self.control,
            "control: no other line": self.control_lines,
            "data connection of LIST": lambda: self.data(LIST_CLIENT, _is_listing),
            "data connection of RETR": lambda: self.data(GET_CLIENT, _is_readme),
        }

    def dns(self) -> None:
        packets = self._between(DNS + self.offset, RESOLVER + self.offset, "udp")
        server = DNS + self.offset
        queries = [packet for packet in packets if packet.target[1] == server]
        answers = [packet for packet in packets if packet.source[1] == server]
        if not queries or not answers:
            raise Failure(f"{len(queries)} queries and {len(answers)} answers")
        question = b"".join(bytes([len(label)]) + label.encode() for label in NAME.split(".")) + b"\0"
        asked, answered = queries[0].data, answers[0].data
        _, flags, count = struct.unpack_from("!HHH", asked)
        if count != 1 or not flags & 0x0100 or asked[12 : 12 + len(question) + 4] != question + b"\0\1\0\1":
            raise Failure(f"the query is not for {NAME}, type A, class IN, recursion desired", asked.hex())
        identity, flags, _, answer_count = struct.unpack_from("!HHHH", answered)
        if identity != struct.unpack_from("!H", asked)[0] or not flags & 0x8100 == 0x8100 or flags & 0x000F:
            raise Failure("the answer is none to the query", answered.hex())
        address = bytes(map(int, self._server()[0].split(".")))
        if answer_count != 1 or b"\0\1\0\1" not in answered[12 + len(question) + 4 :] or address not in answered:
            raise Failure("the answer is not the address of the FTP server", answered.hex())

    def control(self) -> None:
        stream = _Connection(self._between(FTP + self.offset, CONTROL_CLIENT + self.offset), self._server())
        messages = [*_opening("C", "S")]
        messages += [_Message(who, f"{who}: {line}", _Line(line)) for who, line in self._control_lines()]
        messages += [_Message("S", "FIN of the server", _fin), _Message("C", "FIN of the client", _fin)]
        stream.expect(messages)

    def control_lines(self) -> None:
        stream = _Connection(self._between(FTP + self.offset, CONTROL_CLIENT + self.offset), self._server())
        for who, what in (("C", "the client"), ("S", "the server")):
            expected = [line for speaker, line in self._control_lines() if speaker == who]
            said = stream.whole(who).decode("utf-8", "backslashreplace").split("\r\n")
            if said.pop() != "":
                raise Failure(f"{what}'s last line has no end")
            if len(said) != len(expected) or not all(map(re.fullmatch, expected, said)):
                raise Failure(f"{what} said something else", "\n".join(said))

    def data(self, port: int, judge: Callable[[bytes], None]) -> None:
        server = (self._server()[0], DATA + self.offset)
        stream = _Connection(self._between(server[1], port + self.offset), server)
        stream.expect(
            [
                *_opening("S", "C"),
                _Message("S", "data", lambda packet, _: bool(packet.data)),
                _Message("S", "FIN of the server", _fin),
                _Message("C", "ACK of it", _acknowledges("S")),
                _Message("C", "FIN of the client", _fin),
                _Message("S", "ACK of it", _acknowledges("C")),
            ]
        )
        if stream.whole("C"):
            raise Failure("the client sent something on it")
        judge(stream.whole("S"))

    def _control_lines(self) -> list[tuple[str, str]]:
        host = self._client().replace(".", ",")
        ports = {
            name: f"{host},{port >> 8},{port & 255}"
            for name, port in (("list_port", LIST_CLIENT + self.offset), ("get_port", GET_CLIENT + self.offset))
        }
        return [(who, line.replace("{list_port}", ports["list_port"]).replace("{get_port}", ports["get_port"])) for who, line in CONTROL]

    def _server(self) -> tuple[str, int]:
        port = FTP + self.offset
        return next(packet.target for packet in self._between(port, CONTROL_CLIENT + self.offset) if packet.target[1] == port)

    def _client(self) -> str:
        port = CONTROL_CLIENT + self.offset
        return next(packet.source[0] for packet in self._between(FTP + self.offset, port) if packet.source[1] == port)

    def _between(self, one: int, other: int, protocol: str = "tcp") -> list[Packet]:
        ports = {one, other}
        return [p for p in self.packets if p.protocol == protocol and {p.source[1], p.target[1]} == ports]


@dataclass(frozen=True)
class _Message:
    """One message of the document: who sends it, and how a packet is known to hold it."""

    who: str  # "C" or "S"
    name: str
    holds: Callable[[Packet, "_Connection"], bool]


class _Connection:
    """One TCP connection of the capture, both directions; S is the FTP server's end."""

    def __init__(self, packets: list[Packet], server: tuple[str, int]):
        if not packets:
            raise Failure("there is no such connection")
        self.server = server
        self.packets = packets

    def expect(self, messages: list[_Message]) -> None:
        """Every message is there, each in the packet of the one before it (if one end sent both) or in a later one."""
        if any(packet.flags & RST for packet in self.packets):
            raise Failure("the connection was reset", self.show())
        at, last = 0, ""
        for message in messages:
            start = at if last in ("", message.who) else at + 1
            found = next(
                (
                    n
                    for n in range(start, len(self.packets))
                    if self.who(self.packets[n]) == message.who and message.holds(self.packets[n], self)
                ),
                None,
            )
            if found is None:
                raise Failure(f"not there, or not in its place: {message.name}", self.show())
            at, last = found, message.who

    def who(self, packet: Packet) -> str:
        return "S" if packet.source == self.server else "C"

    def first(self, who: str) -> int:
        """The sequence number of the first byte that an end sends."""
        return next(p.seq for p in self.packets if self.who(p) == who and p.flags & SYN) + 1

    def whole(self, who: str) -> bytes:
        """All that an end sent, without what was sent twice."""
        stream, first = bytearray(), self.first(who)
        for packet in self.packets:
            if self.who(packet) == who and packet.data:
                at = (packet.seq - first) & 0xFFFFFFFF
                stream[at : at + len(packet.data)] = packet.data
        return bytes(stream)

    def show(self) -> str:
        names = ((SYN, "SYN"), (FIN, "FIN"), (RST, "RST"), (ACK, "ACK"))
        return "\n".join(
            f"{self.who(p)} {'+'.join(name for flag, name in names if p.flags & flag):<8} {p.data[:60]!r}" for p in self.packets
        )


class _Line:
    """A packet holds the end of this line: what the end had sent up to then, split at CRLF, has it as a whole line."""

    def __init__(self, pattern: str):
        self.pattern = pattern

    def __call__(self, packet: Packet, connection: _Connection) -> bool:
        who = connection.who(packet)
        start = (packet.seq - connection.first(who)) & 0xFFFFFFFF
        stream = connection.whole(who)
        end, at = start + len(packet.data), 0
        for line in stream.split(b"\r\n")[:-1]:
            at += len(line) + 2
            if start < at <= end and re.fullmatch(self.pattern, line.decode("utf-8", "backslashreplace")):
                return True
        return False


def _opening(opener: str, other: str) -> list[_Message]:
    """The three way handshake."""
    return [
        _Message(opener, "SYN", lambda packet, _: packet.flags & (SYN | ACK) == SYN),
        _Message(other, "SYN+ACK", lambda packet, _: packet.flags & (SYN | ACK) == SYN | ACK),
        _Message(opener, "ACK", lambda packet, _: packet.flags & (SYN | ACK) == ACK),
    ]


def _fin(packet: Packet, _: _Connection) -> bool:
    return bool(packet.flags & FIN)


def _acknowledges(who: str) -> Callable[[Packet, _Connection], bool]:
    """A packet acknowledges the FIN of that end."""

    def holds(packet: Packet, connection: _Connection) -> bool:
        fin = next((p for p in connection.packets if connection.who(p) == who and p.flags & FIN), None)
        return fin is not None and bool(packet.flags & ACK) and packet.ack == (fin.seq + len(fin.data) + 1) & 0xFFFFFFFF

    return holds


def _is_listing(data: bytes) -> None:
    if not data.endswith(b"\r\n") or b"pub" not in data:
        raise Failure("it carried no listing with `pub` in it", data.decode("utf-8", "backslashreplace"))


def _is_readme(data: bytes) -> None:
    if len(data) != README_BYTES:
        raise Failure(f"it carried {len(data)} bytes, not {README_BYTES}")
    if not data.endswith(b"\r\n") or b"\n" in data.replace(b"\r\n", b""):
        raise Failure("its lines do not all end with CRLF")


def _is_drawn(path: Path) -> None:
    if not path.is_file() or path.stat().st_size < 1000:
        raise Failure(f"{path.name} is missing or nearly empty")
