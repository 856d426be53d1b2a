"""The units of `packaging/` under systemd itself, started anew in namespaces of its own, over a copy of this machine's files that
is thrown away: the service begins, is confined, serves, reloads, is restarted when it hangs or dies, and is started by its socket.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Callable

from .binary import port21
from .content import PAYLOAD, write
from .processes import run
from .report import Failure, Scenario, Skip

_PACKAGING = Path(__file__).resolve().parents[1] / "packaging"
_SYSTEMD = "/lib/systemd/systemd"
_SECONDS = 120
_PASSWORD = "systemd's own"

_CONFIG = """
listen = [{ address = ":21", name = "ftp" }]
[site]
root = "/srv/ftp"
[accounts]
write = true
[anonymous]
enabled = true
"""

# What the machine is told before systemd has it. Everything that is written goes to memory, and ends with the namespace.
_BOOT = """
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$MADE"
mkdir "$MADE"/upper "$MADE"/work "$MADE"/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$MADE/upper,workdir=$MADE/work" "$MADE/root"
root=$MADE/root
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mount --rbind /dev "$root/dev"
mkdir "$root/tmp/given"
mount --bind "$GIVEN" "$root/tmp/given"
echo up
ip link set lo up
install -m 755 "$PROGRAM" "$root/usr/bin/port21"
install -d -m 755 "$root/etc/port21" "$root/srv/ftp"
cp "$GIVEN"/port21.service "$GIVEN"/port21.socket "$GIVEN"/play.service "$root/etc/systemd/system/"
cp "$GIVEN/port21.toml" "$root/etc/port21/"
grep -q ^port21: "$root/etc/group" || echo port21:x:921: >> "$root/etc/group"
grep -q ^port21: "$root/etc/passwd" || echo port21:x:921:921::/var/lib/port21:/usr/sbin/nologin >> "$root/etc/passwd"
export PORT21_PASSWORD=$PASSWORD
chroot "$root" port21 user add ann --permissions all --config /etc/port21/port21.toml
chroot "$root" chown port21: /srv/ftp /etc/port21/users.toml
install -m 644 "$GIVEN/payload" "$root/srv/ftp/there"
cd "$root"
mkdir -p old
pivot_root . old
exec chroot . env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --system --unit=play.service --log-target=console < /dev/null
"""

_PLAY_UNIT = """
[Unit]
After=sysinit.target dbus.socket
[Service]
Type=oneshot
StandardOutput=file:/tmp/given/said
StandardError=inherit
ExecStart=/bin/bash /tmp/given/play
ExecStopPost=/bin/systemctl --no-block exit 0
"""

# Says what it sees, a section each. Whoever waits here waits for what systemd tells, and no longer than it takes to be sure.
_PLAY = r"""
show() { systemctl show port21.service -P "$1"; }
fetch() { curl -sS --max-time 10 "$@" ftp://127.0.0.1/there | cmp - /tmp/given/payload && echo fetched; }
restarted() { for _ in {1..300}; do [ "$(show NRestarts)" = "$1" ] && [ "$(show ActiveState)" = active ] && return; sleep 0.1; done; }
section() { echo "== $1"; }

section start
systemctl start port21.service && show ActiveState && show StatusText
section confined
grep -E '^(Uid|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' "/proc/$(show MainPID)/status"
section serves
fetch
fetch --ftp-port -
curl -sS --max-time 10 -u "ann:$(cat /tmp/given/password)" -T /tmp/given/payload ftp://127.0.0.1/sent && cmp /srv/ftp/sent /tmp/given/payload && echo stored
section reload
echo 'greeting = "reloaded"' > /tmp/given/greeting
sed -i '/^\[site\]/r /tmp/given/greeting' /etc/port21/port21.toml
systemctl reload port21.service && for _ in {1..100}; do
    curl -sv --max-time 10 ftp://127.0.0.1/ 2>&1 | grep -a '< 220 .*reloaded' && break
    sleep 0.1
done
section dies
kill -KILL "$(show MainPID)"
restarted 1
fetch
section hangs
kill -STOP "$(show MainPID)"
restarted 2
fetch
section stop
systemctl stop port21.service && show ActiveState && show Result
section socket
sed -i 's/^WatchdogSec=.*/WatchdogSec=60/' /etc/systemd/system/port21.service
systemctl daemon-reload
systemctl start port21.socket && show ActiveState && fetch && show ActiveState
section journal
journalctl --no-pager -o cat -u port21.service
section end
"""


def scenarios() -> list[Scenario]:
    return [Scenario("systemd, booted", "", _play)]


def _play(scenario: Scenario) -> None:
    with tempfile.TemporaryDirectory() as given:
        os.chmod(given, 0o755)
        seen = _boot(Path(given))

        def check(what: str, section: str, *wanted: str) -> None:
            scenario.check(what, _holds(seen, section, wanted))

        check("begins, and says so", "start", r"^active$", r"^0 sessions")
        # CAP_NET_BIND_SERVICE and nothing else, and not for a program that it would start.
        low_ports = [r"^CapEff:\s+0*400$", r"^CapBnd:\s+0*400$", r"^CapAmb:\s+0*$"]
        check("is confined", "confined", r"^Uid:\s+[1-9]", *low_ports, r"^NoNewPrivs:\s+1$", r"^Seccomp:\s+2$")
        check("serves, from port 20 too", "serves", r"^fetched\nfetched\nstored$")
        check("reload", "reload", "220 .*reloaded")
        check("restarted when it dies", "dies", "^fetched$")
        check("restarted when it hangs", "hangs", "^fetched$")
        check("stop", "stop", r"^inactive\nsuccess$")
        check("started by its socket", "socket", r"^inactive\nfetched\nactive$")
        scenario.check("nothing to warn of", lambda: _no_warning(seen))


def _boot(given: Path) -> dict[str, str]:
    """What was seen, by section."""
    if not Path(_SYSTEMD).exists() or not shutil.which("systemctl"):
        raise Skip("systemd is not on this machine")
    for unit in ("port21.service", "port21.socket"):
        text = (_PACKAGING / unit).read_text(encoding="utf-8")
        # Nobody is to wait a minute for what is over in seconds.
        write(given / unit, text.replace("WatchdogSec=60", "WatchdogSec=3").encode())
    for name, text in {"port21.toml": _CONFIG, "play.service": _PLAY_UNIT, "play": _PLAY, "password": _PASSWORD}.items():
        write(given / name, text.encode()).chmod(0o644)
    write(given / "payload", PAYLOAD)
    (given / "made").mkdir()
    environment = {**os.environ, "MADE": str(given / "made"), "GIVEN": str(given), "PROGRAM": port21(), "PASSWORD": _PASSWORD}
    spaces = ["--mount", "--pid", "--fork", "--uts", "--ipc", "--net", "--cgroup", "--kill-child"]
    ended = run(["unshare", *spaces, "bash", "-c", _BOOT], env=environment, seconds=_SECONDS)
    if not re.search("^up$", ended.stdout, re.MULTILINE):
        raise Skip("this machine lets nobody start another system: " + " ".join(ended.stdout.split())[-200:])
    said = given / "said"
    text = said.read_text(encoding="utf-8", errors="backslashreplace") if said.exists() else ""
    if "== end" not in text:
        raise Failure("what was to be seen was not seen to its end", f"{ended.stdout}\n{text}")
    sections = re.split(r"^== (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(sections[1::2], sections[2::2]))


def _holds(seen: dict[str, str], section: str, wanted: tuple[str, ...]) -> Callable[[], None]:
    def holds() -> None:
        for pattern in wanted:
            if not re.search(pattern, seen[section], re.MULTILINE):
                journal = seen["journal"].splitlines()[-10:]
                raise Failure(f"{pattern} is not there", "\n".join([seen[section], "journal:", *journal]))

    return holds


def _no_warning(seen: dict[str, str]) -> None:
    # The one that is killed leaves no word.
    warnings = [line for line in seen["journal"].splitlines() if re.search(r"\b(WARN|ERROR)\b|panicked", line)]
    if warnings:
        raise Failure("the server warns of what its own unit does", "\n".join(warnings))
