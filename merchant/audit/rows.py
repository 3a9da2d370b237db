"""A stored row as the document that it is, once everything beside its body agrees with it.

Raises nothing but DifferenceFound, whatever the bytes are.
"""

from __future__ import annotations

import json

from merchant.audit.shapes import misfit
from merchant.domain.documents import Document
from merchant.domain.places import key_of, place_of
from merchant.domain.states import DocumentKind
from merchant.store.bodies import body_of, document_from_body
from merchant.store.documents import listed_under
from timebank.audits import DifferenceFound, Said, differs
from timebank.database.statements import Row

PAGE_ROWS = 1_000
"""Rows read at a time."""
_KINDS = {int(kind): kind.name for kind in DocumentKind}
_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What bytes that no program of ours wrote can raise while they are read."""


def document_of(ledger_id: str, row: Row) -> Document:
    """Reads a row: kind, id, parent, sequence, due time, body. Raises DifferenceFound."""
    kind, document_id, parent, sequence, due_us, body = row
    if kind not in _KINDS or type(sequence) is not int:
        column = "sequence" if kind in _KINDS else "kind"
        raise _wrong(
            ledger_id, row, column, Said("a number that is known"), row[3 * (column[0] == "s")]
        )
    document = _read(ledger_id, row)
    if (field := misfit(document)) != "":
        value = getattr(document, field)
        raise _wrong(ledger_id, row, field, Said("a value of the field's type"), value)
    place = place_of(document)
    expected = (*key_of(document), listed_under(kind, place.parent), place.due_us)
    columns = ("kind", "document_id", "parent", "due_us")
    for column, wanted, got in zip(
        columns, expected, (kind, document_id, parent, due_us), strict=True
    ):
        if got != wanted:
            raise _wrong(ledger_id, row, column, wanted, got)
    if body_of(document) != body and not _says_the_same(body_of(document), body):
        raise _wrong(ledger_id, row, "body", Said("what this program would write of it"), body)
    return document


def _says_the_same(written: bytes, stored: bytes) -> bool:
    """Compares bodies whose fields may stand in another order; nothing may stand beside them."""
    try:
        return bool(json.loads(written) == json.loads(stored))
    except _UNREADABLE:
        return False


def _read(ledger_id: str, row: Row) -> Document:
    kind, body = row[0], row[5]
    if type(body) is not bytes:
        raise _wrong(ledger_id, row, "body", Said("bytes"), body)
    try:
        return document_from_body(kind, body)
    except _UNREADABLE as error:
        wanted = Said(f"a body that can be read ({type(error).__name__})")
        raise _wrong(ledger_id, row, "body", wanted, body) from error


def _wrong(ledger_id: str, row: Row, figure: str, expected: object, got: object) -> DifferenceFound:
    return wrong(ledger_id, row[0], row[1], figure, expected=expected, got=got)


def wrong(
    ledger_id: str, kind: object, document_id: object, figure: str, *, expected: object, got: object
) -> DifferenceFound:
    """Says that a figure of a document is not what it must be."""
    name = _KINDS.get(kind, "unknown").lower() if isinstance(kind, int) else "unknown"
    key = {"ledger": Said(ledger_id), "id": document_id}
    return differs(name, key, figure, expected=expected, got=got)
