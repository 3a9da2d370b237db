"""A programme with one of everything that a call to the merchant service can meet, for the tables
of refusals.

Owns the words of the tables, a call of every rpc that would succeed, and the state that a refused
call must leave as it was.
"""

import pathlib
import sqlite3
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from google.protobuf.message import Message

from merchant.domain.states import DocumentKind
from tests.merchant.rpc.requests import METHODS, request_class, stub_of
from tests.merchant.till_world import LEDGER, OPERATOR, SIGNED, TILL, TillWorld
from tests.support.messages import replace_field
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, TimebankError
from timebank.local_channels import LocalChannel

SECOND = Principal(PrincipalKind.OPERATOR, "second")
ELSEWHERE = Principal(PrincipalKind.OPERATOR, "far", frozenset({"elsewhere"}))
OFFICER = Principal(PrincipalKind.OFFICER, "li", units=frozenset({"huancui"}))
FAR_OFFICER = Principal(PrincipalKind.OFFICER, "sun", units=frozenset({"wendeng"}))
WANG = Principal(PrincipalKind.MEMBER, "wang")
CHEN = Principal(PrincipalKind.MEMBER, "chen")
SHOPKEEPER = Principal(PrincipalKind.MERCHANT, "shop")
BARBER = Principal(PrincipalKind.MERCHANT, "barber")
FIRST_TILL = Principal(PrincipalKind.TERMINAL, "shop/t1")
BARBER_TILL = Principal(PrincipalKind.TERMINAL, "barber/t1")
USED_NONCE = "used-by-another-call"
PIN, OTHER_PIN = "195738", "284617"
JUNK = (
    ("timebank-terminal", TILL),
    ("timebank-timestamp", "1"),
    ("timebank-nonce", "n" * 16),
    ("timebank-signature", "A" * 86),
)
"""A signature of nothing, for what cannot be signed."""


class Standing(NamedTuple):
    """What a refused call leaves as it was: the size of the ledger's log, the programme's sequence,
    and every document by kind and id.
    """

    log_size: int
    sequence: int
    documents: dict[tuple[int, str], bytes]


@dataclass
class Scene:
    """The programme, and what its things are called."""

    till: TillWorld
    database: pathlib.Path
    used_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    names: dict[str, str] = field(default_factory=dict)
    """Resource names of redemptions, cards, vouchers and work items."""
    refs: dict[str, str] = field(default_factory=dict)
    """References of redemptions at the merchant."""
    codes: dict[str, str] = field(default_factory=dict)
    """Payment codes by member, numbers of cards, codes of vouchers and tills."""
    valid: Mapping[str, Callable[["Scene"], dict[str, Any]]] = field(default_factory=dict)

    def request(self, method: str, changes: Mapping[str, Any] | None = None) -> Any:
        """A request that would succeed, but for these fields by path; None clears one."""
        kind = request_class(method)
        request = kind(**self.valid[method](self))
        if "request_id" in kind.DESCRIPTOR.fields_by_name:
            request.request_id = str(uuid.uuid4())
        for path, value in (changes or {}).items():
            replace_field(request, path, value)
        return request

    async def send(
        self,
        method: str,
        request: Message,
        caller: Principal = OPERATOR,
        *,
        metadata: tuple[tuple[str, str], ...] | None = None,
    ) -> Any:
        """Sends a request; one that a till signs is signed, unless its metadata is given."""
        if metadata is None:
            metadata = self.signature(method, request) if method in SIGNED else ()
        channel = LocalChannel(self.till.world.process.runtime.interceptors, caller)
        call = stub_of(method, channel)(request, metadata=metadata)
        if METHODS[method].server_streaming:
            return [message async for message in call]
        return await call

    def signature(
        self, method: str, request: Any, terminal: str = "", **changes: Any
    ) -> tuple[tuple[str, str], ...]:
        """The signature of the till that a request names, else of the shop's first."""
        named = terminal or getattr(request, "terminal", "") or TILL
        if not named.isascii() or not named.isprintable():
            return JUNK
        try:
            signed = self.till.signature(method, request, **changes)
        except TimebankError:
            return JUNK
        return (("timebank-terminal", named), *signed[1:])

    async def standing(self) -> Standing:
        """Reads what must not change."""
        with sqlite3.connect(self.database) as connection:
            [(sequence,)] = connection.execute("SELECT sequence FROM merchant_programmes")
            rows = connection.execute("SELECT kind, document_id, body FROM merchant_documents")
            documents = {(kind, name): body for kind, name, body in rows}
        connection.close()
        return Standing(await self.till.world.size(), sequence, documents)


class Refusal(NamedTuple):
    """One row of a table: a call of a method that must be refused, and why.

    `changes` are the fields that differ from a call which would succeed. `leaves` are kinds of
    documents that the refusal may write: a wrong try that is counted, a sale that the ledger
    declined.
    """

    method: str
    reason: Reason
    about: str
    changes: Callable[[Scene], Mapping[str, Any]] = lambda scene: {}
    caller: Principal = OPERATOR
    leaves: frozenset[DocumentKind] = frozenset()
    metadata: Callable[[Scene, str, Any], tuple[tuple[str, str], ...]] | None = None


def merchant(word: str) -> str:
    """Names a merchant."""
    return f"{LEDGER}/merchants/{word}"


def terminal(word: str, owner: str = "shop") -> str:
    """Names a till."""
    return f"{LEDGER}/merchants/{owner}/terminals/{word}"


def offer(word: str, owner: str = "shop") -> str:
    """Names an offer."""
    return f"{LEDGER}/merchants/{owner}/offers/{word}"


def member(word: str) -> str:
    """Names a member."""
    return f"{LEDGER}/members/{word}"


def budget(word: str) -> str:
    """Names a budget."""
    return f"{LEDGER}/budgets/{word}"
