"""vsftpd: the user is the anonymous one, with a right to write, so that no account of the machine is touched."""

from __future__ import annotations

import re

from ..packages import environment, unpack_server
from .base import Server


class Vsftpd(Server):
    name = "vsftpd"
    tls_kinds = ("require", "implicit")

    def command(self) -> list[str]:
        empty = self.scratch / "empty"
        empty.mkdir(mode=0o555)
        v6 = ":" in self.host
        first, last = self.ports.passive
        settings = {
            "background": "NO",
            "listen": "NO" if v6 else "YES",
            "listen_ipv6": "YES" if v6 else "NO",
            "listen_address6" if v6 else "listen_address": self.host,
            "listen_port": self.port,
            "connect_from_port_20": "YES",
            "ftp_data_port": self.port - 1,
            "pasv_min_port": first,
            "pasv_max_port": last,
            "anonymous_enable": "YES",
            "anon_root": self.root,
            "ftp_username": "daemon",  # it wants one whose home exists, and goes on to anon_root from there
            "nopriv_user": "nobody",
            "no_anon_password": "NO",
            "write_enable": "YES",
            "anon_upload_enable": "YES",
            "anon_mkdir_write_enable": "YES",
            "anon_other_write_enable": "YES",
            "anon_umask": "022",
            "anon_world_readable_only": "NO",
            "local_enable": "NO",
            "secure_chroot_dir": empty,
            # Its filter of system calls is older than the C library and kills sessions on new kernels; its name spaces
            # need rights that containers lack.
            "seccomp_sandbox": "NO",
            "isolate": "NO",
            "isolate_network": "NO",
            "max_login_fails": 3,
            "use_sendfile": "YES",
            "xferlog_enable": "NO" if self.quiet else "YES",
            "log_ftp_protocol": "NO" if self.quiet else "YES",
            "vsftpd_log_file": self.scratch / "commands.log",
        }
        if self.tls:
            settings |= {
                "ssl_enable": "YES",
                "implicit_ssl": "YES" if self.tls == "implicit" else "NO",
                "allow_anon_ssl": "YES",
                "force_anon_logins_ssl": "YES",
                "force_anon_data_ssl": "YES",
                "rsa_cert_file": self.certificate,
                "rsa_private_key_file": self.key,
                "ssl_ciphers": "HIGH",
                # A data connection must resume the session, and an upload must end with close_notify.
                "require_ssl_reuse": "YES",
                "strict_ssl_read_eof": "YES",
            }
        if not self.epsv:
            settings["cmds_denied"] = "EPSV"
        config = self.scratch / "vsftpd.conf"
        config.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        return [str(unpack_server("vsftpd") / "usr/sbin/vsftpd"), str(config)]

    def environment(self) -> dict[str, str]:
        return environment(unpack_server("vsftpd"))

    def verbs(self) -> set[str] | None:
        log = self.scratch / "commands.log"
        text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
        return {verb.upper() for verb in re.findall(r'FTP command: Client "[^"]*", "([A-Za-z]+)', text)}
