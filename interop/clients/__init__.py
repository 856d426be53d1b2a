"""The clients that drive the server, one file each."""

from __future__ import annotations

from .base import Client, Mode
from .curl import Curl
from .ftplib import Ftplib
from .inetutils import Inetutils
from .lftp import Lftp
from .ncftp import Ncftp
from .port21 import Port21, Port21Shell
from .rclone import Rclone
from .tnftp import Tnftp
from .wget import Wget

THEIRS: list[type[Client]] = [Curl, Lftp, Tnftp, Inetutils, Ncftp, Wget, Rclone, Ftplib]
OURS: list[type[Client]] = [Port21, Port21Shell]

__all__ = ["OURS", "THEIRS", "Client", "Mode"]
