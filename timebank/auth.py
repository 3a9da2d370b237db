"""Who calls: principals, what a method permits, and the call under way.

Owns: the kinds of principal, the permission of a method, and the context of the running call.
Refuses: knowing how an identity is proved (see identity.py and tokens.py).
Rules: a call without an identity has no principal, never a default one; the end user that a
service acts for is the actor, everybody else acts for themselves.
"""

import enum
from contextvars import ContextVar
from dataclasses import dataclass, field

from timebank.errors import Reason, TimebankError

ACTOR_CHARACTERS_MAX = 128


class PrincipalKind(enum.Enum):
    """What kind of caller a principal is; the value is its word in tokens and certificates."""

    MEMBER = "member"
    OFFICER = "officer"
    MERCHANT = "merchant"
    TERMINAL = "terminal"
    CREDIT_PLATFORM = "credit-platform"
    SERVICE = "service"
    AUDITOR = "auditor"
    OPERATOR = "operator"


ACTS_FOR_OTHERS = frozenset({PrincipalKind.SERVICE, PrincipalKind.OPERATOR})
"""Kinds that may name the end user they act for."""


@dataclass(frozen=True, slots=True)
class Principal:
    """An authenticated caller: its kind and id, and what it is limited to.

    `ledgers` holds the ledger ids it may use, None for all; `units` holds an officer's
    organisational units.

    """

    kind: PrincipalKind
    id: str
    ledgers: frozenset[str] | None = None
    units: frozenset[str] = frozenset()
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.kind.value}/{self.id}")

    def may_use(self, ledger_id: str) -> bool:
        """Tells whether the principal's ledgers include this one."""
        return self.ledgers is None or ledger_id in self.ledgers


@dataclass(frozen=True, slots=True)
class Permission:
    """Who may call a method, and whether its calls are written to the audit log."""

    allow: frozenset[PrincipalKind] = frozenset()
    public: bool = False
    discloses: bool = False


@dataclass(slots=True)
class Call:
    """The running call: who calls, for whom, and until when.

    `deadline_s` is a time of the event loop's clock, which is `time.monotonic()`; None for streams,
    which have no deadline.
    """

    principal: Principal | None
    actor: str
    deadline_s: float | None


_CALL: ContextVar[Call] = ContextVar("timebank_call")
enter_call = _CALL.set


def current_call() -> Call:
    """Gives the running call.

    Raises: LookupError outside a call.
    """
    return _CALL.get()


def calling() -> Call | None:
    """Gives the running call, or None outside one."""
    return _CALL.get(None)


def current_principal() -> Principal:
    """Gives the authenticated caller of the running call.

    Raises: TOKEN_INVALID when the method is public and the caller showed no identity; LookupError
    outside a call.

    """
    principal = _CALL.get().principal
    if principal is None:
        raise TimebankError(
            Reason.TOKEN_INVALID,
            "identity: expected a bearer token or a client certificate, got neither; send one",
        )
    return principal


def current_actor() -> str:
    """Gives the end user behind the running call, such as `member/0x7f`: the caller's own name
    unless it acts for somebody; empty for an anonymous caller. Raises: LookupError outside a
    call.

    """
    return _CALL.get().actor


def actor_of(principal: Principal | None, claimed: str | None) -> str:
    """Gives the actor of a call: the claimed end user when the principal may act for others, else
    the principal.

    Raises: VALIDATION_FAILED when a claim that counts is empty, too long or not plain text.

    """
    if principal is None:
        return ""
    if claimed is None or principal.kind not in ACTS_FOR_OTHERS:
        return principal.name
    if not claimed or len(claimed) > ACTOR_CHARACTERS_MAX or not claimed.isprintable():
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"metadata timebank-actor: expected 1 to {ACTOR_CHARACTERS_MAX} printable characters, "
            f"got {claimed[:40]!r}; name the end user, such as member/0x7f",
        )
    return claimed


def permit(principal: Principal | None, permission: Permission) -> None:
    """Checks that a caller may call a method.

    Raises: TOKEN_INVALID without an identity, SCOPE_MISSING for a kind that the method does not
    allow.

    """
    if permission.public:
        return
    if principal is None:
        raise TimebankError(
            Reason.TOKEN_INVALID,
            "identity: expected a bearer token or a client certificate, got neither; send one",
        )
    if principal.kind not in permission.allow:
        allowed = ", ".join(sorted(kind.name for kind in permission.allow))
        raise TimebankError(
            Reason.SCOPE_MISSING,
            f"caller: expected one of {allowed}, got {principal.kind.name}; "
            "call with an identity that may",
            kind=principal.kind.name,
        )
