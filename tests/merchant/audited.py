"""A shop with something of everything: sales in all states, vouchers, a closed and an open batch.

Owns the history, written through the service's own rpcs into a database of its own, and a hand that
changes documents behind the service's back.
"""

import asyncio
import json
import pathlib
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import grpc.aio
import pytest

from ledger.audit.payments import read_payments
from merchant.audit.programmes import Scope
from merchant.audit.run import audit_database
from merchant.domain.documents import Document, Redemption
from merchant.domain.places import key_of, place_of
from merchant.domain.states import Method, RedemptionState
from merchant.store.bodies import body_of, document_from_body
from merchant.store.documents import listed_under
from merchant.usecases.batch_files import SIGNER_LABEL, settlement_signer
from tests.merchant.till_world import COFFEE, LEDGER, SHOP, TILL, TillWorld, till_world
from timebank.audits import Report
from timebank.auth import Principal, PrincipalKind
from timebank.config import DatabaseConfig
from timebank.merchant.v1 import fund_pb2, merchant_pb2
from timebank.secret_keys import SecretKeys

SECOND = Principal(PrincipalKind.OPERATOR, "second")
DAY = "2026-03-01"
NEXT_DAY = "2026-03-02"
DAY_S = 86_400
FILES = ("merchant.db", "ledger.db")


async def write_history(till: TillWorld) -> None:
    """Writes two business days, the first of which is settled and paid."""
    await till.open_shop(stock=40, daily_max=30, per_member_daily_max=20)
    await till.member("wang", 300)
    await till.call(
        "SetVelocityControl",
        velocity_control=merchant_pb2.VelocityControl(
            name=f"{LEDGER}/velocityControls/day",
            scope=merchant_pb2.VelocityControl.SCOPE_MEMBER,
            window=merchant_pb2.VelocityControl.WINDOW_DAY,
            amount_max=1_000,
        ),
    )
    await record_income(till)
    await _sell(till)
    till.world.clock.advance(seconds=DAY_S)
    batch = await till.call("CloseBatch", parent=SHOP, business_date=DAY)
    await _pay(till, batch)
    await _sell_again(till)
    till.world.clock.advance(seconds=DAY_S)
    await till.call("CloseBatch", parent=SHOP, business_date=NEXT_DAY)
    await till.redeem("wang")
    await _leave_open(till)


async def record_income(till: TillWorld) -> None:
    """Gives the fund what settlements are paid from."""
    income = fund_pb2.Income(
        source=fund_pb2.Income.SOURCE_GOVERNMENT, amount_fen=100_000, reference="bank-1"
    )
    await till.call("RecordIncome", parent=LEDGER, income_id="i1", income=income)


async def _sell(till: TillWorld) -> None:
    await till.redeem("wang", quantity=2)
    sold = await till.redeem("wang")
    await till.call("RefundRedemption", name=sold.name, op_ref="back-1", amount=3, **ref(sold))
    held = await hold(till)
    await till.call("CaptureRedemption", name=held.name, op_ref="c-1", amount=4, **ref(held))
    await till.call(
        "CaptureRedemption", name=held.name, op_ref="c-2", amount=5, final=True, **ref(held)
    )
    voided = await hold(till)
    await till.call("VoidRedemption", name=voided.name, **ref(voided))
    undone = await till.redeem("wang")
    await till.call("ReverseRedemption", parent=SHOP, merchant_ref=undone.merchant_ref)
    await till.call("ReverseRedemption", parent=SHOP, merchant_ref="never-arrived")
    with pytest.raises(grpc.aio.AioRpcError):
        await till.redeem("wang", payment_code="000000000000000000")


async def _pay(till: TillWorld, batch: Any) -> None:
    paid_time = till.world.clock.now_us() // 1_000_000
    await till.call(
        "RecordPayout", name=batch.name, paid_fen=batch.net_fen, paid_time={"seconds": paid_time}
    )
    spending = fund_pb2.Spending(
        kind=fund_pb2.Spending.KIND_EQUIPMENT, amount_fen=500, purpose="收银终端"
    )
    made = await till.call("ProposeSpending", parent=LEDGER, spending_id="s1", spending=spending)
    await till.call("ApproveSpending", SECOND, name=made.name)


async def _sell_again(till: TillWorld) -> None:
    voucher = await till.call(
        "IssueVoucher", parent=LEDGER, offer=COFFEE, member=f"{LEDGER}/members/wang", quantity=1
    )
    await till.call("CollectVoucher", parent=SHOP, terminal=TILL, code=voucher.code)
    await till.call(
        "IssueVoucher", parent=LEDGER, offer=COFFEE, member=f"{LEDGER}/members/wang", quantity=1
    )
    await till.redeem("wang", quantity=3)
    await till.call("IssueCard", parent=LEDGER, member=f"{LEDGER}/members/wang")


