"""Reconciliation over the contract: journals, payout advices, work items, statements, files."""

import hashlib
import pathlib
import uuid
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, select

from merchant.domain.documents import Redemption
from merchant.domain.redemption_moves import Event
from merchant.domain.states import DocumentKind
from merchant.migrations.versions import merchant_0003
from merchant.store import schema
from tests.merchant.sale_books import audit_shop
from tests.merchant.shops import ShopWorld, merchant_url_of
from tests.merchant.tellers import DAY, LEDGER, SHOP_NAME, Teller, teller_of
from tests.merchant.test_newest_redemptions import writing
from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason
from timebank.merchant.v1 import merchant_pb2, settlement_pb2

HEADER = "merchant_ref,business_date,state,captured_amount,refunded_amount\r\n"
ADVICE = "batch,paid_fen,paid_date\r\n"
SHOPKEEPER = Principal(PrincipalKind.MERCHANT, "shop")
OTHER = Principal(PrincipalKind.MERCHANT, "other")
Outcome = settlement_pb2.ReconciliationItem.Outcome
State = settlement_pb2.SettlementBatch.State
Kind = settlement_pb2.StatementLine.Kind


@pytest.fixture
async def teller(shop: ShopWorld) -> Teller:
    """A shop whose fund has money."""
    found = teller_of(shop)
    await found.income()
    return found


def row(redemption: Redemption, **changes: Any) -> str:
    """A row of a journal that agrees with the ledger."""
    values = {
        "ref": redemption.merchant_ref,
        "date": redemption.business_date,
        "state": redemption.state.name,
        "captured": redemption.captured,
        "refunded": redemption.refunded,
    } | changes
    return ",".join(map(str, values.values())) + "\r\n"


async def submit(teller: Teller, *rows: str, caller: Principal = SHOPKEEPER, **more: Any) -> Any:
    """Sends a journal of the day in."""
    fields = {"parent": SHOP_NAME, "start_date": DAY, "end_date": DAY} | more
    content = (HEADER + "".join(rows)).encode()
    return await teller.call("SubmitMerchantJournal", caller, content=content, **fields)


async def open_items(teller: Teller, **filters: Any) -> list[tuple[int, str, int, int]]:
    """The open items: outcome, reference, amounts."""
    page = await teller.call("ListReconciliationItems", parent=SHOP_NAME, **filters)
    return [
        (item.outcome, item.merchant_ref, item.ledger_amount, item.merchant_amount)
        for item in page.reconciliation_items
    ]


async def close(teller: Teller, date: str = DAY, **more: Any) -> Any:
    """Closes a business day over the contract."""
    return await teller.call("CloseBatch", parent=SHOP_NAME, business_date=date, **more)


async def test_a_journal_is_compared_redemption_by_redemption(teller: Teller) -> None:
    sold = [await teller.shop.sell("wang") for _ in range(6)]
    sold[1] = await teller.shop.do(sold[1], Event.REFUND, 10)
    sold[5] = await teller.shop.reverse(sold[5].merchant_ref)
    rows = [
        row(sold[0]),
        row(sold[1], refunded=0),
        row(sold[2], state="VOIDED", captured=0),
        row(sold[3], date="2026-03-02"),
        row(sold[0]),
        f"ghost,{DAY},CAPTURED,5,0\r\n",
        f"void,{DAY},VOIDED,0,0\r\n",
        f"bad,{DAY},SOLD,5,0\r\n",
    ]
    answer = await submit(teller, *rows)
    assert (answer.row_count, answer.accepted_count, answer.rejected_count) == (8, 7, 1)
    assert [error.row for error in answer.errors] == [8]
    assert (answer.matched_count, answer.item_count) == (2, 6)
    assert set(await open_items(teller)) == {
        (Outcome.OUTCOME_AMOUNT_MISMATCH, sold[1].merchant_ref, 0, 10),
        (Outcome.OUTCOME_STATE_MISMATCH, sold[2].merchant_ref, 10, 0),
        (Outcome.OUTCOME_CUTOFF_SHIFT, sold[3].merchant_ref, 10, 10),
        (Outcome.OUTCOME_DUPLICATE_AT_MERCHANT, sold[0].merchant_ref, 10, 10),
        (Outcome.OUTCOME_MISSING_IN_LEDGER, "ghost", 0, 5),
        (Outcome.OUTCOME_MISSING_AT_MERCHANT, sold[4].merchant_ref, 10, 0),
    }
    only = await open_items(teller, outcome=Outcome.OUTCOME_CUTOFF_SHIFT, start_date=DAY)
    assert [ref for _, ref, _, _ in only] == [sold[3].merchant_ref]
    assert await open_items(teller, start_date="2026-03-02") == []


