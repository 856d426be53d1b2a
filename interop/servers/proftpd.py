"""proftpd: its user is a virtual one from a password file, mapped to `nobody`."""

from __future__ import annotations

import pwd

from ..packages import environment, unpack_server
from .base import Server


class Proftpd(Server):
    name = "proftpd"
    tls_kinds = ("require", "implicit")

    def command(self) -> list[str]:
        nobody = pwd.getpwnam("nobody")
        passwd = self.scratch / "passwd"
        passwd.write_text(f"{self.user}:{self.password_hash}:{nobody.pw_uid}:{nobody.pw_gid}::{self.root}:/bin/false\n")
        passwd.chmod(0o600)
        first, last = self.ports.passive
        folder = unpack_server("proftpd")
        # Data connections must resume the session: that is the default.
        tls = [
            f"ModulePath {folder}/usr/lib/proftpd",
            "LoadModule mod_tls.c",
            "TLSEngine on",
            "TLSRequired on",
            "TLSProtocol TLSv1.2 TLSv1.3",
            f"TLSECCertificateFile {self.certificate}",
            f"TLSECCertificateKeyFile {self.key}",
            f"TLSLog {self.scratch}/tls.log",
            *(["TLSOptions UseImplicitSSL"] if self.tls == "implicit" else []),
        ]
        lines = [
            *(tls if self.tls else []),
            'ServerName "interop"',
            "ServerType standalone",
            "DefaultServer on",
            f"DefaultAddress {self.host}",
            "SocketBindTight on",
            f"Port {self.port}",
            f"UseIPv6 {'on' if ':' in self.host else 'off'}",
            "User nobody",
            "Group nogroup",
            f"PidFile {self.scratch}/proftpd.pid",
            f"ScoreboardFile {self.scratch}/scoreboard",
            f"SystemLog {self.scratch}/system.log",
            f"DelayTable {self.scratch}/delay.tab",
            "DelayEngine off",  # it slows logins down on purpose
            "TransferLog none",
            "WtmpLog off",
            "UseReverseDNS off",
            "AuthPAM off",
            "AuthOrder mod_auth_file.c",
            f"AuthUserFile {passwd}",
            "RequireValidShell off",
            f"DefaultRoot {self.root}",
            "MaxInstances 4000",
            f"PassivePorts {first} {last}",
            "AllowOverwrite on",
            "AllowStoreRestart on",
            "AllowRetrieveRestart on",
            "Umask 022 022",
            "<Limit WRITE>",
            "  AllowAll",
            "</Limit>",
        ]
        if not self.epsv:
            lines += ["<Limit EPSV>", "  DenyAll", "</Limit>"]
        if not self.quiet:
            lines += ['LogFormat commands "%m"', f"ExtendedLog {self.scratch}/commands.log ALL commands"]
        config = self.scratch / "proftpd.conf"
        config.write_text("\n".join(lines) + "\n")
        return [str(folder / "usr/sbin/proftpd"), "--nodaemon", "--config", str(config)]

    def environment(self) -> dict[str, str]:
        return environment(unpack_server("proftpd"))

    def verbs(self) -> set[str] | None:
        log = self.scratch / "commands.log"
        return set(log.read_text(errors="replace").upper().split()) if log.exists() else set()
