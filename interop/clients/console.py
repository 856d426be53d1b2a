"""The two that read commands as the BSD `ftp` did: what they share."""

from __future__ import annotations

from pathlib import Path

from ..content import PART
from .base import Client


class Console(Client):
    """A console is given a script on standard input; its exit status says nothing."""

    def list(self, folder: str) -> str:
        return self._script(f"dir {quoted(folder)}")

    def get(self, path: str, local: Path) -> str:
        return self._script(f"get {quoted(path)} {quoted(str(local))}")

    def put(self, local: Path, path: str) -> str:
        return self._script(f"put {quoted(str(local))} {quoted(path)}")

    def resume_get(self, path: str, local: Path) -> str:
        return self._script(f"reget {quoted(path)} {quoted(str(local))}")

    def resume_put(self, local: Path, path: str) -> str:
        return self._script(f"restart {len(PART)}", f"put {quoted(str(local))} {quoted(path)}")

    def rename(self, old: str, new: str) -> str:
        return self._script(f"rename {quoted(old)} {quoted(new)}")

    def mkdir(self, path: str) -> str:
        return self._script(f"mkdir {quoted(path)}")

    def rmdir(self, path: str) -> str:
        return self._script(f"rmdir {quoted(path)}")

    def delete(self, path: str) -> str:
        return self._script(f"delete {quoted(path)}")

    def _script(self, *commands: str) -> str:
        login = f"user {self.server.user} {self.server.password}"
        lines = [login, "binary", *self.settings(), *commands, "bye"]
        command = self.command()
        return self.run(*command, stdin="\n".join(lines) + "\n", statuses=range(256))

    def command(self) -> list[str]:
        raise NotImplementedError

    def settings(self) -> list[str]:
        return []


def quoted(word: str) -> str:
    """A word as these consoles read it: within quotation marks they take no escapes, outside of them they do."""
    return "".join(letter if letter.isalnum() or letter in "/._-" else f"\\{letter}" for letter in word)