async def test_a_journal_sent_in_again_replaces_what_is_open(teller: Teller) -> None:
    sold = [await teller.shop.sell("wang") for _ in range(3)]
    await submit(teller)
    before = await teller.call("ListReconciliationItems", parent=SHOP_NAME)
    assert len(before.reconciliation_items) == 3
    name = before.reconciliation_items[0].name
    owned = await teller.call("ResolveReconciliationItem", name=name, owner="li")
    assert (owned.owner, owned.HasField("resolve_time")) == ("li", False)
    answer = await submit(teller, row(sold[1]))
    assert answer.item_count == 2
    after = await teller.call("ListReconciliationItems", parent=SHOP_NAME)
    assert [item.owner for item in after.reconciliation_items] == ["li", ""]
    assert after.reconciliation_items[0].open_time == owned.open_time


async def test_an_item_that_a_later_journal_explained_is_gone_and_nothing_is_broken(
    teller: Teller, tmp_path: pathlib.Path, database_url: str
) -> None:
    sold = await teller.shop.sell("wang")
    await submit(teller)
    (item,) = (await teller.call("ListReconciliationItems", parent=SHOP_NAME)).reconciliation_items
    owning = {"name": item.name, "owner": "li", "request_id": str(uuid.uuid4())}
    assert (await teller.call("ResolveReconciliationItem", **owning)).owner == "li"
    await submit(teller, row(sold))
    assert await open_items(teller) == []
    again = await teller.refused("ResolveReconciliationItem", **owning)
    assert again is Reason.RECONCILIATION_ITEM_NOT_FOUND
    await audit_shop(teller.shop, merchant_url_of(database_url, tmp_path), database_url)


async def test_items_of_an_earlier_version_move_to_their_lists(
    teller: Teller, tmp_path: pathlib.Path, database_url: str
) -> None:
    for _ in range(2):
        await teller.shop.sell("wang")
    await submit(teller)
    page = await teller.call("ListReconciliationItems", parent=SHOP_NAME)
    name = page.reconciliation_items[0].name
    await teller.call("ResolveReconciliationItem", name=name, owner="li", resolution="paid in cash")
    lists = []

    def migrate(connection: Connection) -> None:
        query = select(schema.documents.c.document_id, schema.documents.c.parent)
        items = query.where(schema.documents.c.kind == int(DocumentKind.ITEM))
        lists.append({row[0]: row[1] for row in connection.execute(items)})
        with Operations.context(MigrationContext.configure(connection)):
            for step in (merchant_0003.downgrade, merchant_0003.upgrade):
                step()
                lists.append({row[0]: row[1] for row in connection.execute(items)})

    await writing(teller.shop.programmes.databases, migrate)
    now, before, again = lists
    assert len(set(now.values())) == 2
    assert len(set(before.values())) == 1
    assert again == now
    await audit_shop(teller.shop, merchant_url_of(database_url, tmp_path), database_url)


async def test_the_same_request_gets_the_stored_answer(teller: Teller) -> None:
    await teller.shop.sell("wang")
    request_id = str(uuid.uuid4())
    first = await submit(teller, request_id=request_id)
    again = await submit(teller, request_id=request_id)
    assert (again.replayed, again.item_count) == (True, first.item_count)
    content = (HEADER + f"ghost,{DAY},CAPTURED,5,0\r\n").encode()
    other = {"parent": SHOP_NAME, "start_date": DAY, "end_date": DAY, "content": content}
    reused = await teller.refused(
        "SubmitMerchantJournal", SHOPKEEPER, **other, request_id=request_id
    )
    assert reused is Reason.REQUEST_ID_REUSED


