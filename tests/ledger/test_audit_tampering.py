"""Whatever somebody changes behind the ledger's back, the audit finds it and names the row."""

import pathlib
from collections.abc import Iterator

import pytest

from ledger.audit.run import Kept
from ledger.domain.account import AccountKind
from ledger.store import schema
from tests.ledger.audited import ORIGIN, Writer, signer, write_history
from tests.ledger.tampering import (
    FAR,
    Hand,
    another_row,
    audited_tables,
    changed,
    copy_of,
    filled,
    write_original,
)
from tests.support.postgres import PostgresServer
from timebank.audits import WHOLE_ROW
from timebank.tlog.checkpoint import Checkpoint, sign_checkpoint
from timebank.units import Unit

TABLES = {table.name: table for table in audited_tables()}
COLUMNS = [(table.name, column.name) for table in TABLES.values() for column in table.columns]
NULLABLE = [
    (table.name, column.name)
    for table in TABLES.values()
    for column in table.columns
    if column.nullable
]
# A head of another size lacks an entry, or leaves one over; so the log is at fault.
ELSEWHERE = {("heads", "size"): ("entries", WHOLE_ROW)}


@pytest.fixture(scope="session")
def sqlite_original(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """The audited ledger in a SQLite file; tests copy it."""
    path = tmp_path_factory.mktemp("audited") / "ledger.db"
    write_original(f"sqlite:///{path}")
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def hand(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Hand]:
    """A copy of the audited ledger's database of the test's own, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield Hand(copy_of(request.getfixturevalue("sqlite_original"), tmp_path))
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    name = postgres.create_database(postgres.template("audited_ledger", write_original))
    yield Hand(postgres.url(name))
    postgres.drop_database(name)


async def found_in(hand: Hand) -> tuple[str, str]:
    """Audits and gives table and column of the difference."""
    report = await hand.audit()
    assert report.difference is not None, "the audit found nothing"
    return report.difference.table, report.difference.column


async def test_an_untouched_ledger_agrees_in_every_table(hand: Hand) -> None:
    report = await hand.audit()
    assert report.difference is None
    assert report.entries > 256
    assert all(report.checked[name] > 0 for name in TABLES)


@pytest.mark.parametrize(("table_name", "column_name"), COLUMNS)
async def test_a_changed_column_is_found(hand: Hand, table_name: str, column_name: str) -> None:
    table = TABLES[table_name]
    column = table.columns[column_name]
    row = await hand.row(table, f"WHERE {column_name} IS NOT NULL")
    await hand.change(table, row, **{column_name: changed(column, row[column_name])})
    found = await found_in(hand)
    if column_name == "ledger_no":
        assert found[1] == WHOLE_ROW
    elif column.primary_key:
        assert found == (table_name, WHOLE_ROW)
    elif (table_name, column_name) == ("entries", "leaf"):
        # A changed byte disagrees with the column beside it that repeats it, else with the hash.
        assert found in {("entries", column.name) for column in table.columns}
    else:
        assert found == ELSEWHERE.get((table_name, column_name), (table_name, column_name))


@pytest.mark.parametrize(("table_name", "column_name"), NULLABLE)
async def test_an_erased_value_is_found(hand: Hand, table_name: str, column_name: str) -> None:
    table = TABLES[table_name]
    row = await hand.row(table, f"WHERE {column_name} IS NOT NULL")
    await hand.change(table, row, **{column_name: None})
    assert await found_in(hand) == (table_name, column_name)


@pytest.mark.parametrize(("table_name", "column_name"), NULLABLE)
async def test_a_value_put_where_none_was_is_found(
    hand: Hand, table_name: str, column_name: str
) -> None:
    table = TABLES[table_name]
    row = await hand.row(table, f"WHERE {column_name} IS NULL")
    await hand.change(table, row, **{column_name: filled(table.columns[column_name])})
    assert await found_in(hand) == (table_name, column_name)


@pytest.mark.parametrize("table_name", TABLES)
async def test_a_deleted_row_is_found(hand: Hand, table_name: str) -> None:
    table = TABLES[table_name]
    await hand.delete(table, await hand.row(table))
    table_found, column = await found_in(hand)
    assert column == WHOLE_ROW
    # Without its ledger every other row belongs to nobody.
    assert table_found == table_name or table_name == "ledgers"


@pytest.mark.parametrize("table_name", [name for name in TABLES if name != "ledgers"])
async def test_an_added_row_is_found(hand: Hand, table_name: str) -> None:
    table = TABLES[table_name]
    await hand.add(table, another_row(table, await hand.row(table)))
    assert (await found_in(hand)) == (table_name, WHOLE_ROW)


async def test_an_added_ledger_without_a_head_is_found(hand: Hand) -> None:
    row = await hand.row(schema.ledgers)
    await hand.add(
        schema.ledgers, row | {"ledger_no": FAR, "ledger_id": "another", "log_origin": "x"}
    )
    assert await found_in(hand) == ("heads", WHOLE_ROW)


async def test_a_row_moved_to_another_ledger_is_found(hand: Hand) -> None:
    row = await hand.row(schema.balances)
    await hand.change(schema.balances, row, ledger_no=FAR)
    assert await found_in(hand) == ("balances", WHOLE_ROW)


@pytest.mark.parametrize("position", ["first", "middle", "last"])
async def test_a_deleted_entry_is_found(hand: Hand, position: str) -> None:
    [[last]] = await hand.run("SELECT max(log_index) FROM entries")
    log_index = {"first": 0, "middle": last // 2, "last": last}[position]
    await hand.run("DELETE FROM entries WHERE log_index = ?1", log_index)
    report = await hand.audit()
    assert report.difference is not None
    assert report.difference.table == "entries"
    assert report.difference.key == {"log_index": str(log_index)}


async def test_swapped_leaves_are_found(hand: Hand) -> None:
    rows = await hand.run("SELECT log_index, leaf FROM entries WHERE log_index IN (100, 101)")
    leaves = dict(rows)
    await hand.run("UPDATE entries SET leaf = ?1 WHERE log_index = 100", leaves[101])
    await hand.run("UPDATE entries SET leaf = ?1 WHERE log_index = 101", leaves[100])
    assert await found_in(hand) == ("entries", "leaf")


@pytest.mark.parametrize("log_index", [17, 270])
async def test_a_changed_nonce_is_found_by_its_hash(hand: Hand, log_index: int) -> None:
    """Nothing but the hash can tell: entry 17 is in a full tile, entry 270 in none yet."""
    [[leaf]] = await hand.run("SELECT leaf FROM entries WHERE log_index = ?1", log_index)
    nonce = leaf.index(b"\x1a\x10") + 2
    altered = leaf[:nonce] + bytes([leaf[nonce] ^ 1]) + leaf[nonce + 1 :]
    await hand.run("UPDATE entries SET leaf = ?1 WHERE log_index = ?2", altered, log_index)
    report = await hand.audit()
    assert report.difference is not None
    assert (report.difference.table, report.difference.column) == ("entries", "leaf")
    if log_index == 17:
        assert report.difference.key == {"log_index": "17"}


@pytest.mark.parametrize("leaf", [b"", b"\xff\xff", b"\x08\x01", b"\0" * 70_000])
async def test_a_leaf_that_is_no_entry_is_named(hand: Hand, leaf: bytes) -> None:
    await hand.run("UPDATE entries SET leaf = ?1 WHERE log_index = 33", leaf)
    report = await hand.audit()
    assert report.difference is not None
    assert report.difference.key == {"log_index": "33"}
    assert report.difference.column == "leaf"


@pytest.mark.parametrize("parallel_from", [0, 10**9])
async def test_a_log_at_fault_comes_before_what_follows_from_it(
    hand: Hand, parallel_from: int
) -> None:
    await hand.run("UPDATE postings SET amount = amount + 1 WHERE log_index = 20")
    await hand.run("UPDATE entries SET cause = 'x' WHERE log_index = 200")
    report = await hand.audit(parallel_from=parallel_from)
    assert report.difference is not None
    assert (report.difference.table, report.difference.column) == ("entries", "cause")


async def test_two_processes_agree_with_one(hand: Hand) -> None:
    alone, together = await hand.audit(), await hand.audit(parallel_from=0)
    assert together.difference is None
    assert together.checked == alone.checked


async def test_two_processes_find_a_wrong_balance(hand: Hand) -> None:
    await hand.run("UPDATE balances SET held = held + 1 WHERE account_no = 9")
    report = await hand.audit(parallel_from=0)
    assert report.difference is not None
    assert report.difference.as_json() == {
        "table": "balances",
        "key": {"account_no": "9"},
        "column": "held",
        "expected": "25",
        "got": "26",
    }


async def test_a_text_that_breaks_its_commitment_is_found(hand: Hand) -> None:
    row = await hand.row(schema.texts)
    await hand.change(schema.texts, row, text="别的")
    assert await found_in(hand) == ("texts", "text")


async def test_an_erased_text_is_no_difference(hand: Hand) -> None:
    row = await hand.row(schema.texts)
    await hand.change(schema.texts, row, text="", salt=b"")
    assert (await hand.audit()).difference is None


async def test_a_text_without_an_entry_is_found(hand: Hand) -> None:
    row = await hand.row(schema.texts)
    await hand.add(schema.texts, row | {"log_index": FAR})
    assert await found_in(hand) == ("texts", WHOLE_ROW)


async def test_a_deleted_tail_is_found_only_with_a_kept_checkpoint(tmp_path: pathlib.Path) -> None:
    """A backup from before the tail is a ledger that agrees with itself, signed anew or not."""
    path = tmp_path / "ledger.db"
    writer = await Writer.open(f"sqlite:///{path}")
    await write_history(writer)
    await writer.close()
    copy_folder = tmp_path / "backup"
    copy_folder.mkdir()
    backup = Hand(copy_of(path, copy_folder))
    writer = await Writer.open(f"sqlite:///{path}", seed=8)
    await writer.open_account("grace", *_member())
    kept = Kept(writer.checkpoint(2), (signer(2).vkey,))
    await writer.close()
    assert (await backup.audit()).difference is None
    report = await backup.audit(kept=kept)
    assert report.difference is not None
    assert (report.difference.table, report.difference.column) == ("heads", "size")
    assert (await Hand(f"sqlite:///{path}").audit(kept=kept)).difference is None


@pytest.mark.parametrize("parallel_from", [0, 10**9])
async def test_a_rewritten_tail_is_found_only_with_a_kept_checkpoint(
    tmp_path: pathlib.Path, parallel_from: int
) -> None:
    """Both histories agree with themselves; the kept root is that of the other one."""
    kept: list[Kept] = []
    for seed, holder in ((8, "grace"), (9, "henry")):
        folder = tmp_path / holder
        folder.mkdir()
        writer = await Writer.open(f"sqlite:///{folder / 'ledger.db'}")
        await write_history(writer)
        await writer.close()
        writer = await Writer.open(f"sqlite:///{folder / 'ledger.db'}", seed=seed)
        await writer.open_account(holder, *_member())
        kept.append(Kept(writer.checkpoint(2)))
        await writer.open_account("later", *_member())
        await writer.close()
    rewritten = Hand(f"sqlite:///{tmp_path / 'henry' / 'ledger.db'}")
    assert (await rewritten.audit(parallel_from=parallel_from)).difference is None
    own = await rewritten.audit(kept=kept[1], parallel_from=parallel_from)
    assert own.difference is None
    assert "--vkey" in own.notes[0]
    report = await rewritten.audit(kept=kept[0], parallel_from=parallel_from)
    assert report.difference is not None
    assert (report.difference.table, report.difference.column) == ("checkpoint", "root")


async def test_a_checkpoint_of_another_key_is_refused(hand: Hand) -> None:
    head = await hand.row(schema.heads)
    note = _checkpoint(head["size"], head["root"], seed=3)
    report = await hand.audit(kept=Kept(note))
    assert report.difference is not None
    assert (report.difference.table, report.difference.column) == ("checkpoint", "signature")


def _checkpoint(size: int, root: bytes, *, seed: int) -> str:
    return sign_checkpoint(Checkpoint(ORIGIN, size, root), signer(seed))


def _member() -> tuple[Unit, AccountKind]:
    return Unit.TIME, AccountKind.MEMBER
