"""A network that can be cut: a link between the server's host and the client's, both on this machine."""

from __future__ import annotations

import ctypes
import os
import shutil
from contextlib import contextmanager
from typing import Iterator

from .processes import run
from .report import Skip
from .servers import Port21


class Link:
    """A pair of virtual interfaces: the server's end is here, the client's in a network name space of its own."""

    server_address, client_address = "198.51.100.1", "198.51.100.2"

    def __init__(self) -> None:
        tag = f"p21{os.getpid() % 10**7}"
        self.space, self.here, self._there = tag, f"{tag}s", f"{tag}c"

    def up(self) -> None:
        there = ["ip", "-n", self.space]
        for command in (
            ["ip", "netns", "add", self.space],
            ["ip", "link", "add", self.here, "type", "veth", "peer", "name", self._there, "netns", self.space],
            ["ip", "address", "add", f"{self.server_address}/30", "dev", self.here],
            ["ip", "link", "set", self.here, "up"],
            [*there, "address", "add", f"{self.client_address}/30", "dev", self._there],
            [*there, "link", "set", self._there, "up"],
            [*there, "link", "set", "lo", "up"],
        ):
            _permitted(command)

    def down(self) -> None:
        run(["ip", "link", "delete", self.here])
        run(["ip", "netns", "delete", self.space])

    def renew(self) -> None:
        """Another network in its place: whatever was on its way over the old one never arrives."""
        self.down()
        self.up()

    def cut(self) -> None:
        """No packet passes any more, and neither end is told: the far interface goes down, ours keeps its address."""
        run(["ip", "-n", self.space, "link", "set", self._there, "down"])

    def mend(self) -> None:
        run(["ip", "-n", self.space, "link", "set", self._there, "up"])

    def lead_to(self, address: str) -> None:
        """What the far end sends to this address goes out over the link, and nobody is there to take it."""
        there = ["ip", "-n", self.space]
        _permitted([*there, "route", "add", f"{address}/32", "dev", self._there])
        _permitted([*there, "neighbour", "add", address, "lladdr", "02:00:00:00:00:21", "dev", self._there])

    def drop(self, which: str) -> None:
        """What comes to the far end and is like this, as nft says it, is dropped there, and nobody is told."""
        if not shutil.which("nft"):
            raise Skip("nft is not on this machine")
        for rule in (
            "add table inet port21",
            "add chain inet port21 input { type filter hook input priority 0; }",
            f"add rule inet port21 input {which} drop",
        ):
            _permitted(["ip", "netns", "exec", self.space, "nft", rule])

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread makes meanwhile, and programs that it starts, are the client's: they belong to its name space
        for good."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        space = os.open(f"/run/netns/{self.space}", os.O_RDONLY)
        try:
            _setns(space)
            yield
        finally:
            _setns(home)
            os.close(space)
            os.close(home)


def _permitted(command: list[str]) -> None:
    ended = run(command)
    if ended.returncode != 0:
        raise Skip(f"this machine does not allow it: `{' '.join(command)}`: {ended.stdout.strip()}")


@contextmanager
def standing_link() -> Iterator[Link]:
    link = Link()
    try:
        link.up()
        yield link
    finally:
        link.down()


class Port21Beyond(Port21):
    """port21 on an address that is not loopback, with short timeouts, so that it sees soon that a peer is gone."""

    def command(self) -> list[str]:
        config = self.scratch / "port21.toml"
        config.write_text('[timeouts]\nstall = "2s"\nidle = "2s"\nlogin = "5s"\n')
        return [*super().command(), "--config", str(config)]


def _setns(descriptor: int) -> None:
    # os.setns came with Python 3.12.
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, 0) != 0:
        raise OSError(ctypes.get_errno(), "setns")
