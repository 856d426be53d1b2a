"""What passes on an interface: an own packet capture, read as TCP and UDP."""

from __future__ import annotations

import socket
import struct
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Iterator

_ETH_P_ALL = 3
_ETH_P_IP = 0x0800
_PACKET_OUTGOING = 4

FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


@dataclass(frozen=True)
class Packet:
    """One IPv4 packet. For UDP, `flags`, `seq` and `ack` are 0."""

    protocol: str  # "tcp" or "udp"
    source: tuple[str, int]
    target: tuple[str, int]
    flags: int
    seq: int
    ack: int
    data: bytes


class Capture:
    """Everything that passes on an interface while the block runs. Needs root (or CAP_NET_RAW)."""

    def __init__(self, interface: str = "lo") -> None:
        self.packets: list[Packet] = []
        self._frames: list[tuple[int, bytes]] = []
        # Loopback shows every packet twice, as it leaves and as it arrives.
        self._twice = interface == "lo"
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        self._socket.bind((interface, _ETH_P_ALL))
        self._socket.settimeout(0.1)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self._socket.close()

    def _listen(self) -> None:
        while True:
            try:
                frame, address = self._socket.recvfrom(1 << 17)
            except socket.timeout:
                # Only once nothing has come for a while: what was sent before the end is still taken.
                if self._done.is_set():
                    return
                continue
            if not (self._twice and address[2] == _PACKET_OUTGOING):
                self._frames.append((time.time_ns(), frame))
                self.packets.extend(_parse(frame))

    def save(self, path: Path, snap: int = 1 << 18, keeps: Callable[[Packet], bool] = lambda _: True) -> None:
        """Write what was captured as pcap: Ethernet, nanoseconds. Of each packet at most so many bytes, and only some packets."""
        with path.open("wb") as file:
            file.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, snap, 1))
            for at, frame in self._frames:
                if all(map(keeps, _parse(frame))):
                    seconds, nanos = divmod(at, 1_000_000_000)
                    file.write(struct.pack("<IIII", seconds, nanos, len(frame[:snap]), len(frame)) + frame[:snap])


def _parse(frame: bytes) -> Iterator[Packet]:
    if len(frame) < 34 or struct.unpack_from("!H", frame, 12)[0] != _ETH_P_IP:
        return
    packet = frame[14:]
    header, (total,) = (packet[0] & 0x0F) * 4, struct.unpack_from("!H", packet, 2)
    source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    body = packet[header : total or None]
    if packet[9] == socket.IPPROTO_UDP and len(body) >= 8:
        ports = struct.unpack_from("!HH", body)
        yield Packet("udp", (source, ports[0]), (target, ports[1]), 0, 0, 0, body[8:])
    elif packet[9] == socket.IPPROTO_TCP and len(body) >= 20:
        from_port, to_port, seq, ack, offset, flags = struct.unpack_from("!HHIIBB", body)
        data = body[(offset >> 4) * 4 :]
        yield Packet("tcp", (source, from_port), (target, to_port), flags, seq, ack, data)
