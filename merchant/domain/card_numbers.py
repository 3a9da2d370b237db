"""Card numbers: 16 digits on a printed card, for elders without a phone.

Owns: how a number is made and read. Refuses: keeping a number; only its digest is stored. Rules:
two digits of the scheme, thirteen drawn ones, one Luhn digit. A number never changes while its card
lives, so that it pays with a PIN only; and it never looks like a payment code or a bank card.
"""

from __future__ import annotations

from merchant.domain.payment_codes import (
    check_digit,
    check_prefix,
    drawn_digits,
    has_check_digit,
    is_digits,
    keyed_digest,
    normalise,
    not_digits,
)
from timebank.errors import Reason, TimebankError

__all__ = ["check_card_prefix", "digest_of", "is_well_formed", "make_number", "normalise"]

NUMBER_LENGTH = 16
DRAWN_DIGITS = 13
PREFIX_DEFAULT = "80"
BANK_CARD_DIGITS = "23456"
"""First digits of payment cards (ISO/IEC 7812-1; 2 is Mastercard's second range): a 16-digit number
with a Luhn digit that begins so would be taken for a bank card by scanners and by auditors."""


def make_number(prefix: str, random: bytes) -> str:
    """Writes a card number; it is drawn from payment_codes.RANDOM_BYTES bytes.

    Raises VALIDATION_FAILED for a prefix that is none or is somebody else's.
    """
    _check_free(prefix)
    body = prefix + drawn_digits(random, DRAWN_DIGITS)
    return body + check_digit(body)


def check_card_prefix(prefix: str, code_prefix: str) -> None:
    """Checks the two digits of cards beside those of payment codes.

    Raises VALIDATION_FAILED when they are the same, are not two digits, or are somebody else's.
    """
    _check_free(prefix)
    if prefix == code_prefix:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"card prefix: {prefix} is that of payment codes; take another",
            field="prefix",
        )


def is_well_formed(number: str, prefix: str) -> bool:
    """Says whether a normalised text is a card number of this scheme, issued or not."""
    return len(number) == NUMBER_LENGTH and number.startswith(prefix) and has_check_digit(number)


def digest_of(key: bytes, ledger: str, number: str) -> bytes:
    """Gives the 32 bytes under which a ledger keeps a normalised card number.

    Raises VALIDATION_FAILED for a text that is not 16 digits.
    """
    if len(number) != NUMBER_LENGTH or not is_digits(number):
        raise not_digits("card number", NUMBER_LENGTH)
    return keyed_digest(key, "card-number", ledger, number)


def _check_free(prefix: str) -> None:
    check_prefix(prefix)
    if prefix[0] in BANK_CARD_DIGITS:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"card prefix: {prefix} begins bank cards; take another, such as {PREFIX_DEFAULT}",
            field="prefix",
        )