async def _leave_open(till: TillWorld) -> None:
    """A hold that lives, one that is partly captured, and one that waits for its member."""
    await hold(till)
    partly = await hold(till)
    await till.call("CaptureRedemption", name=partly.name, op_ref="c-9", amount=6, **ref(partly))
    await till.redeem("", payment_code="", member_qr=True)


def ref(redemption: Any) -> dict[str, Any]:
    """The reference that a till signs."""
    return {"merchant_ref": redemption.merchant_ref}


async def hold(till: TillWorld) -> Any:
    """Authorises a coffee."""
    return await till.call(
        "AuthorizeRedemption",
        parent=SHOP,
        merchant_ref=till.ref(),
        terminal=TILL,
        offer=COFFEE,
        quantity=1,
        payment_code=await till.code("wang"),
    )


def write_original(folder: pathlib.Path) -> None:
    """Writes the history into SQLite files in a folder, and leaves nobody who has them open."""

    async def write() -> None:
        async with till_world(folder, f"sqlite:///{folder / 'ledger.db'}") as till:
            await write_history(till)

    asyncio.run(write())
    for name in FILES:
        # What is still beside a file comes into it, so that the file alone can be copied.
        connection = sqlite3.connect(folder / name)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()


def vkey_of(folder: pathlib.Path) -> str:
    """The key by which settlement files are verified."""
    keys = SecretKeys.open(folder / "data" / "keys")
    return settlement_signer(keys.key(SIGNER_LABEL)).vkey


@dataclass(frozen=True, slots=True)
class Hand:
    """Changes the merchant's SQLite file directly, and audits it beside the ledger's."""

    folder: pathlib.Path
    vkey: str

    def run(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Runs one statement and gives its rows."""
        connection = sqlite3.connect(self.folder / "merchant.db")
        try:
            with connection:
                return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    def documents(self, kind: int) -> list[Any]:
        """All documents of a kind, as they were written."""
        rows = self.run(
            "SELECT body FROM merchant_documents WHERE kind = ? ORDER BY sequence", int(kind)
        )
        return [document_from_body(kind, row[0]) for row in rows]

    def one(self, kind: int, fits: Callable[[Any], bool] = lambda document: True) -> Any:
        """The first document of a kind that fits."""
        return next(document for document in self.documents(kind) if fits(document))

    def write(self, document: Document) -> None:
        """Writes a document where the service would put it."""
        (kind, own), place = key_of(document), place_of(document)
        self.run(
            "UPDATE merchant_documents SET body = ?, parent = ?, due_us = ?"
            " WHERE kind = ? AND document_id = ?",
            *(body_of(document), listed_under(kind, place.parent), place.due_us, int(kind), own),
        )

    def set_body(self, document: Document, **values: object) -> None:
        """Writes fields of any type into a body."""
        kind, own = key_of(document)
        body = json.loads(body_of(document)) | values
        self.set_bytes(kind, own, json.dumps(body, ensure_ascii=True).encode())

    def set_bytes(self, kind: int, own: str, body: object) -> None:
        """Writes any bytes as a body."""
        self.run(
            "UPDATE merchant_documents SET body = ? WHERE kind = ? AND document_id = ?",
            *(body, int(kind), own),
        )

    async def audit(self, *, vkey: str | None = None, with_ledger: bool = True) -> Report:
        """Audits the file."""
        ledger = DatabaseConfig(url=f"sqlite:///{self.folder / 'ledger.db'}")
        scope = Scope(
            None,
            self.vkey if vkey is None else vkey,
            (lambda ledger_id: read_payments(ledger, ledger_id)) if with_ledger else None,
        )
        url = f"sqlite:///{self.folder / 'merchant.db'}"
        return await audit_database(DatabaseConfig(url=url), scope)


def found_in(report: Report) -> set[tuple[str, str, str]]:
    """Kind, id and figure of every difference."""
    return {(one.table, one.key.get("id", "").strip("'"), one.column) for one in report.differences}


def sold(one: Redemption) -> bool:
    """A plain sale by code."""
    return (
        one.state is RedemptionState.CAPTURED
        and one.method is Method.PAYMENT_CODE
        and not one.refunded
    )


def any_document(one: object) -> bool:
    """Whichever comes first."""
    return True
