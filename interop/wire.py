"""A control connection spoken by hand, for what no client does: to stall, to vanish, to measure."""

from __future__ import annotations

import re
import socket
import ssl
import struct
from types import TracebackType

from .report import Failure


class Control:
    """One control connection. Every wait is bounded by `seconds`."""

    def __init__(self, host: str, port: int, seconds: float = 10, source: str = ""):
        self.host = host
        self.socket = socket.create_connection((host, port), seconds, (source, 0) if source else None)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self._tls: ssl.SSLContext | None = None

    def __enter__(self) -> Control:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def reply(self) -> str:
        """The next reply, all its lines."""
        lines: list[str] = []
        while True:
            line = self._line()
            lines.append(line)
            if re.match(r"\d{3} ", line) and line[:3] == lines[0][:3]:
                return "\n".join(lines)

    def command(self, line: str, expect: str = "") -> str:
        """Send a command and return its reply; with `expect`, one that begins otherwise is a failure."""
        self.socket.sendall(f"{line}\r\n".encode())
        return self.expect(expect, line)

    def expect(self, beginning: str, what: str = "") -> str:
        """The next reply, which is to begin like this."""
        reply = self.reply()
        if not reply.startswith(beginning):
            raise Failure(f"{what.split(' ')[0] or 'it'} was answered {reply.splitlines()[-1]!r}, not {beginning}")
        return reply

    def login(self, user: str, password: str) -> Control:
        self.expect("220", "the connection")
        return self.log_in(user, password)

    def log_in(self, user: str, password: str) -> Control:
        """USER and PASS, behind the greeting."""
        self.command(f"USER {user}", "331")
        self.command(f"PASS {password}", "230")
        return self

    def secure(self) -> Control:
        """AUTH TLS and PROT P, whoever the server may be."""
        self.command("AUTH TLS", "234")
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE
        self.socket = self._tls.wrap_socket(self.socket)
        self.command("PBSZ 0", "200")
        self.command("PROT P", "200")
        return self

    def protected(self, data: socket.socket) -> socket.socket:
        """A data connection whose transfer was begun, under TLS if the control connection is: it resumes the session of that."""
        if self._tls is None or not isinstance(self.socket, ssl.SSLSocket):
            return data
        return self._tls.wrap_socket(data, session=self.socket.session)

    def passive(self) -> socket.socket:
        """A data connection by EPSV."""
        reply = self.command("EPSV", "229")
        found = re.search(r"\(\|\|\|(\d+)\|\)", reply)
        if not found:
            raise Failure(f"no port in {reply!r}")
        # From the address of the control connection: servers drop data connections from any other.
        return socket.create_connection(
            (self.host, int(found[1])), self.socket.gettimeout(), (self.socket.getsockname()[0], 0)
        )

    def _line(self) -> str:
        while b"\n" not in self._rest:
            chunk = self.socket.recv(65536)
            if not chunk:
                raise Failure("the server closed the control connection")
            self._rest += chunk
        line, self._rest = self._rest.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "backslashreplace")


def reset(connection: socket.socket) -> None:
    """Close with RST instead of FIN: what was not sent yet is thrown away."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
