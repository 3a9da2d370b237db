"""`timebank post`: one movement from one account to another.

Owns: its options, and writing the receipt. Refuses: every rule of the movement table, which the
server keeps.
"""

from __future__ import annotations

import enum
import uuid
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from ledger.cli_options import (
    LEDGER,
    SERVER,
    Connection,
    LedgerId,
    Server,
    Token,
    UnitName,
    ask,
    moment,
    zone_of,
)
from timebank.client import LedgerClient
from timebank.client.commands import move
from timebank.client.kinds import EntryKind
from timebank.client.views import PostResult
from timebank.errors import Reason, TimebankError

app = typer.Typer(rich_markup_mode="markdown")


class MovementName(enum.StrEnum):
    """The movements that may be posted; the movement table says who may post what."""

    OPENING_BALANCE = "OPENING_BALANCE"
    IMPORT = "IMPORT"
    TRANSFER = "TRANSFER"
    DONATION = "DONATION"
    POOL_GRANT = "POOL_GRANT"
    SERVICE_PAYMENT = "SERVICE_PAYMENT"
    REDEMPTION = "REDEMPTION"
    SETTLEMENT = "SETTLEMENT"
    FUND_INCOME = "FUND_INCOME"
    FUND_SPENDING = "FUND_SPENDING"


@app.command(
    epilog="Example: `timebank post --kind REDEMPTION --debit ACCOUNT --credit ACCOUNT "
    "--unit POINTS --amount 5 --receipt receipt.tlog-proof`"
)
def post(
    kind: Annotated[MovementName, typer.Option("--kind", help="Which movement 类型.")],
    debit: Annotated[str, typer.Option("--debit", help="Account that pays 转出账户.")],
    credit: Annotated[str, typer.Option("--credit", help="Account that receives 转入账户.")],
    unit: Annotated[UnitName, typer.Option("--unit", help="Unit of both accounts 单位.")],
    amount: Annotated[
        int, typer.Option("--amount", min=1, help="Minutes, points or fen 数额（分钟、分、积分）.")
    ],
    natural_key: Annotated[
        str, typer.Option("--natural-key", help="Number that the business gives it 业务编号.")
    ] = "",
    cause: Annotated[str, typer.Option("--cause", help="What caused it; no names 原因.")] = "",
    memo: Annotated[str, typer.Option("--memo", help="Free text, kept outside the log 备注.")] = "",
    expires: Annotated[
        str | None,
        typer.Option("--expires", help="Last day on which credited POINTS count 有效期至."),
    ] = None,
    request_id: Annotated[
        str, typer.Option("--request-id", help="UUID; the same one never posts twice 请求编号.")
    ] = "",
    receipt: Annotated[
        Path | None,
        typer.Option("--receipt", help="Write the receipt to this file 回执文件.", dir_okay=False),
    ] = None,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Moves an amount from one account to another. 记账."""
    request_id = request_id or str(uuid.uuid4())

    async def move_it(client: LedgerClient) -> PostResult:
        expire_time = None
        if expires is not None:
            zone = zone_of((await client.get_ledger()).time_zone)
            expire_time = moment(expires, "--expires", zone, day_end=True)
        return await client.post(
            kind=EntryKind[kind.value],
            postings=move(
                debit=debit, credit=credit, unit=unit.unit, amount=amount, expire_time=expire_time
            ),
            natural_key=natural_key,
            cause=cause,
            memo=memo,
            request_id=request_id,
            receipt=receipt is not None,
        )

    done = ask(Connection(server, token, ledger), move_it)
    if receipt is not None:
        _write(receipt, done.receipt or "", request_id)
    _say(f"{done.entry} {'was posted before 此前已记账' if done.replayed else 'posted 已记账'}")


def _write(path: Path, text: str, request_id: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED,
            f"--receipt {path}: {error.strerror}; the entry is posted: run the same command with "
            f"--request-id {request_id} and another file",
            field="receipt",
        ) from error


def _say(text: str) -> None:
    Console(soft_wrap=True).print(Text(text))
