"""Files: read within a bound, written so that a power cut leaves the old one or the new one."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

from .errors import GatewayError


def read_bounded(path: Path, bytes_maximum: int) -> bytes:
    """A regular file's bytes, no link followed, one byte more than the maximum at most. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "no regular file")
        return file.read(bytes_maximum + 1)


def write_durably(path: Path, content: bytes) -> None:
    """Replaces `path` so that a power cut leaves the old file or the new one. Raises GatewayError."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise GatewayError(f"{path} cannot be written: {error.strerror or error}") from error
