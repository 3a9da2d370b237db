"""Sealing bytes under a key so that a change or another place is noticed: AES-256-GCM."""

from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from timebank.errors import Reason, TimebankError

KEY_BYTES = 32
NONCE_BYTES = 12


def seal(key: bytes, data: bytes, place: str, *, random_bytes: Callable[[int], bytes]) -> bytes:
    """Encrypts data for a place; gives nonce and ciphertext."""
    nonce = random_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, data, place.encode())


def unseal(key: bytes, sealed: bytes, place: str) -> bytes:
    """Decrypts what was sealed for a place. Raises SIGNER_UNAVAILABLE under another key."""
    try:
        return AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place.encode())
    except (InvalidTag, ValueError) as error:
        raise TimebankError(
            Reason.SIGNER_UNAVAILABLE,
            "personal data cannot be read with this deployment's secret: put the secret file back"
            " from its backup",
        ) from error
