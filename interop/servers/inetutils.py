"""inetutils-ftpd: its user is one of a /etc of its own, which it sees in place of the machine's; a small inetd starts it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..packages import PYTHON, environment, unpack_server
from ..processes import run
from ..report import Skip
from .base import Server

# It listens at every address when it listens itself.
_PROGRAM = """
import signal, socket, subprocess
family = socket.AF_INET6 if ":" in {host!r} else socket.AF_INET
listener = socket.create_server(({host!r}, {port}), family=family, backlog=64)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
signal.signal(signal.SIGTERM, lambda *_: exit(0))
while True:
    session, _ = listener.accept()
    with session:
        subprocess.Popen({command!r}, stdin=session, stdout=session)
"""


class Inetutils(Server):
    name = "inetutils-ftpd"
    # Its control connection has Nagle's algorithm on: the reply to a command that was sent ahead waits until what was said before
    # it is acknowledged, 40 ms later.
    found = {"stalls": "it leaves Nagle's algorithm on"}
    user = "port21-user"

    def command(self) -> list[str]:
        if not self.epsv:
            raise Skip("inetutils-ftpd cannot be told to refuse EPSV")
        if run(["unshare", "--mount", "true"]).returncode != 0:
            raise Skip("this machine allows no name space of mounts")
        etc = self._etc()
        self.root.chmod(0o777)
        folder = unpack_server("inetutils-ftpd")
        program = self.scratch / "inetd.py"
        command = [str(folder / "usr/sbin/ftpd"), "--auth=default", "--umask=022"]
        program.write_text(_PROGRAM.format(host=self.host, port=self.port, command=command), encoding="utf-8")
        script = f'mount --bind "{etc}" /etc && exec "$0" -B "$1"'
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, PYTHON, str(program)]

    def _etc(self) -> Path:
        """What it needs of /etc: one user, who is confined to the root."""
        etc = self.scratch / "etc"
        etc.mkdir()
        shells = "/bin/sh\n"
        files = {
            "passwd": f"root:x:0:0::/:/bin/sh\n{self.user}:x:65534:65534::{self.root}:/bin/sh\n",
            "shadow": f"{self.user}:{self.password_hash}:19000:0:99999:7:::\n",
            "group": "root:x:0:\nnogroup:x:65534:\n",
            "ftpchroot": f"{self.user}\n",
            "shells": shells,
            "hosts": "127.0.0.1 localhost\n::1 localhost\n",
            "nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
            "services": "ftp-data 20/tcp\nftp 21/tcp\n",
        }
        for name, text in files.items():
            (etc / name).write_text(text)
            (etc / name).chmod(0o600 if name == "shadow" else 0o644)
        for name in ("ld.so.cache", "ld.so.conf", "localtime", "alternatives"):
            if os.path.isfile(f"/etc/{name}"):
                shutil.copy(f"/etc/{name}", etc / name)
        return etc

    def environment(self) -> dict[str, str]:
        return environment(unpack_server("inetutils-ftpd"))
