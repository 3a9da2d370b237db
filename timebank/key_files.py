"""Files that hold secrets: reading them only when nobody else can, and writing them so that a crash
loses nothing.

Owns: modes, sizes and atomic replacement. Refuses: knowing what is in them (see signing.py).
Rules: a secret file is a regular file without any right for group and others. Messages name the
file but neither its directory nor its content: they may reach a caller of the API.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from timebank.errors import Reason, TimebankError

KEY_FILE_BYTES_MAX = 65_536
SECRET_MODE = 0o600
PUBLIC_MODE = 0o644
DIRECTORY_MODE = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)
"""Opening a named pipe must not wait for a writer."""


def read_secret(path: Path) -> str:
    """Reads a secret text file.

    Raises: SIGNING_KEY_MISSING when there is none; SIGNER_UNAVAILABLE when it cannot be read, is
    not a regular file, is open to group or others, is too big, or is not text.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | _NONBLOCK)
    except FileNotFoundError as error:
        raise TimebankError(
            Reason.SIGNING_KEY_MISSING, f"key file {path.name}: not found in the keys directory"
        ) from error
    except OSError as error:
        raise unusable(path, f"cannot be opened ({error.strerror})") from error
    try:
        _check(path, os.fstat(descriptor))
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise unusable(path, f"cannot be read ({error.strerror})") from error
    finally:
        os.close(descriptor)
    if len(data) > KEY_FILE_BYTES_MAX:
        raise unusable(path, f"expected at most {KEY_FILE_BYTES_MAX} bytes, got more")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise unusable(path, "expected text, got other bytes") from error


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise unusable(path, "expected a regular file")
    mode = stat.S_IMODE(status.st_mode)
    if os.name == "posix" and mode & _OTHERS:
        raise unusable(path, f"expected mode 0600, got {mode:04o}; run chmod 600 on it")


def key_file_paths(directory: Path) -> list[Path]:
    """Lists the `.key` files of a directory by name; none when there is no directory.

    Raises: SIGNER_UNAVAILABLE when the directory cannot be read.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise TimebankError(
            Reason.SIGNER_UNAVAILABLE, f"keys directory: cannot be read ({error.strerror})"
        ) from error
    return [directory / name for name in sorted(names) if name.endswith(".key")]


def write_file(path: Path, text: str, mode: int) -> None:
    """Writes or replaces a file so that a crash leaves the old or the new one, never a part.

    Raises: SIGNER_UNAVAILABLE when it cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        part.unlink(missing_ok=True)
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_directory(path.parent)
    except OSError as error:
        raise unusable(path, f"cannot be written ({error.strerror})") from error


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Keeps every other process from changing the file meanwhile, by a lock file beside it; makes
    its directory.

    Raises: SIGNER_UNAVAILABLE when the lock is taken or the directory cannot be made or written.
    """
    lock = path.with_name(path.name + ".lock")
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        os.close(os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE))
    except FileExistsError as error:
        what = f"another command is changing it, or was cut short; if none runs, remove {lock.name}"
        raise unusable(path, what) from error
    except OSError as error:
        raise unusable(path, f"cannot be written ({error.strerror})") from error
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def unusable(path: Path, what: str) -> TimebankError:
    """Makes the error for a key file that is there but cannot be used."""
    return TimebankError(Reason.SIGNER_UNAVAILABLE, f"key file {path.name}: {what}")


def _sync_directory(directory: Path) -> None:
    """Makes a rename durable, where directories can be opened."""
    if os.name != "posix":
        return
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