JOURNAL_REFUSALS: list[tuple[dict[str, Any], Reason]] = [
    ({"end_date": "2026-02-28"}, Reason.VALIDATION_FAILED),
    ({"end_date": "2026-04-01"}, Reason.VALIDATION_FAILED),
    ({"start_date": "01.03.2026"}, Reason.VALIDATION_FAILED),
    ({"content": b"a,b\r\n"}, Reason.VALIDATION_FAILED),
    ({"content": b"x" * 2_000_001}, Reason.BATCH_TOO_LARGE),
    ({"content": HEADER.encode() + b"a,b,c,d,e\r\n" * 20_001}, Reason.BATCH_TOO_LARGE),
    ({"parent": f"{LEDGER}/merchants/none"}, Reason.MERCHANT_NOT_FOUND),
]


async def test_a_journal_is_refused(teller: Teller) -> None:
    fields: dict[str, Any] = {
        "parent": SHOP_NAME,
        "start_date": DAY,
        "end_date": DAY,
        "content": HEADER.encode(),
    }
    for changes, reason in JOURNAL_REFUSALS:
        refused = await teller.refused("SubmitMerchantJournal", **(fields | changes))
        assert refused is reason, changes.keys()
    foreign = await teller.refused("SubmitMerchantJournal", OTHER, **fields)
    assert foreign is Reason.SCOPE_MISSING


async def test_an_item_is_resolved_once(teller: Teller) -> None:
    await teller.shop.sell("wang")
    await submit(teller)
    page = await teller.call("ListReconciliationItems", SHOPKEEPER, parent=SHOP_NAME)
    fields = {"name": page.reconciliation_items[0].name, "resolution": "补录\n已核对"}
    done = await teller.call("ResolveReconciliationItem", **fields)
    assert (done.owner, done.HasField("resolve_time")) == ("operator/op", True)
    assert await teller.call("ResolveReconciliationItem", **fields) == done
    other = fields | {"resolution": "other"}
    reason = Reason.RECONCILIATION_ITEM_STATE
    assert await teller.refused("ResolveReconciliationItem", **other) is reason
    missing = f"{SHOP_NAME}/reconciliationItems/none"
    reason = Reason.RECONCILIATION_ITEM_NOT_FOUND
    assert await teller.refused("ResolveReconciliationItem", name=missing) is reason
    assert await open_items(teller) == []
    assert len(await open_items(teller, resolved=True)) == 1
    again = await submit(teller)
    assert (again.item_count, await open_items(teller)) == (0, [])


async def test_an_advice_is_compared_batch_by_batch(teller: Teller) -> None:
    for _ in range(2):
        await teller.shop.sell("wang")
        await teller.next_day()
    first, second = await close(teller), await close(teller, "2026-03-02")
    rows = [
        f"{first.name},4,2026-03-02\r\n",
        f"{first.name},5,2026-03-03\r\n",
        f"{SHOP_NAME}/batches/none,4,2026-03-03\r\n",
        "shop,4,2026-03-03\r\n",
    ]
    content = (ADVICE + "".join(rows)).encode()
    answer = await teller.call("SubmitPayoutAdvice", parent=LEDGER, content=content)
    assert (answer.row_count, answer.rejected_count) == (4, 2)
    assert [error.row for error in answer.errors] == [3, 4]
    assert (answer.matched_count, answer.item_count) == (0, 2)
    page = await teller.call("ListReconciliationItems", parent=f"{LEDGER}/merchants/-")
    found = [(i.outcome, i.settled_fen, i.paid_fen) for i in page.reconciliation_items]
    assert sorted(found) == [
        (Outcome.OUTCOME_UNPAID, 10, 0),
        (Outcome.OUTCOME_UNPAID, 10, 9),
    ]
    rows = [f"{first.name},6,2026-03-03\r\n", f"{second.name},11,2026-03-03\r\n"]
    content = (ADVICE + "".join(rows)).encode()
    answer = await teller.call("SubmitPayoutAdvice", parent=LEDGER, content=content)
    assert (answer.matched_count, answer.item_count) == (1, 1)
    page = await teller.call("ListReconciliationItems", parent=SHOP_NAME)
    found = [(i.outcome, i.settled_fen, i.paid_fen) for i in page.reconciliation_items]
    assert found == [(Outcome.OUTCOME_OVERPAID, 10, 11)]


