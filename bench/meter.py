"""What a server's processes cost: CPU time, and memory."""

from __future__ import annotations

import os
import time
from pathlib import Path


class CpuMeter:
    """The CPU time of a process and of all that it ever starts, ended ones included, in seconds.

    By a control group of its own where the system has cgroup v2 and lets us: that forgets nobody. Else from /proc: the
    processes that live, and the children that each has waited for.
    """

    def __init__(self) -> None:
        self._group: Path | None = None
        self._pid = 0

    def follow(self, pid: int) -> None:
        """Begin with this process, which has to be one that has started no others yet."""
        self._pid, self._group = pid, _new_group(pid)

    def __enter__(self) -> CpuMeter:
        return self

    def __exit__(self, *_: object) -> None:
        """To be left once the server has ended: a group that still holds a process cannot be removed."""
        end = time.monotonic() + 5
        while self._group is not None:
            try:
                self._group.rmdir()
                self._group = None
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def read(self) -> float:
        if self._group is None:
            return sum(_cpu_of(pid) for pid in tree(self._pid))
        stat = dict(line.split() for line in (self._group / "cpu.stat").read_text().splitlines())
        return int(stat["usage_usec"]) / 1e6


def memory(pid: int) -> int:
    """The memory of a process and its descendants in bytes: PSS, which counts a page that n processes share as 1/n each."""
    total = 0
    for each in tree(pid):
        try:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024
    return total


def tree(pid: int) -> list[int]:
    """A process and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = _stat(int(entry))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found


def _cpu_of(pid: int) -> float:
    """utime, stime, and those of the children that were waited for."""
    fields = _stat(pid)
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on (the name before it may hold blanks); empty if it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _new_group(pid: int) -> Path | None:
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if kind == "cgroup2":
            group = Path(mount) / f"port21-bench-{pid}"
            try:
                group.mkdir()
            except OSError:
                continue
            try:
                _move(group, pid)
                if "usage_usec" in (group / "cpu.stat").read_text():
                    return group
            except OSError:
                pass
            group.rmdir()
    return None


def _move(group: Path, pid: int) -> None:
    (group / "cgroup.procs").write_text(str(pid))
