"""pure-ftpd: its user is a virtual one from a PureDB file, mapped to `nobody`."""

from __future__ import annotations

import pwd
from pathlib import Path

from ..packages import environment, unpack_server
from ..processes import run
from ..report import Failure, Skip
from .base import Server


class PureFtpd(Server):
    name = "pure-ftpd"
    tls_kinds = ("require",)

    def command(self) -> list[str]:
        if not self.epsv:
            raise Skip("pure-ftpd cannot be told to refuse EPSV")
        folder = unpack_server("pure-ftpd")
        passwd, database = self.scratch / "passwd", self.scratch / "users.pdb"
        nobody = pwd.getpwnam("nobody")
        passwd.write_text(f"{self.user}:{self.password_hash}:{nobody.pw_uid}:{nobody.pw_gid}::{self.root}/./::::::::::::\n")
        made = run([str(folder / "usr/bin/pure-pw"), "mkdb", str(database), "-f", str(passwd)], env=self.environment())
        if made.returncode != 0:
            raise Failure("pure-pw made no data base of users", made.stdout)
        first, last = self.ports.passive
        return [
            str(folder / "usr/sbin/pure-ftpd"),
            *("-S", f"{self.host},{self.port}"),
            *("-l", f"puredb:{database}"),
            *("-p", f"{first}:{last}"),
            *("-g", str(self.scratch / "pure-ftpd.pid")),
            "-A",  # everyone is confined to their root
            "-E",  # no anonymous user
            "-H",  # no reverse look-ups
            *("-c", "4000", "-C", "4000"),
            *("-L", "100000:5"),  # listings longer than 10,000 lines are cut short else
            *("-u", "1", "-U", "022:022"),
            *("-f", "none"),  # no syslog
            *(("-Y", "3", "-2", str(self._pair())) if self.tls else ()),  # no login and no data in clear text
        ]

    def _pair(self) -> Path:
        """The certificate and the key in one file."""
        pair = self.scratch / "pair.pem"
        pair.write_bytes(self.key.read_bytes() + self.certificate.read_bytes())
        pair.chmod(0o600)
        return pair

    def environment(self) -> dict[str, str]:
        return environment(unpack_server("pure-ftpd"))