async def test_an_advice_replaces_the_open_items_of_its_batches_alone(teller: Teller) -> None:
    for _ in range(2):
        await teller.shop.sell("wang")
        await teller.next_day()
    first, second = await close(teller), await close(teller, "2026-03-02")
    ghost = f"ghost,{DAY},CAPTURED,5,0\r\n"
    await submit(teller, ghost)
    await teller.call("SubmitPayoutAdvice", parent=LEDGER, content=ADVICE.encode())
    listed = await teller.call("ListReconciliationItems", parent=SHOP_NAME)
    items = listed.reconciliation_items
    unpaid = {i.business_date: i.name for i in items if i.outcome == Outcome.OUTCOME_UNPAID}
    assert unpaid.keys() == {DAY, "2026-03-02"}
    resolution = {"name": unpaid["2026-03-02"], "resolution": "退汇"}
    await teller.call("ResolveReconciliationItem", **resolution)
    content = (ADVICE + f"{first.name},10,2026-03-03\r\n").encode()
    answer = await teller.call("SubmitPayoutAdvice", parent=LEDGER, content=content)
    assert (answer.matched_count, answer.item_count) == (1, 0)
    assert {outcome for outcome, *_ in await open_items(teller)} == {
        *(Outcome.OUTCOME_MISSING_IN_LEDGER, Outcome.OUTCOME_MISSING_AT_MERCHANT)
    }
    done = await teller.call("ListReconciliationItems", parent=SHOP_NAME, resolved=True)
    assert [item.name for item in done.reconciliation_items] == [resolution["name"]]
    content = (ADVICE + f"{second.name},10,2026-03-03\r\n").encode()
    answer = await teller.call("SubmitPayoutAdvice", parent=LEDGER, content=content)
    assert (answer.matched_count, answer.item_count) == (2, 0)
    done = await teller.call("ListReconciliationItems", parent=SHOP_NAME, resolved=True)
    assert [item.resolution for item in done.reconciliation_items] == ["退汇"]


async def test_a_batch_over_the_contract(teller: Teller) -> None:
    await teller.shop.sell("wang")
    fields = {"parent": SHOP_NAME, "business_date": DAY}
    assert await teller.refused("CloseBatch", **fields) is Reason.VALIDATION_FAILED
    await teller.next_day()
    request_id = str(uuid.uuid4())
    batch = await close(teller, request_id=request_id)
    assert batch.name == f"{SHOP_NAME}/batches/{DAY}-1"
    assert (batch.state, batch.net_fen, batch.replayed) == (State.STATE_CLOSED, 10, False)
    assert (await close(teller, request_id=request_id)).replayed
    assert (await close(teller)).replayed
    reused = {"business_date": "2026-02-28", "request_id": request_id}
    refused = await teller.refused("CloseBatch", parent=SHOP_NAME, **reused)
    assert refused is Reason.REQUEST_ID_REUSED
    assert await teller.call("GetBatch", SHOPKEEPER, name=batch.name) == batch
    data = await teller.call("DownloadBatchFile", SHOPKEEPER, name=batch.name)
    assert hashlib.sha256(data).hexdigest() == batch.file_sha256
    for method in ("GetBatch", "DownloadBatchFile"):
        assert await teller.refused(method, OTHER, name=batch.name) is Reason.BATCH_NOT_FOUND


async def test_a_day_out_of_turn_is_refused_over_the_contract(teller: Teller) -> None:
    await teller.next_day(2)
    fields = {"parent": SHOP_NAME, "business_date": "2026-03-02", "request_id": str(uuid.uuid4())}
    assert await teller.refused("CloseBatch", **fields) is Reason.VALIDATION_FAILED
    await close(teller)
    batch = await teller.call("CloseBatch", **fields)
    assert (batch.name, batch.replayed) == (f"{SHOP_NAME}/batches/2026-03-02-1", False)


