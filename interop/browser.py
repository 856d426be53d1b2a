"""A Chromium without a window, steered over a pair of pipes: what it is told it has done when the call returns."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from .processes import start, stop
from .report import Failure

STEP_SECONDS = 30
# Keys that are no character, and their codes.
_CODES = {"Enter": 13, "Escape": 27, "ArrowDown": 40}


def program() -> str | None:
    """The path of a Chromium or Chrome, if there is one."""
    return next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)


class Browser:
    """One window of one size with one page in it."""

    def __init__(self, width: int = 1400, height: int = 1000):
        self._profile = tempfile.TemporaryDirectory()
        read_commands, self._to = os.pipe()
        self._from, write_answers = os.pipe()
        flags = [
            *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run"),
            *("--disable-background-networking", "--disable-extensions", "--remote-debugging-pipe"),
            *(f"--user-data-dir={self._profile.name}", f"--window-size={width},{height}", "about:blank"),
        ]
        # It reads commands from descriptor 3 and writes answers to 4.
        steer = f'exec "$@" 3<&{read_commands} 4>&{write_answers}'
        command = ["bash", "-c", steer, "bash", program() or "chromium", *flags]
        with open(os.devnull, "r+b") as null:
            self._process = start(
                command, stdin=null, stdout=null, stderr=null, pass_fds=(read_commands, write_answers)
            )
        os.close(read_commands)
        os.close(write_answers)
        self._number = 0
        self._read = b""
        self._events: list[dict[str, Any]] = []
        self._session: str | None = None
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._call("Page.enable")
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        stop(self._process)
        os.close(self._to)
        os.close(self._from)
        self._profile.cleanup()

    def open(self, page: Path) -> None:
        """Open a file, and return once all of it is loaded."""
        self._events.clear()
        self._call("Page.navigate", url=page.resolve().as_uri())
        self._wait_for("Page.loadEventFired")

    def prefers(self, scheme: str) -> None:
        """What the reader's system asks for: `light` or `dark`."""
        self._call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def prints(self, on: bool) -> None:
        self._call("Emulation.setEmulatedMedia", media="print" if on else "")

    def ask(self, script: str) -> Any:
        """The value of an expression in the page."""
        answer = self._call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise Failure(f"the page broke at {script}", json.dumps(answer["exceptionDetails"], indent=1))
        return answer["result"].get("value")

    def press(self, *keys: str) -> None:
        """Press keys, as a person does."""
        for key in keys:
            if key in _CODES:
                one = {"key": key, "code": key, "windowsVirtualKeyCode": _CODES[key]}
                if key == "Enter":
                    one["text"] = "\r"
            else:
                one = {"key": key, "text": key}
            self._call("Input.dispatchKeyEvent", type="keyDown", **one)
            self._call("Input.dispatchKeyEvent", type="keyUp", key=key)

    def picture(self, path: Path) -> None:
        """What is in view, as PNG."""
        path.write_bytes(base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"]))

    def _call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        rest = json.dumps(message).encode() + b"\0"
        while rest:
            rest = rest[os.write(self._to, rest) :]
        end = time.monotonic() + STEP_SECONDS
        while True:
            answer = self._next(end, method)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise Failure(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self._events.append(answer)

    def _wait_for(self, event: str) -> None:
        end = time.monotonic() + STEP_SECONDS
        while not any(one.get("method") == event for one in self._events):
            self._events.append(self._next(end, event))

    def _next(self, end: float, what: str) -> dict[str, Any]:
        while b"\0" not in self._read:
            ready, _, _ = select.select([self._from], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise Failure(f"the browser says nothing for {STEP_SECONDS} s: {what}")
            more = os.read(self._from, 1 << 16)
            if not more:
                raise Failure(f"the browser has ended: {what}")
            self._read += more
        message, _, self._read = self._read.partition(b"\0")
        return json.loads(message)
