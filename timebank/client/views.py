"""What the ledger answers, in Python words: frozen values of ints, texts and aware datetimes.

Owns: the shape of answers. Refuses: messages of the wire (see `timebank.client.answers`).
Rules: amounts are ints in their unit (minutes, points, fen); times are aware and in UTC; what is
absent is None, never an empty text or a zero.
"""

from dataclasses import dataclass
from datetime import datetime

from timebank.client.kinds import AccountKind, AccountState, EntryKind, HoldKind, HoldState
from timebank.units import Unit


@dataclass(frozen=True, slots=True)
class LedgerView:
    """A ledger: `verifier_keys` are oldest first, the last one signs now."""

    name: str
    display_name: str
    time_zone: str
    log_origin: str
    verifier_keys: tuple[str, ...]
    opening_closed: bool
    create_time: datetime | None

    @property
    def id(self) -> str:
        """Gives the last part of the name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class AccountView:
    """One balance of one holder; a limit of None does not bind."""

    name: str
    holder: str
    unit: Unit
    kind: AccountKind
    state: AccountState
    min_balance: int | None
    max_balance: int | None
    debt_limit: int
    posted: int
    held: int
    available: int
    debt: int
    create_time: datetime | None
    etag: str

    @property
    def id(self) -> str:
        """Gives the last part of the name."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class LotView:
    """Credits of equal expiry; `expire_time` None: they never expire."""

    expire_time: datetime | None
    remaining: int
    reserved: int


@dataclass(frozen=True, slots=True)
class Balance:
    """A balance after `log_size` entries of the log."""

    account: str
    unit: Unit
    posted: int
    held: int
    available: int
    debt: int
    log_size: int
    earned_lifetime: int
    earned_this_year: int
    expired_pending: bool


@dataclass(frozen=True, slots=True)
class HoldView:
    """An amount reserved until it is captured, voided or expires."""

    name: str
    account: str
    kind: HoldKind
    state: HoldState
    unit: Unit
    amount: int
    captured: int
    released: int
    expire_time: datetime | None
    expired_pending: bool
    lots: tuple[LotView, ...]
    create_time: datetime | None

    @property
    def remaining(self) -> int:
        """Gives what the hold still reserves, in its unit."""
        return self.amount - self.captured - self.released


@dataclass(frozen=True, slots=True)
class LotChangeView:
    """What an entry does to one lot; `expire_time` None names the lot that never expires."""

    expire_time: datetime | None
    remaining: int
    reserved: int


@dataclass(frozen=True, slots=True)
class PostingView:
    """One leg of a movement: a positive amount credits the account."""

    account: str
    unit: Unit
    amount: int
    lots: tuple[LotChangeView, ...]
    earned: bool


@dataclass(frozen=True, slots=True)
class HoldChangeView:
    """What an entry does to a hold: `held`, `captured` and `released` are changes."""

    hold: str
    account: str
    kind: HoldKind
    state: HoldState
    held: int
    captured: int
    released: int
    expire_time: datetime | None
    lots: tuple[LotChangeView, ...]


@dataclass(frozen=True, slots=True)
class AccountFactView:
    """The account that an entry is about, as it is from then on."""

    account: str
    holder: str
    unit: Unit
    kind: AccountKind
    state: AccountState
    min_balance: int | None
    max_balance: int | None
    debt_limit: int


@dataclass(frozen=True, slots=True)
class LedgerFactView:
    """The ledger as an entry leaves it."""

    display_name: str
    time_zone: str
    log_origin: str
    verifier_key: str


@dataclass(frozen=True, slots=True)
class EntryView:
    """One entry of the log; `leaf` holds its exact bytes: hash those, never a re-encoding."""

    name: str
    index: int
    kind: EntryKind
    recorded_time: datetime
    effective_time: datetime
    natural_key: str | None
    cause: str | None
    policy_version: str | None
    caller: str | None
    actor: str | None
    request_id: str | None
    chain_position: int
    postings: tuple[PostingView, ...]
    hold_changes: tuple[HoldChangeView, ...]
    original_index: int | None
    account: AccountFactView | None
    ledger: LedgerFactView | None
    leaf: bytes


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What one command of a chain wrote; `hold` and `account` are names where one was involved."""

    entry: str
    index: int
    recorded_time: datetime
    hold: str | None
    account: str | None


@dataclass(frozen=True, slots=True)
class PostResult:
    """What one command wrote, and the signed checkpoint that covers it.

    `replayed`: it had been carried out before. `receipt`: a C2SP `.tlog-proof` when asked for.
    """

    entry: str
    index: int
    recorded_time: datetime
    hold: str | None
    account: str | None
    replayed: bool
    checkpoint: str
    receipt: str | None


@dataclass(frozen=True, slots=True)
class ChainResult:
    """What the commands of one request wrote, in order; all of them or none."""

    results: tuple[CommandResult, ...]
    replayed: bool
    checkpoint: str
    receipts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """A signed head of the log: `note` is the C2SP checkpoint, `root` has 32 bytes."""

    note: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """An RFC 6962 inclusion proof: hashes from leaf to root."""

    index: int
    tree_size: int
    leaf_hash: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """An RFC 6962 proof that the first tree is the beginning of the second."""

    first_size: int
    second_size: int
    path: tuple[bytes, ...]
