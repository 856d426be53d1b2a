"""What the interoperation checks and the benchmark need from Debian, and how they get it.

Clients are installed with apt-get. Debian's FTP servers conflict with each other as packages (each is "the" ftp-server),
so each is downloaded and unpacked into a folder of its own under `.cache`, with the shared libraries that the machine
lacks, and is started from there. Nothing of a server is ever installed, enabled or left running.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

CACHE = Path(__file__).resolve().parent / ".cache"

# The program that proves a client is there, and the package that has it.
CLIENTS = {
    "curl": "curl",
    "lftp": "lftp",
    "tnftp": "tnftp",
    "inetutils-ftp": "inetutils-ftp",
    "ncftp": "ncftp",
    "wget": "wget",
    "rclone": "rclone",
    "ip": "iproute2",
    "strace": "strace",
}

# What is only asked for more: the checks that need it are skipped where it cannot be had.
WELCOME = {"nmap": "nmap", "nft": "nftables", "systemd-analyze": "systemd", "pdftotext": "poppler-utils", "chromium": "chromium"}

SERVERS = {
    "vsftpd": ["vsftpd"],
    "proftpd": ["proftpd-core", "proftpd-mod-crypto"],
    "pure-ftpd": ["pure-ftpd"],
    "pyftpdlib": ["python3-pyftpdlib"],
    "inetutils-ftpd": ["inetutils-ftpd"],
}

# What Python modules the servers need that are not unpacked with them, and the packages that have them.
PYTHON = "/usr/bin/python3"
MODULES = {"OpenSSL": "python3-openssl"}


class Missing(Exception):
    """Something is not on this machine and could not be put there; the text says what and why."""


def install_clients() -> None:
    """Install those of CLIENTS that are not on the PATH, and the MODULES that Debian's Python lacks."""
    packages = sorted({package for program, package in CLIENTS.items() if not shutil.which(program)})
    packages += [package for module, package in MODULES.items() if not _has_module(module)]
    if packages:
        _need_apt(packages)
        _update()
        _apt("apt-get", "install", "-qq", "-y", "--no-install-recommends", *packages)
    absent = sorted(program for program in CLIENTS if not shutil.which(program))
    if absent:
        raise Missing(f"still not on the PATH after apt-get install: {', '.join(absent)}")


def install_welcome() -> None:
    """Install those of WELCOME that are not on the PATH, where that can be done."""
    for package in [package for program, package in WELCOME.items() if not shutil.which(program)]:
        try:
            _need_apt([package])
            _apt("apt-get", "install", "-qq", "-y", "--no-install-recommends", package)
        except Missing as missing:
            print(f"interop/run: going on without: {missing}")


def unpack_server(name: str) -> Path:
    """The folder that holds the unpacked server, downloaded first if need be.

    The folder is renamed into place when it is whole, so one cut short is never taken for one that is ready.
    """
    folder = CACHE / name
    packages = SERVERS[name]
    # An older one may lack a package.
    if (folder / "of").is_file() and (folder / "of").read_text(encoding="utf-8") == " ".join(packages):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    _need_apt(packages)
    if not _known(packages[0]):
        _update()
    part = CACHE / f"{name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for package in packages + _absent_libraries(packages):
        _apt("apt-get", "download", "-qq", package, cwd=part)
    for archive in sorted(part.glob("*.deb")):
        _apt("dpkg", "-x", archive.name, ".", cwd=part)
        archive.unlink()
    (part / "of").write_text(" ".join(packages), encoding="utf-8")
    part.rename(folder)
    return folder


def environment(folder: Path) -> dict[str, str]:
    """The environment in which a program of an unpacked folder finds the libraries beside it."""
    libraries = sorted({str(path.parent) for path in folder.glob("**/lib*.so*")})
    return {**os.environ, "LC_ALL": "C.UTF-8", "LD_LIBRARY_PATH": ":".join(libraries)}


def _has_module(name: str) -> bool:
    found = subprocess.run([PYTHON, "-c", f"import {name}"], capture_output=True, check=False)
    return found.returncode == 0


def _absent_libraries(packages: list[str]) -> list[str]:
    """The library packages that these need, directly or through each other, and that are not installed."""
    absent: list[str] = []
    queue = list(packages)
    while queue:
        listing = _apt("apt-cache", "depends", "--important", queue.pop())
        for library in re.findall(r"^\s+(?:Pre)?Depends: (lib\S+)$", listing, re.MULTILINE):
            if library not in absent and not _installed(library):
                absent.append(library)
                queue.append(library)
    return absent


def _installed(package: str) -> bool:
    answer = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status}", package], capture_output=True, text=True, check=False
    )
    return answer.stdout.startswith("installed")


def _known(package: str) -> bool:
    """Whether the package lists are there at all: a fresh machine or image has none."""
    answer = subprocess.run(["apt-cache", "policy", package], capture_output=True, text=True, check=False)
    return "Candidate: " in answer.stdout and "Candidate: (none)" not in answer.stdout


def _need_apt(packages: list[str]) -> None:
    if not shutil.which("apt-get"):
        raise Missing(f"missing: {', '.join(packages)}. They come from Debian, and this machine has no apt-get")
    if os.geteuid() != 0:
        raise Missing(f"missing: {', '.join(packages)}. To install them this must run as root")


def _update() -> None:
    _apt("apt-get", "update", "-qq")


def _apt(*command: str, cwd: Path | None = None) -> str:
    answer = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if answer.returncode != 0:
        raise Missing(f"`{' '.join(command)}` failed: {answer.stderr.strip() or answer.stdout.strip()}")
    return answer.stdout
