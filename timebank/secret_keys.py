"""The secret of a deployment from which other keys are derived: for personal data, and for draws
that nobody can foresee.

Owns: one file of 32 random bytes in the keys directory, made when there is none. Refuses: being
printed. Rules: every process of a deployment has the same file; who loses it loses the personal
data, and nothing of the log. HKDF-SHA-256 (RFC 5869) with a label gives each use a key of its own.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from timebank.key_files import (
    DIRECTORY_MODE,
    SECRET_MODE,
    read_secret,
    unusable,
    write_file,
)

SECRET_FILE = "deployment.secret"
SECRET_BYTES = 32


class SecretKeys:
    """Keys derived from the secret of a deployment."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def open(cls, directory: Path) -> SecretKeys:
        """Reads the secret, or makes it. Raises SIGNER_UNAVAILABLE when the file is unusable."""
        path = directory / SECRET_FILE
        if not path.exists():
            _make(path)
        try:
            secret = bytes.fromhex(read_secret(path).strip())
        except ValueError as error:
            raise unusable(path, "expected hexadecimal digits") from error
        if len(secret) != SECRET_BYTES:
            raise unusable(path, f"expected {SECRET_BYTES} bytes, got {len(secret)}")
        return cls(secret)

    def key(self, label: str) -> bytes:
        """Derives the 32-byte key of a use."""
        derivation = HKDF(hashes.SHA256(), SECRET_BYTES, salt=None, info=label.encode())
        return derivation.derive(self._secret)

    def __repr__(self) -> str:
        return "SecretKeys()"


def _make(path: Path) -> None:
    """Makes the file, unless another process is faster: the first one that is whole stays."""
    own = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        write_file(own, secrets.token_hex(SECRET_BYTES) + "\n", SECRET_MODE)
        os.link(own, path)
    except FileExistsError:
        return
    except OSError as error:
        raise unusable(path, f"cannot be made ({error.strerror})") from error
    finally:
        own.unlink(missing_ok=True)
