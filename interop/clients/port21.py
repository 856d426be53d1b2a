"""Our own client, both ways in which it is used: URL commands, and the console with a script."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Callable

from ..binary import port21
from ..content import PART, PAYLOAD, expect, expect_gone, folder, write
from ..report import Failure
from .base import Client, Mode, protected

_MODES = (
    Mode("EPSV"),
    Mode("PASV"),
    Mode("PORT"),
    Mode("EPSV", 6),
    Mode("EPRT", 6),
    *protected("EPSV"),
    Mode("PORT", tls="require", version="1.2"),
    Mode("PORT", tls="require", version="1.3"),
)


class _Ours(Client):
    modes = _MODES
    falls_back_to_pasv = True
    _traces = 0

    def recordings(self) -> list[Path]:
        return list(self.home.glob("*.jsonl"))

    def verbs(self) -> set[str] | None:
        traces = (path.read_text(encoding="utf-8") for path in self.recordings())
        return {verb for trace in traces for verb in re.findall(r'"verb":"([A-Z]+)"', trace)}

    def flags(self) -> list[str]:
        self._traces += 1
        explicit = ["--tls"] if self.mode.tls == "require" else []
        tls = [*explicit, "--cacert", str(self.server.certificate), "--tls-version", self.mode.version]
        return [
            *("--timeout", "15s", "--trace", str(self.home / f"{self._traces}.jsonl")),
            *(["--active"] if self.mode.active else []),
            *(tls if self.mode.tls else []),
        ]


class Port21(_Ours):
    name = "port21"
    compares_digests = True

    def many_puts(self, up: Path, path: str) -> str:
        return self._port21("put", *(str(file) for file in sorted(up.iterdir())), self._url(f"{path}/"))

    def many_gets(self, path: str, down: Path) -> str:
        return self._port21("get", "-o", f"{down}/", *(self._url(f"{path}/{n}.bin") for n in range(200)))

    def list(self, folder: str) -> str:
        return self._port21("ls", self._url(f"{folder}/")) + self._port21("ls", "--json", self._url(f"{folder}/"))

    def get(self, path: str, local: Path) -> str:
        return self._port21("get", "-o", str(local), self._url(path))

    def put(self, local: Path, path: str) -> str:
        return self._port21("put", str(local), self._url(path))

    def resume_get(self, path: str, local: Path) -> str:
        return self._port21("get", "-c", "-o", str(local), self._url(path))

    def resume_put(self, local: Path, path: str) -> str:
        return self._port21("put", "-c", str(local), self._url(path))

    def rename(self, old: str, new: str) -> str:
        return self._port21("mv", self._url(old), new)

    def mkdir(self, path: str) -> str:
        return self._port21("mkdir", self._url(path))

    def rmdir(self, path: str) -> str:
        return self._port21("rm", "-r", self._url(path))

    def delete(self, path: str) -> str:
        return self._port21("rm", self._url(path))

    def more(self, site: Path) -> dict[str, Callable[[], object]]:
        def cat() -> None:
            write(site / "cat.txt", PAYLOAD.replace(b"\0", b"0"))
            ended = self._bytes("cat", self._url("/site/cat.txt"))
            expect(write(self.home / "cat.txt", ended), PAYLOAD.replace(b"\0", b"0"), "")

        def stat() -> None:
            write(site / "stat.bin", PAYLOAD)
            said = self._port21("stat", "--json", self._url("/site/stat.bin"))
            found = json.loads(said.splitlines()[-1])
            if found.get("size") != len(PAYLOAD) or found.get("type") != "file":
                raise Failure(f"not a file of {len(PAYLOAD)} bytes", said)

        def tree() -> None:
            folder(site / "tree")
            folder(site / "tree/below")
            write(site / "tree/a.bin", b"a")
            write(site / "tree/below/it's b.bin", b"b")
            expect_gone(site / "tree", self._port21("rm", "-r", self._url("/site/tree")))

        def parents() -> None:
            said = self._port21("mkdir", "-p", self._url("/site/one/two/three"))
            if not (site / "one/two/three").is_dir():
                raise Failure("no such directories were made", said)

        def several() -> None:
            files = [write(self.home / f"several-{n}.bin", PAYLOAD[n:]) for n in range(3)]
            said = self._port21("put", *map(str, files), self._url("/site/"))
            for n, file in enumerate(files):
                expect(site / file.name, PAYLOAD[n:], said)

        def no_such_file() -> None:
            # 5 is "the server refused", and what was there before stays.
            local = write(self.home / "stays.bin", b"as it was")
            said = self._port21("get", "-o", str(local), self._url("/site/no-such-file"), status=5)
            expect(local, b"as it was", said)

        def wrong_password() -> None:
            # vsftpd's user is the anonymous one, whose password may be anything.
            user = "nobody-here" if self.server.name == "vsftpd" else self.server.user
            url = self.url("/site/", login=True).replace(f"{self.server.user}:{self.server.password}@", f"{user}:wrong@")
            said = self._port21("ls", url, status=4)
            if "wrong" in said.replace(url, ""):
                raise Failure("the password is in what it said", said)

        def mirror_down() -> None:
            tree = _plant(site / "mirror-down")
            local = self.home / "mirror-down"
            url = self._url("/site/mirror-down")
            _same(tree, local, self._port21("mirror", url, str(local)))
            _nothing_to_do(self._port21("mirror", url, str(local)))
            (tree / "b.bin").unlink()
            write(local / "old.bin", b"old")
            _same(tree, local, self._port21("mirror", "--delete", url, str(local)))

        def mirror_up() -> None:
            local = _plant(self.home / "mirror-up")
            tree = site / "mirror-up"
            url = self._url("/site/mirror-up")
            _same(local, tree, self._port21("mirror", "--parallel", "2", str(local), url))
            _nothing_to_do(self._port21("mirror", str(local), url))
            (local / "b.bin").unlink()
            _same(local, tree, self._port21("mirror", "--delete", str(local), url))

        def several_by_pattern() -> None:
            tree = _plant(site / "pattern")
            local = self.home / "pattern"
            said = self._port21("get", "--parallel", "3", "-o", f"{local}/", self._url("/site/pattern/") + "*.bin")
            expect(local / "b.bin", (tree / "b.bin").read_bytes(), said)
            expect(local / "it's.bin", (tree / "it's.bin").read_bytes(), said)
            folder(site / "pattern-up")
            said = self._port21("put", "--parallel", "3", str(local / "*.bin"), self._url("/site/pattern-up/"))
            expect(site / "pattern-up/b.bin", (tree / "b.bin").read_bytes(), said)

        def segments() -> None:
            data = PAYLOAD * 20
            write(site / "segments.bin", data)
            local = self.home / "segments.bin"
            said = self._port21("get", "--segments", "3", "-o", str(local), self._url("/site/segments.bin"))
            expect(local, data, said)

        return {
            "mirror down, and again": mirror_down,
            "mirror up, and again": mirror_up,
            "get and put by pattern, three at once": several_by_pattern,
            "get in segments": segments,
            "cat": cat,
            "stat": stat,
            "rm -r of a tree": tree,
            "mkdir -p": parents,
            "put several files": several,
            "get what is not there": no_such_file,
            "wrong password": wrong_password,
        }

    def _url(self, path: str) -> str:
        return self.url(path, login=True)

    def _port21(self, command: str, *arguments: str, status: int = 0) -> str:
        return self.run(port21(), command, *self.flags(), *arguments, statuses=(status,))

    def _bytes(self, command: str, *arguments: str) -> bytes:
        """Standard output alone, as it is."""
        out = self.home / "stdout.bin"
        line = 'out=$1; shift; exec "$@" >"$out"'
        self.run("sh", "-c", line, "sh", str(out), port21(), command, *self.flags(), *arguments)
        return out.read_bytes()


def _plant(root: Path) -> Path:
    """A tree with a directory in a directory, and files that are not all alike."""
    folder(root)
    folder(root / "deep")
    folder(root / "deep/er")
    for name, data in {
        "b.bin": PAYLOAD,
        "it's.bin": PAYLOAD[1:5],
        "empty": b"",
        "deep/Grüße.txt": b"one\r\ntwo\n",
        "deep/er/last one.bin": PAYLOAD[7:],
    }.items():
        write(root / name, data)
    return root


def _same(source: Path, target: Path, said: str) -> None:
    """The target holds just what the source does."""

    def all_of(root: Path) -> dict[str, bytes | None]:
        return {str(p.relative_to(root)): p.read_bytes() if p.is_file() else None for p in root.rglob("*")}

    wanted, found = all_of(source), all_of(target)
    if wanted != found:
        names = [name for name in sorted({*wanted, *found}) if wanted.get(name, b"-") != found.get(name, b"-")]
        raise Failure(f"not the same on both sides: {', '.join(names)}", said)


def _nothing_to_do(said: str) -> None:
    if "0 files transferred" not in said:
        raise Failure("the second run transferred files", said)


class Port21Shell(_Ours):
    name = "port21 shell"

    def list(self, folder: str) -> str:
        return self._script(f"dir {_quoted(folder)}")

    def get(self, path: str, local: Path) -> str:
        return self._script(f"get {_quoted(path)} {_quoted(str(local))}")

    def put(self, local: Path, path: str) -> str:
        return self._script(f"put {_quoted(str(local))} {_quoted(path)}")

    def resume_get(self, path: str, local: Path) -> str:
        return self._script(f"reget {_quoted(path)} {_quoted(str(local))}")

    def resume_put(self, local: Path, path: str) -> str:
        # The console resumes an upload as the BSD one did: with `append`, of what is missing.
        rest = write(local.with_suffix(".rest"), local.read_bytes()[len(PART) :])
        return self._script(f"append {_quoted(str(rest))} {_quoted(path)}")

    def rename(self, old: str, new: str) -> str:
        return self._script(f"rename {_quoted(old)} {_quoted(new)}")

    def mkdir(self, path: str) -> str:
        return self._script(f"mkdir {_quoted(path)}")

    def rmdir(self, path: str) -> str:
        return self._script(f"rmdir {_quoted(path)}")

    def delete(self, path: str) -> str:
        return self._script(f"delete {_quoted(path)}")

    def more(self, site: Path) -> dict[str, Callable[[], object]]:
        def walk() -> None:
            """A longer session: directories on both sides, several files at a time, all on one connection."""
            folder(site / "walk")
            local = folder(self.home / "walk")
            for n in range(3):
                write(local / f"up {n}.bin", PAYLOAD[n:])
                write(site / "walk" / f"down-{n}.bin", PAYLOAD[n:])
            said = self._script(
                "cd /site/walk",
                f"lcd {_quoted(str(local))}",
                "pwd",
                "prompt",
                "mput up*.bin",
                "mget down-*.bin",
                "size down-1.bin",
                "modtime down-1.bin",
                "mdelete down-0.bin down-2.bin",
                "mkdir below",
                "cd below",
                "cdup",
                "rmdir below",
                "status",
                "quote NOOP",
            )
            for n in range(3):
                expect(site / "walk" / f"up {n}.bin", PAYLOAD[n:], said)
                expect(local / f"down-{n}.bin", PAYLOAD[n:], said)
            expect_gone(site / "walk/down-0.bin", said)
            expect_gone(site / "walk/down-2.bin", said)
            expect_gone(site / "walk/below", said)
            if str(len(PAYLOAD[1:])) not in said:
                raise Failure("size told no size", said)

        def ascii_get() -> None:
            write(site / "lines.txt", b"one\ntwo\n")
            local = self.home / "lines.txt"
            said = self._script("ascii", f"get /site/lines.txt {_quoted(str(local))}")
            expect(local, b"one\ntwo\n", said)

        def failed_command() -> None:
            self._script("cd /site/no-such-folder", status=5)

        return {"a longer script": walk, "ascii": ascii_get, "a command that fails": failed_command}

    def _script(self, *commands: str, status: int = 0) -> str:
        lines = [
            f"open {self.url('', login=True)}",
            "binary",
            *commands,
            "bye",
        ]
        return self.run(port21(), "shell", *self.flags(), stdin="\n".join(lines) + "\n", statuses=(status,))


def _quoted(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
