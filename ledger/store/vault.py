"""Rows of personal data: a sealed key for each person, and what is sealed under it."""

from __future__ import annotations

from ledger.store.hours_schema import person_data, person_keys
from ledger.store.schema import texts
from timebank.database.statements import Plan, Read, Rows, Write

DESTROYED = b""
"""Stands for a key that was destroyed."""
_KEY = """SELECT p.sealed_key FROM k CROSS JOIN person_keys p
WHERE p.ledger_no = :ledger AND p.member_id = k.k0"""
_DATA = """SELECT p.member_id, p.sealed, q.sealed_key
FROM k CROSS JOIN person_data p CROSS JOIN person_keys q
WHERE p.ledger_no = :ledger AND p.member_id = k.k0 AND p.name = k.k1
AND q.ledger_no = :ledger AND q.member_id = p.member_id"""
_NAMES = """SELECT p.name FROM k CROSS JOIN person_data p
WHERE p.ledger_no = :ledger AND p.member_id = k.k0"""
_TEXTS_OF_ACCOUNTS = """SELECT t.log_index, t.field
FROM k CROSS JOIN accounts a CROSS JOIN postings p CROSS JOIN texts t
WHERE a.ledger_no = :ledger AND a.holder = k.k0
AND p.ledger_no = :ledger AND p.account_no = a.account_no
AND t.ledger_no = :ledger AND t.log_index = p.log_index"""
_TEXTS = """SELECT t.log_index, t.field FROM k CROSS JOIN entries e CROSS JOIN texts t
WHERE e.ledger_no = :ledger AND e.cause = k.k0
AND t.ledger_no = :ledger AND t.log_index = e.log_index"""


def read_key(member_id: str) -> Plan[bytes | None]:
    """Reads the sealed key of a person; empty when it was destroyed, None when there was none."""
    rows = yield Read(_KEY, ("text",), [(member_id,)])
    return rows[0][0] if rows else None


def write_data(member_id: str, name: str, sealed: bytes, *, sealed_key: bytes | None) -> Plan[None]:
    """Writes sealed data, and the person's key when it is new."""
    keys = [(member_id, sealed_key)] if sealed_key is not None else []
    yield Write(upserted=[Rows(person_keys, keys), Rows(person_data, [(member_id, name, sealed)])])


def read_data(member_ids: list[str], name: str) -> Plan[dict[str, tuple[bytes, bytes]]]:
    """Reads sealed data of persons and the sealed key of each."""
    rows = yield Read(_DATA, ("text", "text"), [(item, name) for item in member_ids])
    return {row[0]: (row[1], row[2]) for row in rows}


def erase_person(member_id: str, cause: str) -> Plan[int]:
    """Destroys the key and the data of a person, and the texts of entries with a cause or on the
    person's accounts; gives how many texts. An empty key stays, so that no repeated request brings
    the data back.
    """
    names = yield Read(_NAMES, ("text",), [(member_id,)])
    caused = yield Read(_TEXTS, ("text",), [(cause,)])
    moved = yield Read(_TEXTS_OF_ACCOUNTS, ("text",), [(member_id,)])
    found = list(dict.fromkeys((row[0], row[1]) for row in (*caused, *moved)))
    yield Write(
        upserted=[Rows(person_keys, [(member_id, DESTROYED)])],
        deleted=[
            Rows(person_data, [(member_id, row[0]) for row in names]),
            Rows(texts, found),
        ],
    )
    return len(found)


def delete_data(member_id: str, name: str) -> Plan[None]:
    """Deletes sealed data of a person."""
    yield Write(deleted=[Rows(person_data, [(member_id, name)])])
