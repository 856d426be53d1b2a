"""ncftp: its programs for scripts where they have the operation, its console where they have not."""

from __future__ import annotations

from pathlib import Path

from .base import Client, Mode
from .console import quoted


class Ncftp(Client):
    name = "ncftp"
    modes = (Mode("PASV"), Mode("PORT"))

    def list(self, folder: str) -> str:
        return self.run("ncftpls", "-l", *self._login(), self.url(f"{folder}/"))

    def get(self, path: str, local: Path) -> str:
        return self._transfer("ncftpget", "-Z", path, local)

    def put(self, local: Path, path: str) -> str:
        return self._transfer("ncftpput", "-Z", local, path)

    def resume_get(self, path: str, local: Path) -> str:
        return self._transfer("ncftpget", "-z", path, local)

    def resume_put(self, local: Path, path: str) -> str:
        # -s: with sendfile, it seeks on the server (REST) and then sends the file from its first byte on.
        return self._transfer("ncftpput", "-s -z", local, path)

    def rename(self, old: str, new: str) -> str:
        return self._script(f"rename {quoted(old)} {quoted(new)}")

    def mkdir(self, path: str) -> str:
        return self._script(f"mkdir {quoted(path)}")

    def rmdir(self, path: str) -> str:
        return self._script(f"rmdir {quoted(path)}")

    def delete(self, path: str) -> str:
        return self._script(f"rm {quoted(path)}")

    def _transfer(self, program: str, resume: str, source: object, target: object) -> str:
        return self.run(
            program, "-V", *resume.split(), *self._login(), "-C", self.server.host, str(source), str(target)
        )

    def _script(self, *commands: str) -> str:
        lines = ["set auto-resume no", f"set passive {'off' if self.mode.active else 'on'}", *commands, "quit"]
        return self.run(
            "ncftp", *self._login()[:-1], self.server.host, stdin="\n".join(lines) + "\n", statuses=range(256)
        )

    def _login(self) -> list[str]:
        who = ["-u", self.server.user, "-p", self.server.password, "-P", str(self.server.port)]
        return [*who, "-E" if self.mode.active else "-F"]
