"""The key of a till: made by the till, kept in one file, never sent anywhere.

Owns: making, keeping and reading it. Rules: the file has mode 0600 and holds PKCS 8 PEM, which
other tools read. A key whose enrolment is not acknowledged yet waits beside it as `.new`: should
the answer get lost, the same code with the same key is the same request, and is answered again.
"""

import hashlib
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from timebank.client.till_signatures import key_id_of
from timebank.errors import Reason, TimebankError
from timebank.ids import request_id_from_bytes
from timebank.key_files import DIRECTORY_MODE, SECRET_MODE, read_secret, unusable, write_file

NEW_SUFFIX = ".new"


class TillKey:
    """An Ed25519 key pair (RFC 8032)."""

    __slots__ = ("_private", "key_id", "public_key")

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes_raw()
        self.key_id = key_id_of(self.public_key)

    @classmethod
    def make(cls) -> "TillKey":
        """Makes a new key."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, seed: bytes) -> "TillKey":
        """Makes the key of a seed of 32 bytes."""
        return cls(Ed25519PrivateKey.from_private_bytes(seed))

    def sign(self, message: bytes) -> bytes:
        """Gives the 64 bytes of a signature."""
        return self._private.sign(message)

    def pem(self) -> str:
        """Gives the private key as PKCS 8 PEM."""
        return self._private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode("ascii")


def read_key(path: Path) -> TillKey:
    """Reads the key of an enrolled till.

    Raises SIGNING_KEY_MISSING when the till is not enrolled, SIGNER_UNAVAILABLE when the file
    cannot be read, is open to others, or holds something else.
    """
    try:
        return _parsed(path)
    except TimebankError as error:
        if error.reason is not Reason.SIGNING_KEY_MISSING:
            raise
        raise TimebankError(
            Reason.SIGNING_KEY_MISSING,
            f"key file {path.name}: this till has no key yet; enrol it with the code that the "
            "merchant's administrator got for it",
        ) from error


def waiting_key(path: Path) -> TillKey:
    """Gives the key that waits to be enrolled, and makes and keeps one when none does.

    Raises SIGNER_UNAVAILABLE when its file cannot be read or written.
    """
    new = path.with_name(path.name + NEW_SUFFIX)
    try:
        return _parsed(new)
    except TimebankError as error:
        if error.reason is not Reason.SIGNING_KEY_MISSING:
            raise
    key = TillKey.make()
    try:
        path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
    except OSError as error:
        raise unusable(new, f"its directory cannot be made ({error.strerror})") from error
    write_file(new, key.pem(), SECRET_MODE)
    return key


def keep_key(path: Path, key: TillKey) -> None:
    """Makes a waiting key the till's, once its enrolment was acknowledged.

    Raises SIGNER_UNAVAILABLE when the file cannot be written.
    """
    write_file(path, key.pem(), SECRET_MODE)
    path.with_name(path.name + NEW_SUFFIX).unlink(missing_ok=True)


def enrolment_request_id(key: TillKey, code: str) -> str:
    """Gives the request id of an enrolment: the same for the same key and code, for ever."""
    digest = hashlib.sha256(b"enrolment\n" + key.public_key + code.encode()).digest()
    return request_id_from_bytes(digest[:16])


def key_exists(path: Path) -> bool:
    """Says whether the till has a key, fit or not."""
    return os.path.lexists(path)


def _parsed(path: Path) -> TillKey:
    text = read_secret(path)
    try:
        private = serialization.load_pem_private_key(text.encode("utf-8"), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise unusable(path, "expected a private key in PKCS 8 PEM") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise unusable(path, "expected an Ed25519 key, got one of another kind")
    return TillKey(private)
