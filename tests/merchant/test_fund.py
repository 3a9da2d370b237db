"""The special fund: incomes by reference, budgets, and spending by two people."""

import uuid
from typing import Any

import pytest

from merchant.domain.redemption_moves import Event
from merchant.domain.states import DocumentKind
from tests.merchant.shops import SHOP, ShopWorld
from tests.merchant.tellers import DAY, LEDGER, OPERATOR, SECOND, SHOP_NAME, Teller, teller_of
from timebank.auth import Principal, PrincipalKind
from timebank.client.merchant_answers import budget_from_wire
from timebank.errors import Reason
from timebank.merchant.v1 import fund_pb2

OFFICER = Principal(PrincipalKind.OFFICER, "li", units=frozenset({"huancui"}))
State = fund_pb2.Spending.State
NEXT_DAY = "2026-03-02"


@pytest.fixture
def teller(shop: ShopWorld) -> Teller:
    """A shop and a fund without money."""
    return teller_of(shop)


def income(**changes: Any) -> dict[str, Any]:
    """A valid income to record."""
    values: dict[str, Any] = {
        "source": fund_pb2.Income.SOURCE_DONATION,
        "amount_fen": 1_000,
        "reference": "bank-1",
    }
    income_id = changes.pop("income_id", "i1")
    made = fund_pb2.Income(**(values | changes))
    return {"parent": LEDGER, "income_id": income_id, "income": made}


def spending(**changes: Any) -> dict[str, Any]:
    """A valid spending to propose."""
    values: dict[str, Any] = {
        "kind": fund_pb2.Spending.KIND_EQUIPMENT,
        "amount_fen": 300,
        "purpose": "血压计",
    }
    spending_id = changes.pop("spending_id", "s1")
    made = fund_pb2.Spending(**(values | changes))
    return {"parent": LEDGER, "spending_id": spending_id, "spending": made}


def budget(**changes: Any) -> fund_pb2.Budget:
    """A valid budget to set."""
    values: dict[str, Any] = {
        "name": f"{LEDGER}/budgets/meals",
        "display_name": "助餐",
        "limit_fen": 500,
    }
    return fund_pb2.Budget(**(values | changes))


async def test_an_income_is_entered_once(teller: Teller) -> None:
    request_id = str(uuid.uuid4())
    first = await teller.call("RecordIncome", **income(), request_id=request_id)
    again = await teller.call("RecordIncome", **income(), request_id=request_id)
    other = await teller.call("RecordIncome", **income())
    assert (first.replayed, again.replayed, other.replayed) == (False, True, True)
    assert first.entry == again.entry == other.entry != ""
    assert (await teller.balances())[2] == 1_000


INCOME_REFUSALS = [
    (income(amount_fen=0), Reason.VALIDATION_FAILED),
    (income(source=0), Reason.VALIDATION_FAILED),
    (income(reference="a b"), Reason.VALIDATION_FAILED),
    (income(income_id="I"), Reason.VALIDATION_FAILED),
    (income(amount_fen=2), Reason.INCOME_EXISTS),
    (income(income_id="i2"), Reason.INCOME_EXISTS),
]


async def test_an_income_is_refused(teller: Teller) -> None:
    await teller.call("RecordIncome", **income())
    for fields, reason in INCOME_REFUSALS:
        assert await teller.refused("RecordIncome", **fields) is reason, fields


async def test_a_budget_is_set_by_its_etag(teller: Teller) -> None:
    made = await teller.call("SetBudget", budget=budget())
    changed = await teller.call("SetBudget", budget=budget(limit_fen=50, etag=made.etag))
    assert (changed.limit_fen, changed.available_fen) == (50, 50)
    stale = budget(limit_fen=60, etag=made.etag)
    assert await teller.refused("SetBudget", budget=stale) is Reason.ETAG_MISMATCH
    unknown = budget(name=f"{LEDGER}/budgets/new", etag="7")
    assert await teller.refused("SetBudget", budget=unknown) is Reason.ETAG_MISMATCH
    assert await teller.call("GetBudget", name=changed.name) == changed
    listed = await teller.call("ListBudgets", parent=LEDGER, page_size=1)
    assert [item.name for item in listed.budgets] == [f"{LEDGER}/budgets/b"]
    rest = await teller.call(
        "ListBudgets", parent=LEDGER, page_size=1, page_token=listed.next_page_token
    )
    assert [item.name for item in rest.budgets] == [changed.name]
    assert rest.next_page_token == ""


