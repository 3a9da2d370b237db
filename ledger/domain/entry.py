"""Entries: what happened and every effect it has. Immutable; `ledger.leaf` turns them into bytes
and back.
"""

import enum
from typing import NamedTuple

from ledger.domain.account import AccountKind, AccountState, LotChange
from ledger.domain.facts import Fact, TallyKey
from ledger.domain.hold import HoldKind, HoldState
from timebank.units import Unit

POSTINGS_MIN = 2
POSTINGS_MAX = 64


class EntryKind(enum.IntEnum):
    """What happened; the numbers are those of the contract."""

    LEDGER_CREATED = 1
    OPENING_CLOSED = 2
    KEY_ROTATED = 3
    ACCOUNT_OPENED = 4
    ACCOUNT_FROZEN = 5
    ACCOUNT_UNFROZEN = 6
    ACCOUNT_CLOSED = 7
    ACCOUNT_LIMITS_CHANGED = 8
    HOLD_CREATED = 9
    HOLD_VOIDED = 10
    HOLD_EXPIRED = 11
    OPENING_BALANCE = 20
    IMPORT = 21
    RECORD_POSTED = 22
    RECORD_CORRECTED = 23
    TRANSFER = 24
    DONATION = 25
    POOL_GRANT = 26
    SERVICE_PAYMENT = 27
    REDEMPTION = 28
    SETTLEMENT = 29
    FUND_INCOME = 30
    FUND_SPENDING = 31
    LOT_EXPIRED = 32
    REVERSAL = 33
    REFUND = 34
    MEMBER_EXPORTED = 35
    MEMBER_DIED = 36
    MEMBER_REGISTERED = 40
    MEMBER_CHANGED = 41
    MEMBERS_MERGED = 42
    MEMBERS_UNMERGED = 43
    FAMILY_LINKED = 44
    NO_SHOW_REPORTED = 45
    EVALUATED = 46
    RECORD_CLAIMED = 50
    RECORD_VERIFIED = 51
    RECORD_PUBLICISED = 52
    RECORD_DISPUTED = 53
    RECORD_DISPUTE_RESOLVED = 54
    RECORD_VOIDED = 55
    RECORD_SPOT_CHECKED = 56
    POLICY_ADOPTED = 60
    STAR_GRANTED = 70
    STAR_REVIEW_OPENED = 71
    STAR_REVIEW_CLOSED = 72
    STAR_LOWERED = 73
    STAR_SELECTED = 74
    CERTIFICATE_ISSUED = 80
    CERTIFICATE_REVOKED = 81
    CERTIFICATE_FLAGGED = 82


class Posting(NamedTuple):
    """One leg: the change of the balance and of each lot; debt grows by sum(lots) - amount."""

    account_id: str
    unit: Unit
    amount: int
    lots: tuple[LotChange, ...] | list[LotChange] = ()
    earned: bool = False


class HoldChange(NamedTuple):
    """What became of a hold: changes of held, captured and released, and of reserved lots."""

    hold_id: str
    account_id: str
    kind: HoldKind
    state: HoldState
    held: int
    captured: int
    released: int
    expires_us: int
    lots: tuple[LotChange, ...] | list[LotChange] = ()


class AccountFact(NamedTuple):
    """An account as the fact leaves it."""

    account_id: str
    holder: str
    unit: Unit
    kind: AccountKind
    state: AccountState
    min_balance: int | None
    max_balance: int | None
    debt_limit: int


class LedgerFact(NamedTuple):
    """The ledger as the fact leaves it; empty texts say nothing new."""

    display_name: str = ""
    time_zone: str = ""
    log_origin: str = ""
    verifier_key: str = ""


class Entry(NamedTuple):
    """One leaf of the log. Times are microseconds since 1970 UTC."""

    log_index: int
    kind: EntryKind
    recorded_us: int
    effective_us: int
    nonce: bytes
    caller: str
    actor: str = ""
    request_id: bytes = b""
    chain_position: int = 0
    fingerprint: bytes = b""
    natural_key: str = ""
    cause: str = ""
    policy_version: str = ""
    postings: tuple[Posting, ...] | list[Posting] = ()
    hold_changes: tuple[HoldChange, ...] = ()
    original_index: int | None = None
    account: AccountFact | None = None
    ledger: LedgerFact | None = None
    commitments: tuple[tuple[str, bytes], ...] = ()
    facts: tuple[Fact, ...] = ()
    tallies: tuple[tuple[TallyKey, int], ...] = ()
