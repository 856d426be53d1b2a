"""A server that does what a check says, for one session: for faults that no real server has."""

from __future__ import annotations

import socket
import threading
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Callable

from .report import Failure

_SECONDS = 20


class Session:
    """A session of it."""

    def __init__(self, control: socket.socket):
        self.control = control
        self._passive: socket.socket | None = None
        self.client: tuple[str, int] | None = None
        # Where active data comes from, and how long it is tried.
        self.source: tuple[str, int] | None = None
        self.patience: float = _SECONDS

    def say(self, line: str) -> None:
        self.control.sendall(f"{line}\r\n".encode())

    def usual(self, line: str) -> None:
        """What a plain old server says."""
        verb, _, argument = line.partition(" ")
        if verb in ("PASV", "EPSV"):
            port = self.listen()
            host = ",".join(self.control.getsockname()[0].split("."))
            self.say(f"229 ok (|||{port}|)" if verb == "EPSV" else f"227 ok ({host},{port >> 8},{port & 255})")
        elif verb == "PORT":
            *host, high, low = argument.split(",")
            self.client = (".".join(host), int(high) << 8 | int(low))
            self.say("200 ok")
        elif verb == "RETR":
            self.say("150 here it comes")
            self.send(b"x" * 5000)
            self.say("226 done")
        elif verb == "STOR":
            self.say("150 send it")
            with self.data() as data:
                while data.recv(1 << 16):
                    pass
            self.say("226 done")
        else:
            self.say({"USER": "331 ?", "PASS": "230 in", "TYPE": "200 ok", "NOOP": "200 ok", "QUIT": "221 bye"}.get(verb, "502 no"))

    def listen(self) -> int:
        """A port of its own for the next transfer."""
        if self._passive:
            self._passive.close()
        self._passive = socket.create_server((self.control.getsockname()[0], 0))
        self._passive.settimeout(self.patience)
        return self._passive.getsockname()[1]

    def data(self) -> socket.socket:
        """The data connection, in the way that the client has asked for."""
        if self._passive:
            data, _ = self._passive.accept()
        else:
            data = socket.create_connection(self.client or ("", 0), self.patience, self.source)
        data.settimeout(self.patience)
        return data

    def send(self, content: bytes) -> None:
        with self.data() as data:
            data.sendall(content)

    def close(self) -> None:
        self.control.close()
        if self._passive:
            self._passive.close()


class Scripted:
    """The server, in a thread: what it answers to a verb, and else as usual. Its sockets are made while `place` is entered there: in a name space, as `Link.inside` has it."""

    def __init__(
        self,
        answers: dict[str, Callable[[Session], None]],
        begin: Callable[[Session], None] = lambda session: session.say("220 here"),
        host: str = "127.0.0.1",
        port: int = 0,
        place: Callable[[], AbstractContextManager[None]] = nullcontext,
    ):
        self.host, self.port = host, port
        self._answers, self._begin, self._place = answers, begin, place
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._wrong: BaseException | None = None

    def __enter__(self) -> Scripted:
        self._thread.start()
        self._listens.wait(_SECONDS)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.join(_SECONDS)
        if self._wrong is not None and kind is None:
            raise Failure(f"the server broke: {self._wrong!r}")

    def _run(self) -> None:
        try:
            with self._place(), socket.create_server((self.host, self.port)) as listener:
                listener.settimeout(_SECONDS)
                self.port = listener.getsockname()[1]
                self._listens.set()
                self._serve(listener.accept()[0])
        except BaseException as error:
            self._wrong = error
            self._listens.set()

    def _serve(self, control: socket.socket) -> None:
        control.settimeout(_SECONDS)
        session = Session(control)
        try:
            self._begin(session)
            for line in control.makefile("rb"):
                said = line.rstrip(b"\r\n").decode()
                verb = said.split(" ")[0]
                self._answers.get(verb, lambda session: session.usual(said))(session)
                if verb == "QUIT":
                    return
        finally:
            session.close()