async def test_a_budget_lowered_below_what_is_promised_promises_nothing_more(
    teller: Teller,
) -> None:
    await teller.shop.sell("wang", redeems=False)
    lowered = budget(name=f"{LEDGER}/budgets/b", limit_fen=4)
    set_ = await teller.call("SetBudget", budget=lowered)
    assert (set_.reserved_fen, set_.available_fen) == (10, -6)


async def test_a_budget_tells_what_settlement_took_from_it_and_added(teller: Teller) -> None:
    await teller.income()
    merchant = await teller.shop.found(DocumentKind.MERCHANT, SHOP)
    await teller.shop.put(merchant._replace(fen_per_hundred_points=85))
    sold = [await teller.shop.sell("wang") for _ in range(3)]
    name = f"{LEDGER}/budgets/b"
    before = await teller.call("GetBudget", name=name)
    assert (before.spent_fen, before.adjusted_fen) == (3 * 9, 0)
    await teller.next_day()
    batch = await teller.call("CloseBatch", parent=SHOP_NAME, business_date=DAY)
    settled = await teller.call("GetBudget", name=name)
    assert (settled.spent_fen, settled.adjusted_fen) == (batch.net_fen, -2) == (25, -2)
    assert settled.available_fen == before.available_fen + 2
    assert budget_from_wire(settled).adjusted_fen == -2
    await teller.shop.do(sold[0], Event.REFUND, 10)
    await teller.next_day()
    await teller.call("CloseBatch", parent=SHOP_NAME, business_date=NEXT_DAY)
    listed = await teller.call("ListBudgets", parent=LEDGER)
    [owed] = listed.budgets
    assert (owed.spent_fen, owed.adjusted_fen) == (25, 7), "the merchant owes what it gave back"


async def test_nobody_sets_what_settlement_added_to_a_budget(teller: Teller) -> None:
    named = budget(name=f"{LEDGER}/budgets/b", adjusted_fen=5)
    known = await teller.shop.found(DocumentKind.BUDGET, "b")
    await teller.shop.put(known._replace(spent_fen=20, adjusted_fen=-3))
    changed = await teller.call("SetBudget", budget=named)
    assert (changed.limit_fen, changed.spent_fen, changed.adjusted_fen) == (500, 20, -3)


BUDGET_REFUSALS = [
    budget(limit_fen=-1),
    budget(display_name=" "),
    budget(name=f"{LEDGER}/budgets/{'x' * 41}"),
]


async def test_a_budget_is_refused(teller: Teller) -> None:
    for wrong in BUDGET_REFUSALS:
        assert await teller.refused("SetBudget", budget=wrong) is Reason.VALIDATION_FAILED, wrong
    missing = f"{LEDGER}/budgets/none"
    assert await teller.refused("GetBudget", name=missing) is Reason.BUDGET_NOT_FOUND


async def test_a_spending_takes_two_people(teller: Teller) -> None:
    await teller.income()
    made = await teller.call("ProposeSpending", OFFICER, **spending())
    assert (made.state, made.proposer) == (State.STATE_PROPOSED, "officer/li")
    request_id = str(uuid.uuid4())
    paid = await teller.call("ApproveSpending", name=made.name, request_id=request_id)
    again = await teller.call("ApproveSpending", name=made.name, request_id=request_id)
    assert (paid.state, paid.approver) == (State.STATE_APPROVED, "operator/op")
    assert (paid.replayed, again.replayed, paid.entry) == (False, True, again.entry)
    assert (await teller.balances())[2] == 100_000 - 300
    assert await teller.refused("ApproveSpending", name=made.name) is Reason.SPENDING_STATE
    assert await teller.refused("RejectSpending", name=made.name) is Reason.SPENDING_STATE


async def test_who_proposed_a_spending_does_not_decide_it(teller: Teller) -> None:
    made = await teller.call("ProposeSpending", **spending())
    for method in ("ApproveSpending", "RejectSpending"):
        assert await teller.refused(method, name=made.name) is Reason.FOUR_EYES_REQUIRED
        missing = f"{LEDGER}/spendings/none"
        assert await teller.refused(method, name=missing) is Reason.SPENDING_NOT_FOUND
    rejected = await teller.call("RejectSpending", SECOND, name=made.name)
    assert (rejected.state, rejected.approver) == (State.STATE_REJECTED, "operator/second")
    other = spending(amount_fen=5)
    assert await teller.refused("ProposeSpending", **other) is Reason.SPENDING_EXISTS
    assert (await teller.call("ProposeSpending", **spending())).replayed


