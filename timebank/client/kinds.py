"""The closed lists of the contract in Python words: kinds, states, and their numbers on the wire.

Owns: which names a caller may use. Rules: a name is the contract's without its prefix; a number
that this client does not know yet (the contract only grows) reads as UNKNOWN, which is never sent.
"""

import enum
from collections.abc import Mapping
from typing import TypeVar

from timebank.errors import Reason, TimebankError


class EntryKind(enum.StrEnum):
    """What happened: a fact, or a movement of amounts between accounts."""

    UNKNOWN = "UNKNOWN"
    LEDGER_CREATED = "LEDGER_CREATED"
    OPENING_CLOSED = "OPENING_CLOSED"
    KEY_ROTATED = "KEY_ROTATED"
    ACCOUNT_OPENED = "ACCOUNT_OPENED"
    ACCOUNT_FROZEN = "ACCOUNT_FROZEN"
    ACCOUNT_UNFROZEN = "ACCOUNT_UNFROZEN"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    ACCOUNT_LIMITS_CHANGED = "ACCOUNT_LIMITS_CHANGED"
    HOLD_CREATED = "HOLD_CREATED"
    HOLD_VOIDED = "HOLD_VOIDED"
    HOLD_EXPIRED = "HOLD_EXPIRED"
    OPENING_BALANCE = "OPENING_BALANCE"
    IMPORT = "IMPORT"
    RECORD_POSTED = "RECORD_POSTED"
    RECORD_CORRECTED = "RECORD_CORRECTED"
    TRANSFER = "TRANSFER"
    DONATION = "DONATION"
    POOL_GRANT = "POOL_GRANT"
    SERVICE_PAYMENT = "SERVICE_PAYMENT"
    REDEMPTION = "REDEMPTION"
    SETTLEMENT = "SETTLEMENT"
    FUND_INCOME = "FUND_INCOME"
    FUND_SPENDING = "FUND_SPENDING"
    LOT_EXPIRED = "LOT_EXPIRED"
    REVERSAL = "REVERSAL"
    REFUND = "REFUND"
    MEMBER_EXPORTED = "MEMBER_EXPORTED"
    MEMBER_DIED = "MEMBER_DIED"
    MEMBER_REGISTERED = "MEMBER_REGISTERED"
    MEMBER_CHANGED = "MEMBER_CHANGED"
    MEMBERS_MERGED = "MEMBERS_MERGED"
    MEMBERS_UNMERGED = "MEMBERS_UNMERGED"
    FAMILY_LINKED = "FAMILY_LINKED"
    NO_SHOW_REPORTED = "NO_SHOW_REPORTED"
    EVALUATED = "EVALUATED"
    RECORD_CLAIMED = "RECORD_CLAIMED"
    RECORD_VERIFIED = "RECORD_VERIFIED"
    RECORD_PUBLICISED = "RECORD_PUBLICISED"
    RECORD_DISPUTED = "RECORD_DISPUTED"
    RECORD_DISPUTE_RESOLVED = "RECORD_DISPUTE_RESOLVED"
    RECORD_VOIDED = "RECORD_VOIDED"
    RECORD_SPOT_CHECKED = "RECORD_SPOT_CHECKED"
    POLICY_ADOPTED = "POLICY_ADOPTED"
    STAR_GRANTED = "STAR_GRANTED"
    STAR_REVIEW_OPENED = "STAR_REVIEW_OPENED"
    STAR_REVIEW_CLOSED = "STAR_REVIEW_CLOSED"
    STAR_LOWERED = "STAR_LOWERED"
    STAR_SELECTED = "STAR_SELECTED"
    CERTIFICATE_ISSUED = "CERTIFICATE_ISSUED"
    CERTIFICATE_REVOKED = "CERTIFICATE_REVOKED"
    CERTIFICATE_FLAGGED = "CERTIFICATE_FLAGGED"


class AccountKind(enum.StrEnum):
    """What role an account plays."""

    UNKNOWN = "UNKNOWN"
    MEMBER = "MEMBER"
    ISSUANCE = "ISSUANCE"
    POOL = "POOL"
    MERCHANT = "MERCHANT"
    CLEARING = "CLEARING"
    FUND = "FUND"
    EXPIRED = "EXPIRED"


class AccountState(enum.StrEnum):
    """Whether an account takes debits and credits."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    FROZEN = "FROZEN"
    CLOSED = "CLOSED"


class HoldKind(enum.StrEnum):
    """What a hold is for; the kind bounds how long it may live."""

    UNKNOWN = "UNKNOWN"
    TILL = "TILL"
    SERVICE = "SERVICE"


class HoldState(enum.StrEnum):
    """Life of a hold; every state but ACTIVE is final."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    EXPIRED = "EXPIRED"


class MemberState(enum.StrEnum):
    """Where a member stands."""

    UNKNOWN = "UNKNOWN"
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    MERGED = "MERGED"
    EXPORTED = "EXPORTED"
    DECEASED = "DECEASED"


class RecordState(enum.StrEnum):
    """Where a service record stands."""

    UNKNOWN = "UNKNOWN"
    CLAIMED = "CLAIMED"
    VERIFIED = "VERIFIED"
    PUBLICISED = "PUBLICISED"
    POSTED = "POSTED"
    CORRECTED = "CORRECTED"
    VOIDED = "VOIDED"
    DISPUTED = "DISPUTED"


class EvidenceClass(enum.StrEnum):
    """How a service is attested, the best class first."""

    UNKNOWN = "UNKNOWN"
    A = "A"
    B = "B"
    C = "C"
    D = "D"
    E = "E"


class SpotCheck(enum.StrEnum):
    """Where the spot check of a back-entry stands; NONE: it was not drawn."""

    UNKNOWN = "UNKNOWN"
    NONE = "NONE"
    PENDING = "PENDING"
    PASSED = "PASSED"


class CertificateState(enum.StrEnum):
    """Where a certificate stands; FLAGGED: a record that it cites was corrected since."""

    UNKNOWN = "UNKNOWN"
    ISSUED = "ISSUED"
    FLAGGED = "FLAGGED"
    REVOKED = "REVOKED"


Kind = TypeVar("Kind", bound=enum.StrEnum)


def kind_to_wire(numbers: Mapping[str, int], prefix: str, kind: Kind) -> int:
    """Gives the contract's number of a kind.

    Raises VALIDATION_FAILED for UNKNOWN: it stands for numbers of newer contracts.
    """
    number = numbers.get(prefix + kind)
    if number is None:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"expected a {type(kind).__name__} of the contract, got {kind}; name the one you mean",
            field=type(kind).__name__,
        )
    return number


def kinds_by_number(numbers: Mapping[str, int], prefix: str, kinds: type[Kind]) -> dict[int, Kind]:
    """Gives the table from the contract's numbers to kinds, of those that this client knows."""
    return {
        number: kinds(name.removeprefix(prefix))
        for name, number in numbers.items()
        if name.removeprefix(prefix) in kinds.__members__
    }
