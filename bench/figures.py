"""The figures: medians, ratios, and the table."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Callable

from .load import Sample

STALL_SECONDS = 0.040
_OURS = "port21"
_BEGIN, _END = "<!-- figures: begin (bench/run --write) -->", "<!-- figures: end -->"


@dataclass
class Row:
    """The samples of one workload, by server."""

    what: str
    unit: str
    per: str
    samples: dict[str, list[Sample]] = field(default_factory=dict)

    def add(self, server: str, sample: Sample | None) -> None:
        if sample is not None:
            self.samples.setdefault(server, []).append(sample)

    def stalls(self) -> bool:
        """Whether our median operation takes as long as one that waits for a delayed ACK. Listings are no small ones."""
        if self.per == "listing":
            return False
        return (self._median(_OURS, _operation) or 0) >= STALL_SECONDS

    def lines(self, servers: list[str]) -> list[list[str]]:
        """The table's lines of this row: what, a cell a server, and how ours compares with the best other."""
        lines = []

        def add(what: str, of: Callable[[Sample], float | None], show: Callable[[float], str], more_is_better: bool) -> None:
            values = {server: self._median(server, of) for server in servers}
            if all(value is None for value in values.values()):
                return
            cells = ["–" if value is None else show(value) for value in values.values()]
            lines.append([what, *cells, _ratio(values, more_is_better)])

        memory = not self.per
        add(f"**{self.what}**, {self.unit}", lambda sample: sample.rate, _number, not memory)
        if not memory:
            unit, factor = ("ms", 1e3) if self.per in ("GiB", "listing") else ("µs", 1e6)
            add(f"… {unit} of CPU a {self.per}", lambda sample: sample.cpu, lambda cpu: _number(cpu * factor), False)
        add(f"… ms a {self.per}, median", _operation, lambda seconds: f"{seconds * 1e3:.2f}{_stall(seconds, self)}", False)
        add(f"… ms a {self.per}, longest", _longest, lambda seconds: f"{seconds * 1e3:.2f}", False)
        return lines

    def _median(self, server: str, of: Callable[[Sample], float | None]) -> float | None:
        values = [value for value in map(of, self.samples.get(server, [])) if value is not None]
        return median(values) if values else None


def markdown(table: list[Row], servers: list[str], repetitions: int) -> str:
    head = ["", *servers, "port21 : best other"]
    rows = [head, ["---"] + ["---:"] * (len(head) - 1)]
    rows += [line for row in table for line in row.lines(servers)]
    intro = (
        f"Medians of {repetitions} repetitions, on {os.cpu_count()} cores shared with the load. Compare within a row: in the last "
        "column, more than 1 is better for port21, whatever the unit."
    )
    return "\n".join([intro, "", *(f"| {' | '.join(row)} |" for row in rows)])


def write(document: Path, text: str) -> None:
    """Put the table between its marks in the document."""
    before, _, rest = document.read_text(encoding="utf-8").partition(_BEGIN)
    _, mark, after = rest.partition(_END)
    if not mark:
        raise SystemExit(f"{document} has no place for the figures: {_BEGIN} ... {_END}")
    document.write_text(f"{before}{_BEGIN}\n{text}\n{_END}{after}", encoding="utf-8")


def _operation(sample: Sample) -> float | None:
    return median(sample.times) if sample.times else None


def _longest(sample: Sample) -> float | None:
    return max(sample.times) if sample.times else None


def _stall(seconds: float, row: Row) -> str:
    return " STALL" if seconds >= STALL_SECONDS and row.per != "listing" else ""


def _ratio(values: dict[str, float | None], more_is_better: bool) -> str:
    ours = values.get(_OURS)
    others = [value for server, value in values.items() if server != _OURS and value is not None]
    if ours is None or not others:
        return ""
    ratio = ours / max(others) if more_is_better else min(others) / ours if ours > 0 else float("inf")
    return f"{ratio:.2f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"
