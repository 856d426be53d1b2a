"""The table: one line a check, and the closing line that CI counts."""

from __future__ import annotations

import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Callable, Iterable


class Failure(Exception):
    """A check that did not hold. `evidence` is what the programs said, shown under the line."""

    def __init__(self, why: str, evidence: str = ""):
        super().__init__(why)
        self.evidence = evidence


class Skip(Exception):
    """A check that cannot be made: the client has no such operation, or this machine does not allow it."""


@dataclass
class Result:
    verdict: str  # "ok", "FAIL" or "skip"
    subject: str
    operation: str
    mode: str
    why: str = ""
    evidence: str = ""

    def __str__(self) -> str:
        line = f"{self.verdict:<5} {self.subject:<14} {self.operation:<26} {self.mode:<15} {self.why}".rstrip()
        return "\n".join([line] + [f"      | {said}" for said in _tail(self.evidence)])


@dataclass
class Scenario:
    """A series of checks on one server of its own. `subject` and `mode` are the columns that they share."""

    subject: str
    mode: str
    play: Callable[["Scenario"], None]
    results: list[Result] = field(default_factory=list)

    def check(self, operation: str, action: Callable[[], object]) -> bool:
        """Make one check; true when it held. Nothing that an action does wrong ends the scenario."""
        result = Result("ok", self.subject, operation, self.mode)
        try:
            action()
        except Skip as skip:
            result.verdict, result.why = "skip", str(skip)
        except Failure as failure:
            result.verdict, result.why, result.evidence = "FAIL", str(failure), failure.evidence
        except Exception as error:  # a driver that breaks is a check that failed, with its reason
            result.verdict, result.why = "FAIL", f"{type(error).__name__}: {error}"
            result.evidence = traceback.format_exc()
        self.results.append(result)
        return result.verdict == "ok"

    def run(self) -> list[Result]:
        """Play it all. What breaks outside a check (a server that does not start) is a line of its own."""
        if self.check("whole scenario", lambda: self.play(self)):
            self.results.pop()
        return self.results


class Report:
    """Runs scenarios, `workers` at a time, and prints their lines in the order in which they were given."""

    def __init__(self, workers: int):
        self.workers = workers
        self._count = {"ok": 0, "FAIL": 0, "skip": 0}
        self._lock = threading.Lock()

    def run(self, title: str, scenarios: Iterable[Scenario]) -> None:
        print(f"\n# {title}", flush=True)
        with ThreadPoolExecutor(self.workers) as pool:
            for results in pool.map(Scenario.run, list(scenarios)):
                for result in results:
                    self._count[result.verdict] += 1
                    print(result, flush=True)

    def close(self) -> int:
        """Print the closing line and return the exit status."""
        passed, failed, skipped = self._count["ok"], self._count["FAIL"], self._count["skip"]
        tail = f", {skipped} skipped" if skipped else ""
        print(f"\n{passed} passed, {failed} failed{tail}")
        sys.stdout.flush()
        # A run that checked nothing has proved nothing.
        return 0 if passed and not failed else 1


def _tail(evidence: str, lines: int = 25) -> list[str]:
    said = [line.rstrip() for line in evidence.splitlines() if line.strip()]
    return (["..."] if len(said) > lines else []) + said[-lines:]
