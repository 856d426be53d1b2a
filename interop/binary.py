"""What is built of this repository: the port21 under test, and a server to test it with."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache
from pathlib import Path

from .packages import Missing

REPOSITORY = Path(__file__).resolve().parents[1]


@lru_cache(maxsize=None)
def port21() -> str:
    """Its path: what PORT21 in the environment names, else the release build of this tree, made now if it is not there."""
    given = os.environ.get("PORT21")
    if given:
        return str(Path(given).resolve())  # clients are run in a folder of their own
    return _built("--release", "--bin", "port21", where="release/port21")


@lru_cache(maxsize=None)
def libunftp() -> str:
    """The path of the server that `servers/libunftp.rs` makes, built as `cargo test` builds it, where that was not run."""
    return _built("-p", "port21-client", "--example", "libunftp", where="debug/examples/libunftp")


def _built(*what: str, where: str) -> str:
    try:
        built = subprocess.run(["cargo", "build", "--locked", *what], cwd=REPOSITORY, check=False)
    except FileNotFoundError:
        raise Missing("cargo is not on the PATH: install Rust first, or name a port21 in PORT21") from None
    if built.returncode != 0:
        raise Missing("port21 does not build")
    target = os.environ.get("CARGO_TARGET_DIR") or REPOSITORY / "target"
    return str(Path(target) / where)
