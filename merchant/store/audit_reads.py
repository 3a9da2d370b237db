"""What an audit reads: all documents of a programme, lists in their order, and rows of nobody.

Owns the queries; parameters are `?1`, `?2` ... Refuses judging what it reads.
"""

from __future__ import annotations

from merchant.domain.states import DocumentKind
from timebank.database.snapshots import Pages, Snapshot
from timebank.database.statements import Row

_COLUMNS = "kind, document_id, parent, sequence, due_us, body"


async def read_programmes(snapshot: Snapshot) -> list[Row]:
    """Reads number, ledger id, last sequence and time of all programmes."""
    return await snapshot.rows(
        "SELECT ledger_no, ledger_id, sequence, moved_us FROM merchant_programmes"
        " ORDER BY ledger_no"
    )


async def read_strays(snapshot: Snapshot, table: str) -> list[Row]:
    """Reads the number of a row that belongs to no programme, if there is one."""
    return await snapshot.rows(
        f"SELECT t.ledger_no FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM merchant_programmes p"
        " WHERE p.ledger_no = t.ledger_no) LIMIT 1"
    )


async def count_documents(snapshot: Snapshot, ledger_no: int) -> int:
    """Counts the documents of a programme."""
    [row] = await snapshot.rows(
        "SELECT count(*) FROM merchant_documents WHERE ledger_no = ?1", ledger_no
    )
    count: int = row[0]
    return count


def read_documents(snapshot: Snapshot, ledger_no: int) -> Pages:
    """Reads all documents of a programme, in any order."""
    return snapshot.pages(
        f"SELECT {_COLUMNS} FROM merchant_documents WHERE ledger_no = ?1", ledger_no
    )


def read_kind(snapshot: Snapshot, ledger_no: int, kind: int) -> Pages:
    """Reads the documents of a kind, by id."""
    return snapshot.pages(
        f"SELECT {_COLUMNS} FROM merchant_documents WHERE ledger_no = ?1 AND kind = ?2"
        " ORDER BY document_id",
        ledger_no,
        kind,
    )


def read_list(snapshot: Snapshot, ledger_no: int, parent: str) -> Pages:
    """Reads a list as it was written."""
    return snapshot.pages(
        f"SELECT {_COLUMNS} FROM merchant_documents WHERE ledger_no = ?1 AND parent = ?2"
        " ORDER BY sequence",
        ledger_no,
        parent,
    )


async def read_document(
    snapshot: Snapshot, ledger_no: int, kind: int, document_id: str
) -> Row | None:
    """Reads one document, None when it is not there."""
    found = await snapshot.rows(
        f"SELECT {_COLUMNS} FROM merchant_documents"
        " WHERE ledger_no = ?1 AND kind = ?2 AND document_id = ?3",
        ledger_no,
        kind,
        document_id,
    )
    return found[0] if found else None


async def read_doubled(snapshot: Snapshot, ledger_no: int, limit: int) -> list[Row]:
    """Reads sequences that more than one document has."""
    return await snapshot.rows(
        "SELECT sequence, count(*) FROM merchant_documents WHERE ledger_no = ?1"
        " GROUP BY sequence HAVING count(*) > 1 LIMIT ?2",
        ledger_no,
        limit,
    )


def read_errors(snapshot: Snapshot, ledger_no: int) -> Pages:
    """Reads the refusals that are stored, with the key of their request."""
    return snapshot.pages(
        "SELECT request_key, error FROM merchant_requests"
        " WHERE ledger_no = ?1 AND error IS NOT NULL",
        ledger_no,
    )


async def read_orphans(snapshot: Snapshot, ledger_no: int, limit: int) -> list[Row]:
    """Reads requests whose document is not there: key, kind and id. An item that was open is taken
    away by the comparison that explains it.
    """
    return await snapshot.rows(
        "SELECT r.request_key, r.kind, r.document_id FROM merchant_requests r"
        " WHERE r.ledger_no = ?1 AND r.error IS NULL AND r.kind <> ?3 AND NOT EXISTS (SELECT 1"
        " FROM merchant_documents d WHERE d.ledger_no = r.ledger_no AND d.kind = r.kind"
        " AND d.document_id = r.document_id) LIMIT ?2",
        ledger_no,
        limit,
        int(DocumentKind.ITEM),
    )
