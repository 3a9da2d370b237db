"""The Python client of the time-bank ledger.

Owns: the names that callers import. Everything else in the package is how it is done.
"""

from timebank.client.calls import Repetition
from timebank.client.commands import (
    CaptureHold,
    Chain,
    Command,
    CreateHold,
    Leg,
    OpenAccount,
    Post,
    Refund,
    Reverse,
    VoidHold,
    move,
)
from timebank.client.connection import LedgerClient
from timebank.client.kinds import AccountKind, AccountState, EntryKind, HoldKind, HoldState
from timebank.client.names import CHAINED_HOLD
from timebank.client.verification import (
    VerifiedReceipt,
    verify_checkpoint,
    verify_consistency,
    verify_inclusion,
    verify_receipt,
)
from timebank.client.views import (
    AccountFactView,
    AccountView,
    Balance,
    ChainResult,
    CheckpointView,
    CommandResult,
    ConsistencyProof,
    EntryView,
    HoldChangeView,
    HoldView,
    InclusionProof,
    LedgerFactView,
    LedgerView,
    LotChangeView,
    LotView,
    PostingView,
    PostResult,
)
from timebank.units import Unit

__all__ = [
    "CHAINED_HOLD",
    "AccountFactView",
    "AccountKind",
    "AccountState",
    "AccountView",
    "Balance",
    "CaptureHold",
    "Chain",
    "ChainResult",
    "CheckpointView",
    "Command",
    "CommandResult",
    "ConsistencyProof",
    "CreateHold",
    "EntryKind",
    "EntryView",
    "HoldChangeView",
    "HoldKind",
    "HoldState",
    "HoldView",
    "InclusionProof",
    "LedgerClient",
    "LedgerFactView",
    "LedgerView",
    "Leg",
    "LotChangeView",
    "LotView",
    "OpenAccount",
    "Post",
    "PostResult",
    "PostingView",
    "Refund",
    "Repetition",
    "Reverse",
    "Unit",
    "VerifiedReceipt",
    "VoidHold",
    "move",
    "verify_checkpoint",
    "verify_consistency",
    "verify_inclusion",
    "verify_receipt",
]
