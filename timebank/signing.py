"""Keys that sign the log: signers, verifiers, and the key ring they are kept in.

Owns: Ed25519 signatures, the private key text, and which key of an origin signs. Refuses: formats
of what is signed (see timebank.tlog), reading the process environment (a mapping is passed in).
Rules: a log's key name is its origin. Keys of one origin are kept oldest first and the last one
signs; older ones stay, so that old checkpoints can be signed again to the same bytes. A secret is
never printed, represented or repeated in an error.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from timebank.errors import Reason, TimebankError
from timebank.key_files import (
    PUBLIC_MODE,
    SECRET_MODE,
    exclusive,
    key_file_paths,
    read_secret,
    unusable,
    write_file,
)
from timebank.tlog.encoding import decode_base64, encode_base64
from timebank.tlog.vkey import (
    ED25519,
    PRIVATE_KEY_PREFIX,
    VerifierKey,
    check_name,
    format_vkey,
    parse_vkey,
)

SEED_BYTES = 32
KEYS_PER_ORIGIN_MAX = 100
"""Most keys one origin may have: rotating once a quarter lasts for 25 years."""

ENVIRONMENT_PREFIX = "TIMEBANK_KEY_"
PRIVATE_KEY_CHARACTERS_MAX = 512


class Signer(Protocol):
    """Whoever can sign in the name of a key: a key file here, a hardware module elsewhere."""

    @property
    def name(self) -> str:
        """Key name; for a log its origin."""

    @property
    def vkey(self) -> str:
        """Verifier key text that checks what this signs."""

    def sign(self, message: bytes) -> bytes:
        """Signs a message; Ed25519 gives the same 64 bytes every time."""


class Ed25519Signer:
    """A signer whose private key is in this process."""

    __slots__ = ("_private", "name", "vkey")

    def __init__(self, name: str, seed: bytes, *, key_type: int = ED25519) -> None:
        if len(seed) != SEED_BYTES:
            raise _invalid(f"private key: expected a seed of {SEED_BYTES} bytes, got {len(seed)}")
        self._private = Ed25519PrivateKey.from_private_bytes(seed)
        public = self._private.public_key().public_bytes_raw()
        self.name = name
        self.vkey = format_vkey(VerifierKey(name, key_type, public))

    @classmethod
    def from_seed(cls, name: str, seed: bytes, *, key_type: int = ED25519) -> Ed25519Signer:
        """Makes the signer of a 32-byte seed; `key_type` COSIGNATURE_V1 makes a witness.

        Raises: VALIDATION_FAILED when name, seed or type is invalid.
        """
        return cls(name, seed, key_type=key_type)

    @classmethod
    def from_text(cls, text: str) -> Ed25519Signer:
        """Parses `PRIVATE+KEY+name+hexid+base64(type || seed)`.

        Raises: VALIDATION_FAILED when it is malformed or its name, id and key do not agree.
        """
        parts = text.removeprefix(PRIVATE_KEY_PREFIX).split("+", 2)
        too_long = len(text) > PRIVATE_KEY_CHARACTERS_MAX
        if too_long or not text.startswith(PRIVATE_KEY_PREFIX) or len(parts) != 3:
            raise _invalid("private key: expected PRIVATE+KEY+name+id+key")
        typed_seed = decode_base64(parts[2], "private key")
        if len(typed_seed) != 1 + SEED_BYTES:
            raise _invalid(f"private key: expected a type and a seed of {SEED_BYTES} bytes")
        signer = cls(parts[0], typed_seed[1:], key_type=typed_seed[0])
        if signer.vkey.split("+", 2)[1] != parts[1]:
            raise _invalid("private key: name, id and key do not agree; expected them unchanged")
        return signer

    def sign(self, message: bytes) -> bytes:
        """Signs a message (64 bytes, the same every time)."""
        return self._private.sign(message)

    def __repr__(self) -> str:
        return f"Ed25519Signer({self.vkey})"


class Verifier:
    """Checks signatures of one verifier key."""

    __slots__ = ("_public", "key")

    def __init__(self, key: VerifierKey) -> None:
        self.key = key
        self._public = Ed25519PublicKey.from_public_bytes(key.public_key)

    @classmethod
    def from_text(cls, vkey: str) -> Verifier:
        """Makes the verifier of a verifier key text.

        Raises: VALIDATION_FAILED when it is malformed.
        """
        return cls(parse_vkey(vkey))

    def verify(self, message: bytes, signature: bytes) -> None:
        """Checks that the key signed the message.

        Raises: VALIDATION_FAILED when it did not.
        """
        try:
            self._public.verify(signature, message)
        except InvalidSignature as error:
            raise _invalid(
                f"signature of {self.key.name}: expected one by key {self.key.key_id.hex()}, "
                "got another; the text or the signature was changed"
            ) from error


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be told about a key: where it is kept and whether it signs now."""

    origin: str
    vkey: str
    source: str
    current: bool