async def test_a_decline_is_final_for_its_request_and_another_yes_may_pay(teller: Teller) -> None:
    made = await teller.call("ProposeSpending", OFFICER, **spending())
    fields = {"name": made.name, "request_id": str(uuid.uuid4())}
    for _ in range(2):
        assert await teller.refused("ApproveSpending", **fields) is Reason.INSUFFICIENT_BALANCE
    waiting = await teller.call("GetSpending", name=made.name)
    assert (waiting.state, waiting.approver) == (State.STATE_PROPOSED, "")
    await teller.income()
    assert await teller.refused("ApproveSpending", **fields) is Reason.INSUFFICIENT_BALANCE
    paid = await teller.call("ApproveSpending", name=made.name)
    assert paid.state == State.STATE_APPROVED
    assert (await teller.balances())[2] == 100_000 - 300


async def test_spendings_are_listed_newest_first(teller: Teller) -> None:
    for number in range(3):
        await teller.call("ProposeSpending", **spending(spending_id=f"s{number}"))
    await teller.call("RejectSpending", SECOND, name=f"{LEDGER}/spendings/s1")
    found: list[str] = []
    token = ""
    while True:
        page = await teller.call(
            "ListSpendings",
            parent=LEDGER,
            page_size=1,
            page_token=token,
            state=State.STATE_PROPOSED,
        )
        found += [item.name.rpartition("/")[2] for item in page.spendings]
        token = page.next_page_token
        if not token:
            break
    assert found == ["s2", "s0"]


async def test_a_quarter_adds_up(teller: Teller) -> None:
    await teller.call("RecordIncome", **income(amount_fen=5_000))
    grant = {"income_id": "i2", "reference": "bank-2", "source": fund_pb2.Income.SOURCE_GOVERNMENT}
    await teller.call("RecordIncome", **income(**grant))
    made = await teller.call("ProposeSpending", OFFICER, **spending())
    await teller.call("ApproveSpending", name=made.name)
    await teller.shop.sell("wang")
    await teller.next_day()
    await teller.call("CloseBatch", parent=SHOP_NAME, business_date=DAY)
    now = await teller.call("GetFundStatement", parent=LEDGER, year=2026, quarter=1)
    assert (now.opening_fen, now.closing_fen, now.settlement_fen) == (0, 5_690, 10)
    assert [(item.source, item.amount_fen, item.income_count) for item in now.incomes] == [
        (fund_pb2.Income.SOURCE_GOVERNMENT, 1_000, 1),
        (fund_pb2.Income.SOURCE_DONATION, 5_000, 1),
    ]
    assert [(item.kind, item.amount_fen) for item in now.spendings] == [
        (fund_pb2.Spending.KIND_EQUIPMENT, 300)
    ]
    await teller.next_day(40)
    await teller.call("RecordIncome", **income(income_id="i3", reference="bank-3", amount_fen=1))
    over = await teller.call("GetFundStatement", parent=LEDGER, year=2026, quarter=1)
    after = await teller.call("GetFundStatement", parent=LEDGER, year=2026, quarter=2)
    assert over.closing_fen == after.opening_fen == 5_690
    assert (after.closing_fen, after.settlement_fen) == (5_691, 0)
    assert over.incomes == now.incomes


QUARTER_REFUSALS = [(1999, 1), (10_000, 1), (2026, 0), (2026, 5)]


async def test_a_quarter_is_refused(teller: Teller) -> None:
    for year, quarter in QUARTER_REFUSALS:
        fields = {"parent": LEDGER, "year": year, "quarter": quarter}
        assert await teller.refused("GetFundStatement", **fields) is Reason.VALIDATION_FAILED


async def test_the_fund_is_for_those_who_may_see_it(teller: Teller) -> None:
    merchant = Principal(PrincipalKind.MERCHANT, "shop")
    fields = {"parent": LEDGER, "year": 2026, "quarter": 1}
    assert await teller.refused("GetFundStatement", merchant, **fields) is Reason.SCOPE_MISSING
    far = Principal(PrincipalKind.OPERATOR, "far", ledgers=frozenset({"elsewhere"}))
    assert await teller.refused("ListBudgets", far, parent=LEDGER) is Reason.LEDGER_NOT_FOUND
    assert OPERATOR.ledgers is None
