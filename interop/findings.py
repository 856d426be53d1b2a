"""What `port21 trace` finds wrong with recorded sessions: nothing, where all went well; where a check has made something fail,
that alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Collection, Iterable

from .binary import port21
from .processes import run
from .report import Failure, Skip

# What recordings of 400 transfers and more need on a busy machine of two cores.
_SECONDS = 60


# A machine that does much at once answers late, and neither side is to blame.
_OF_THE_MACHINE = frozenset({"slow-login"})


def expect_none(recordings: Iterable[Path], excused: Collection[str] = ()) -> None:
    """No session of these has a fault or a warning, but by rules that are `excused`."""
    found = [finding for finding in _findings(recordings) if finding["rule"] not in excused]
    if found:
        rules = sorted({finding["rule"] for finding in found})
        raise Failure(f"found: {', '.join(rules)}", _evidence(found))


def expect_each(recordings: Iterable[Path], rules: Collection[str], perhaps: Collection[str] = ()) -> None:
    """By each of these rules there is a fault or a warning in one of the sessions, and by no other, but `perhaps` by those."""
    found = [finding for finding in _findings(recordings) if finding["rule"] not in perhaps]
    if {finding["rule"] for finding in found} != set(rules):
        told = ", ".join(sorted({finding["rule"] for finding in found})) or "nothing"
        raise Failure(f"found: {told}; expected: {', '.join(sorted(rules)) or 'nothing'}", _evidence(found))


def _findings(recordings: Iterable[Path]) -> list[dict]:
    """The faults and warnings of sessions. One process for all of them."""
    files = sorted(str(path) for path in recordings)
    if not files:
        raise Skip("neither side keeps recordings")
    ended = run([port21(), "trace", "--format", "json", "--fail-on", "warning", *files], seconds=_SECONDS)
    if ended.returncode == 0:
        return []
    if ended.returncode != 8:
        raise Failure(f"port21 trace: exit status {ended.returncode}", ended.stdout)
    document = next(line for line in ended.stdout.splitlines() if line.startswith('{"version":'))
    found = [finding for finding in json.loads(document)["findings"] if finding["severity"] != "note"]
    return [finding for finding in found if finding["rule"] not in _OF_THE_MACHINE]


def _evidence(findings: list[dict]) -> str:
    return "\n".join(line for finding in findings[:5] for line in _told(finding))


def _told(finding: dict) -> list[str]:
    rows = [f"    {row['t'][11:23]} {row['kind']}: {row['text']}" for row in finding["rows"][:12]]
    return [f"session {finding['session']}: {finding['severity']} {finding['rule']}: {finding['text']}", *rows]