_Keys = list[Ed25519Signer]
"""Keys of one origin, oldest first, at least one."""


class KeyRing:
    """The private keys of logs: a directory with one file per origin, or variables of the
    environment.

    The file of origin `a/b` is `a_b.key`: one private key per line, oldest first, mode 0600;
    `a_b.vkey` beside it holds the verifier keys for everybody. A variable `TIMEBANK_KEY_<anything>`
    holds the same lines; its keys name their origin themselves. A changed file is noticed at the
    next call.
    """

    def __init__(
        self,
        directory: Path,
        environment: Mapping[str, str] | None = None,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._directory = directory
        self._random_bytes = random_bytes
        self._variables: dict[str, tuple[str, _Keys]] = {}
        self._files: dict[str, tuple[tuple[int, ...], _Keys]] = {}
        for variable, text in sorted((environment or {}).items()):
            if variable.startswith(ENVIRONMENT_PREFIX):
                self._add_variable(variable, text)

    def signer(self, origin: str, vkey: str | None = None) -> Signer:
        """Returns the key that signs for an origin: the newest, or the one with this verifier key.

        Raises: SIGNING_KEY_MISSING when there is none; SIGNER_UNAVAILABLE when its file cannot be
        used; VALIDATION_FAILED when the origin is not a key name.
        """
        keys = self._keys(origin)
        if vkey is None:
            return keys[-1]
        for key in keys:
            if key.vkey == vkey:
                return key
        raise TimebankError(
            Reason.SIGNING_KEY_MISSING,
            f"origin {origin}: none of its {len(keys)} keys is {vkey}; "
            f"put that key into {_file_name(origin)}",
            origin=origin,
        )

    def create(self, origin: str) -> KeyInfo:
        """Makes the first key of an origin and writes its files; returns its public half.

        Raises: VALIDATION_FAILED when the origin is not a key name or has a key; SIGNER_UNAVAILABLE
        when the directory cannot be written.
        """
        return self._add(origin, first=True)

    def rotate(self, origin: str) -> KeyInfo:
        """Appends a new key, which signs from now on; returns its public half.

        Raises: SIGNING_KEY_MISSING when there is no key yet; SIGNER_UNAVAILABLE when its file
        cannot be used; VALIDATION_FAILED when the keys are in the environment or there are too
        many.
        """
        return self._add(origin, first=False)

    def list(self) -> Sequence[KeyInfo]:
        """Lists the public halves of all keys by origin, oldest first.

        Raises: SIGNER_UNAVAILABLE for the directory or the first file that cannot be used.
        """
        found = [(variable, keys) for variable, keys in self._variables.values()]
        for path in key_file_paths(self._directory):
            found.append((path.name, _parse_file(path)))
        return [
            KeyInfo(key.name, key.vkey, source, current=key is keys[-1])
            for source, keys in sorted(found, key=lambda item: item[1][0].name)
            for key in keys
        ]

    def _add_variable(self, variable: str, text: str) -> None:
        try:
            keys = _parse_keys(text)
        except TimebankError as error:
            raise TimebankError(
                Reason.SIGNER_UNAVAILABLE, f"variable {variable}: {error.message}"
            ) from error
        origin = keys[0].name
        if origin in self._variables:
            other = self._variables[origin][0]
            raise TimebankError(
                Reason.SIGNER_UNAVAILABLE,
                f"variables {other} and {variable} both hold keys of {origin}; keep one of them",
            )
        self._variables[origin] = (variable, keys)

    def _keys(self, origin: str) -> _Keys:
        """Returns the keys of an origin, oldest first and at least one."""
        check_name(origin)
        path = self._directory / _file_name(origin)
        try:
            status = path.stat()
        except OSError:
            stamp: tuple[int, ...] = ()
        else:
            stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        if origin in self._variables:
            return self._variable_keys(origin, file_exists=bool(stamp))
        cached = self._files.get(origin)
        if cached is None or not stamp or cached[0] != stamp:
            cached = (stamp, _read_keys(path, origin))
            self._files[origin] = cached
        return cached[1]

    def _variable_keys(self, origin: str, *, file_exists: bool) -> _Keys:
        variable, keys = self._variables[origin]
        if file_exists:
            raise TimebankError(
                Reason.SIGNER_UNAVAILABLE,
                f"origin {origin}: keys in both {variable} and {_file_name(origin)}; "
                "keep one of them",
            )
        return keys

    def _add(self, origin: str, *, first: bool) -> KeyInfo:
        check_name(origin)
        if origin in self._variables:
            variable = self._variables[origin][0]
            raise _invalid(f"origin {origin}: its keys are in {variable}; change them there")
        path = self._directory / _file_name(origin)
        if not first:
            _read_keys(
                path, origin
            )  # nothing to rotate: say so before making a directory or a lock
        with exclusive(path):
            keys = _taken(path, origin) if first else _read_keys(path, origin)
            if len(keys) >= KEYS_PER_ORIGIN_MAX:
                raise _invalid(f"origin {origin}: expected at most {KEYS_PER_ORIGIN_MAX} keys")
            seed = self._random_bytes(SEED_BYTES)
            key = Ed25519Signer.from_seed(origin, seed)
            lines = [] if first else read_secret(path).split()
            lines.append(_private_text(key, seed))
            write_file(path, "".join(f"{line}\n" for line in lines), SECRET_MODE)
            vkeys = "".join(f"{known.vkey}\n" for known in [*keys, key])
            write_file(path.with_name(path.name.removesuffix(".key") + ".vkey"), vkeys, PUBLIC_MODE)
        return KeyInfo(origin, key.vkey, path.name, current=True)


def _taken(path: Path, origin: str) -> _Keys:
    """Returns no keys when the file of a new origin is free.

    Raises: VALIDATION_FAILED when it is not.
    """
    if path.exists():
        raise _invalid(
            f"origin {origin}: {path.name} exists; use `timebank keys rotate` for a newer key"
        )
    return []


def _read_keys(path: Path, origin: str) -> _Keys:
    """Reads the keys of one origin from its file."""
    try:
        keys = _parse_file(path)
    except TimebankError as error:
        if error.reason is not Reason.SIGNING_KEY_MISSING:
            raise
        raise TimebankError(
            Reason.SIGNING_KEY_MISSING,
            f"origin {origin}: no signing key here; run `timebank keys new {origin}`, or copy "
            f"{path.name} into the keys directory of every process",
            origin=origin,
        ) from error
    if keys[0].name != origin:
        raise unusable(path, f"expected keys of {origin}, got keys of {keys[0].name}")
    return keys


def _parse_file(path: Path) -> _Keys:
    text = read_secret(path)
    try:
        keys = _parse_keys(text)
    except TimebankError as error:
        raise unusable(path, error.message) from error
    if _file_name(keys[0].name) != path.name:
        raise unusable(path, f"holds keys of {keys[0].name}; expected {_file_name(keys[0].name)}")
    return keys


def _parse_keys(text: str) -> _Keys:
    """Parses private keys of one origin that stand on lines or between spaces, oldest first."""
    texts = text.split()
    if not 1 <= len(texts) <= KEYS_PER_ORIGIN_MAX:
        raise _invalid(f"expected 1 to {KEYS_PER_ORIGIN_MAX} private keys, got {len(texts)}")
    keys: _Keys = []
    for number, private in enumerate(texts, start=1):
        try:
            keys.append(Ed25519Signer.from_text(private))
        except TimebankError as error:
            raise _invalid(f"key {number}: {error.message}") from error
        if keys[-1].name != keys[0].name:
            raise _invalid(f"expected keys of one origin, got {keys[0].name} and {keys[-1].name}")
    return keys


def _private_text(key: Ed25519Signer, seed: bytes) -> str:
    name, key_id, _ = key.vkey.split("+", 2)
    return f"{PRIVATE_KEY_PREFIX}{name}+{key_id}+{encode_base64(bytes([ED25519]) + seed)}"


def _file_name(origin: str) -> str:
    return origin.replace("/", "_") + ".key"


def _invalid(message: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, message)
