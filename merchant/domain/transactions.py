"""A transaction of the merchant service as its rules see it: documents by id, and what changes.

Rules are functions of a transaction and a command. They ask for documents by id; one that was not
looked up raises NotLoaded, is looked up, and the rule begins anew, for nothing it did counts until
it ends. A refusal drops everything but what was put with `put_always`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from merchant.domain.documents import Document
from merchant.domain.places import KINDS, Key, key_of
from timebank.ids import ID_BYTES, id_from_bytes

D = TypeVar("D", bound=Document)


class NotLoaded(Exception):
    """A document was asked for that was not looked up."""

    def __init__(self, key: Key) -> None:
        super().__init__(f"{key}")
        self.key = key


@dataclass(slots=True)
class State:
    """Documents that were looked up for a batch, and those that it changed."""

    documents: dict[Key, Document | None] = field(default_factory=dict)
    changed: dict[Key, Document] = field(default_factory=dict)
    gone: dict[Key, None] = field(default_factory=dict)
    before: dict[Key, Document | None] = field(default_factory=dict)
    """What was there of each that was changed, as it was looked up."""


@dataclass(slots=True)
class Transaction:
    """One command's view of the state; `now_us` is the batch's time."""

    state: State
    now_us: int
    random_bytes: Callable[[int], bytes]
    puts: dict[Key, Document] = field(default_factory=dict)
    kept: dict[Key, Document] = field(default_factory=dict)
    deletes: dict[Key, None] = field(default_factory=dict)
    missing: dict[Key, None] = field(default_factory=dict)

    def find(self, kind: type[D], document_id: str) -> D | None:
        """Gives a document, None when there is none. Raises NotLoaded."""
        key = (KINDS[kind], document_id)
        found = self.puts.get(key)
        if found is None:
            if key in self.deletes:
                return None
            found = self.kept.get(key)
        if found is None:
            try:
                found = self.state.documents[key]
            except KeyError:
                self.missing[key] = None
                raise NotLoaded(key) from None
        assert found is None or isinstance(found, kind), "a key names one kind"
        return found

    def want(self, *keys: Key) -> None:
        """Asks for several documents at once; raises NotLoaded when one was not looked up."""
        lacking = [key for key in keys if key not in self.state.documents and key not in self.puts]
        if lacking:
            self.missing.update(dict.fromkeys(lacking))
            raise NotLoaded(lacking[0])

    def put(self, document: Document) -> None:
        """Writes a document, if the command is carried out."""
        self.puts[key_of(document)] = document

    def put_always(self, document: Document) -> None:
        """Writes a document even if the command is refused: tries, and what they lock."""
        self.kept[key_of(document)] = document

    def delete(self, kind: type[Document], document_id: str) -> None:
        """Removes a document, if the command is carried out."""
        key = (KINDS[kind], document_id)
        self.puts.pop(key, None)
        self.deletes[key] = None

    def new_id(self) -> str:
        """Makes a random id of 26 characters."""
        return id_from_bytes(self.random_bytes(ID_BYTES))

    def settle(self, *, refused: bool) -> None:
        """Takes what the command did into the state."""
        state = self.state
        written = self.kept if refused else {**self.kept, **self.puts}
        for key, document in written.items():
            state.before.setdefault(key, state.documents.get(key))
            state.documents[key] = document
            state.changed[key] = document
            state.gone.pop(key, None)
        for key in () if refused else self.deletes:
            state.documents[key] = None
            state.changed.pop(key, None)
            state.gone[key] = None
