"""Carrying a rule out on documents, without a store."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from merchant.domain.documents import Document
from merchant.domain.places import key_of
from merchant.domain.transactions import NotLoaded, State, Transaction
from timebank.errors import Reason, TimebankError

D = TypeVar("D", bound=Document)
NOW_US = 1_760_000_000_000_000


class Desk:
    """Documents by key, and the time; a rule's writes stay."""

    def __init__(self, *documents: Document, now_us: int = NOW_US) -> None:
        self.state = State({key_of(document): document for document in documents})
        self.now_us = now_us

    def do(self, rule: Callable[[Transaction], D]) -> D:
        """Carries a rule out; whatever is asked for and is not here does not exist."""
        while True:
            transaction = Transaction(self.state, self.now_us, bytes)
            try:
                document = rule(transaction)
            except NotLoaded as missing:
                self.state.documents[missing.key] = None
                continue
            transaction.settle(refused=False)
            return document

    def refused(self, rule: Callable[[Transaction], Document]) -> Reason:
        """Carries a rule out that must be refused and gives the reason."""
        before = dict(self.state.changed)
        with pytest.raises(TimebankError) as refused:
            self.do(rule)
        assert self.state.changed == before, "what is refused writes nothing"
        return refused.value.reason