async def test_batches_are_listed_newest_first(teller: Teller) -> None:
    await teller.next_day(3)
    for date in (DAY, "2026-03-02", "2026-03-03"):
        await close(teller, date)
    found: list[str] = []
    token = ""
    while True:
        page = await teller.call(
            "ListBatches",
            SHOPKEEPER,
            parent=f"{LEDGER}/merchants/-",
            page_size=1,
            page_token=token,
            start_date="2026-03-02",
            state=State.STATE_CLOSED,
        )
        found += [batch.business_date for batch in page.batches]
        token = page.next_page_token
        if not token:
            break
    assert found == ["2026-03-03", "2026-03-02"]
    parent = f"{LEDGER}/merchants/-"
    paid = await teller.call("ListBatches", parent=parent, state=State.STATE_PAID)
    assert list(paid.batches) == []
    refused = await teller.refused("ListBatches", OTHER, parent=SHOP_NAME)
    assert refused is Reason.MERCHANT_NOT_FOUND


async def test_a_payout_over_the_contract(teller: Teller) -> None:
    await teller.shop.sell("wang")
    await teller.next_day()
    batch = await close(teller)
    fields: dict[str, Any] = {"name": batch.name, "paid_fen": 10, "paid_time": batch.close_time}
    wrong = fields | {"paid_fen": 9}
    assert await teller.refused("RecordPayout", **wrong) is Reason.VALIDATION_FAILED
    missing = fields | {"name": f"{SHOP_NAME}/batches/none"}
    assert await teller.refused("RecordPayout", **missing) is Reason.BATCH_NOT_FOUND
    paid = await teller.call("RecordPayout", **fields, invoice_number="发票-1")
    assert (paid.state, paid.paid_fen, paid.invoice_number) == (State.STATE_PAID, 10, "发票-1")
    assert paid.payout_entry != paid.settlement_entry != ""
    assert await teller.refused("RecordPayout", **fields) is Reason.BATCH_STATE


async def test_a_statement_is_the_ledgers(teller: Teller) -> None:
    sold = [await teller.shop.sell("wang") for _ in range(2)]
    await teller.shop.do(sold[0], Event.REFUND, 3)
    await teller.next_day()
    batch = await close(teller)
    found: list[Any] = []
    token = ""
    fields = {"name": SHOP_NAME, "start_date": DAY, "end_date": "2026-03-02", "page_size": 2}
    while True:
        page = await teller.call("GetMerchantStatement", SHOPKEEPER, **fields, page_token=token)
        assert (page.opening_balance, page.closing_balance) == (0, 0)
        assert page.unit == merchant_pb2.UNIT_POINTS
        found += page.lines
        token = page.next_page_token
        if not token:
            break
    assert [(line.kind, line.amount, line.balance) for line in found] == [
        (Kind.KIND_CAPTURE, 10, 10),
        (Kind.KIND_CAPTURE, 10, 20),
        (Kind.KIND_REFUND, -3, 17),
        (Kind.KIND_SETTLEMENT, -17, 0),
    ]
    assert [line.merchant_ref for line in found[:3]] == [
        *(sold[0].merchant_ref, sold[1].merchant_ref, sold[0].merchant_ref)
    ]
    assert (found[3].batch, found[3].settled_fen) == (batch.name, 17)
    assert [line.business_date for line in found] == [DAY, DAY, DAY, "2026-03-02"]
    day = await teller.call("GetMerchantStatement", name=SHOP_NAME, start_date=DAY, end_date=DAY)
    assert (day.opening_balance, day.closing_balance, len(day.lines)) == (0, 17, 3)
    far = {"name": SHOP_NAME, "start_date": DAY, "end_date": "2026-06-01"}
    assert await teller.refused("GetMerchantStatement", **far) is Reason.VALIDATION_FAILED
    foreign = fields | {"page_size": 0}
    refused = await teller.refused("GetMerchantStatement", OTHER, **foreign)
    assert refused is Reason.MERCHANT_NOT_FOUND
