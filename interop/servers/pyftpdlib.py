"""pyftpdlib: its user is one of its own."""

from __future__ import annotations

from ..packages import PYTHON, unpack_server
from .base import Server

_PROGRAM = """
import sys
sys.path[:0] = [{modules!r}]
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.handlers import FTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

authorizer = DummyAuthorizer()
authorizer.add_user({user!r}, {password!r}, {root!r}, perm="elradfmwMT")
tls = {tls!r}
handler = TLS_FTPHandler if tls else FTPHandler
handler.authorizer = authorizer
handler.passive_ports = range({first}, {last} + 1)
handler.permit_foreign_addresses = False
if tls:
    handler.certfile, handler.keyfile = {certificate!r}, {key!r}
    handler.tls_control_required = handler.tls_data_required = True
if not {epsv!r}:
    del handler.proto_cmds["EPSV"]
FTPServer(({host!r}, {port}), handler).serve_forever()
"""


class Pyftpdlib(Server):
    name = "pyftpdlib"
    tls_kinds = ("require",)
    # Under TLS and several sessions at once it now and then closes a data connection in its handshake, or without close_notify;
    # our client then leaves that session, and fetches the file anew in another.
    found = {rule: "it breaks data connections off" for rule in ("tls-data", "tls-truncated", "control-cut")}

    def command(self) -> list[str]:
        first, last = self.ports.passive
        program = self.scratch / "server.py"
        program.write_text(
            _PROGRAM.format(
                modules=str(unpack_server("pyftpdlib") / "usr/lib/python3/dist-packages"),
                user=self.user,
                password=self.password,
                root=str(self.root),
                tls=self.tls,
                first=first,
                last=last,
                certificate=str(self.certificate),
                key=str(self.key),
                epsv=self.epsv,
                host=self.host,
                port=self.port,
            ),
            encoding="utf-8",
        )
        return [PYTHON, "-B", "-W", "ignore", str(program)]
