"""`timebank pos`: a till in the terminal 收银.

Owns: the prompt, the keyboard, and the thread in which the till keeps asking what it does not know.
Refuses: the orders themselves (see merchant/cli_pos_till.py). Rules: plain lines in and out, so
that a person, a pseudo-terminal and a pipe work alike; a secret is not echoed where there is a
terminal. While the cashier thinks, the till sends what waits and asks what is unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from merchant.cli_options import SERVER, ZONE, Connection, Server, Token, Zone, refusal, zone_of
from merchant.cli_pos_orders import Order, Typed, parse
from merchant.cli_pos_terminal import Background, Keyboard
from merchant.cli_pos_till import Counter, Exit
from timebank.client.till_calls import TILL_REPETITION
from timebank.client.till_journal import TillJournal
from timebank.client.till_keys import key_exists
from timebank.client.till_requests import TillNames
from timebank.client.tills import TillClient
from timebank.errors import TimebankError

PROMPT = "till 收银> "
KEY_FILE = "terminal.pem"
JOURNAL_FILE = "journal.jsonl"
KEEP_ASKING_S = 3.0
REPETITION = TILL_REPETITION

app = typer.Typer(rich_markup_mode="markdown")


@app.command(
    epilog="Examples: `timebank pos --terminal ledgers/weihai/merchants/barber/terminals/till-1`, "
    "`timebank pos --terminal ... --once 'redeem haircut 1 --code 700012345678901234'`, "
    "`timebank pos --terminal ... < orders.txt`"
)
def pos(
    terminal: Annotated[
        str,
        typer.Option(
            "--terminal",
            envvar="TIMEBANK_TERMINAL",
            help="Resource name of the till 终端.",
            show_default=False,
        ),
    ],
    directory: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            help="Where its key and its journal are, by default data/pos/TERMINAL 目录.",
            show_default=False,
        ),
    ] = None,
    once: Annotated[
        str | None,
        typer.Option("--once", help="Do one order and end 单次执行.", show_default=False),
    ] = None,
    zone: Zone = ZONE,
    server: Server = SERVER,
    token: Token = None,
) -> None:
    """Is a till: sells for points, refunds, and knows what is unknown. 收银.

    Exit code with --once or a pipe: 0 done, 1 refused, 3 unknown or pending; the worst of all.
    """
    folder = directory or Path("data") / "pos" / TillNames(terminal).id
    if key_exists(folder / KEY_FILE) and not (folder / JOURNAL_FILE).exists():
        raise refusal(
            f"{folder}: there is a key and no journal: its numbers would be given twice; restore "
            f"{JOURNAL_FILE}, or enrol the till again in a new directory",
            "dir",
        )
    connection = Connection(server, token)
    with TillJournal.open(folder / JOURNAL_FILE, terminal, zone=zone_of(zone)) as journal:
        code = _work(connection, terminal, folder, journal, once)
    raise typer.Exit(int(code))


def _work(
    connection: Connection, terminal: str, folder: Path, journal: TillJournal, once: str | None
) -> Exit:
    keyboard = Keyboard()
    console = Console(highlight=False)
    with _opened(connection, terminal, folder, journal) as (till, run):
        counter = Counter(till, run, keyboard, console)
        if once is not None:
            code = _one(counter, once)
            if code is not Exit.UNKNOWN:  # then it was asked just now
                _catch_up(counter, till, run, folder)
            return code
        worst = _prompt(counter, till, run, keyboard, folder)
        return Exit.DONE if keyboard.is_person else worst


@contextmanager
def _opened(
    connection: Connection, terminal: str, folder: Path, journal: TillJournal
) -> Iterator[tuple[TillClient, Background]]:
    """Connects on a loop of its own; nothing is sent yet."""
    background = Background()

    async def connect() -> TillClient:
        return TillClient.connect(
            connection.address,
            terminal=terminal,
            key_file=folder / KEY_FILE,
            journal=journal,
            token=connection.token,
            tls=connection.tls,
            repetition=REPETITION,
        )

    async def close(till: TillClient) -> None:
        async with till:
            pass

    try:
        till = background(connect())
        try:
            yield till, background
        finally:
            background(close(till))
    finally:
        background.close()


def _prompt(
    counter: Counter, till: TillClient, run: Background, keyboard: Keyboard, folder: Path
) -> Exit:
    """Takes orders until the end; gives the worst of how they ended."""
    if keyboard.is_person:
        counter.say("`help` 帮助 lists the orders")
    _catch_up(counter, till, run, folder)
    asking = run.start(_keep_asking(counter, till, folder)) if keyboard.is_person else None
    worst = Exit.DONE
    while True:
        try:
            line = keyboard.line(PROMPT)
            typed = _read(counter, line)
            if isinstance(typed, Exit):
                worst = max(worst, typed)
                continue
            if typed is None:
                continue
            if typed.order is Order.QUIT:
                break
            worst = max(worst, counter.do(typed))
        except EOFError:
            break
        except KeyboardInterrupt:
            counter.say("INTERRUPTED 已中断: `pending` 待发 shows what is unknown; `quit` leaves")
    if asking is not None:
        asking.cancel()
    _catch_up(counter, till, run, folder)
    _say_what_stays(counter, journal=till.journal)
    return worst


def _one(counter: Counter, line: str) -> Exit:
    typed = _read(counter, line)
    if isinstance(typed, Exit):
        return typed
    return Exit.DONE if typed is None or typed.order is Order.QUIT else counter.do(typed)


def _read(counter: Counter, line: str) -> Typed | Exit | None:
    try:
        return parse(line)
    except TimebankError as error:
        counter.say(f"REFUSED 已拒绝: {error.message}")
        return Exit.REFUSED


def _catch_up(counter: Counter, till: TillClient, run: Background, folder: Path) -> None:
    """Sends what waits and asks what is unknown, once."""
    if key_exists(folder / KEY_FILE):
        counter.tell_all(counter.news_of(run(till.catch_up())))


async def _keep_asking(counter: Counter, till: TillClient, folder: Path) -> None:
    """Catches up every few seconds while a person sits at the till."""
    while True:
        await asyncio.sleep(KEEP_ASKING_S)
        if counter.is_busy or not key_exists(folder / KEY_FILE):
            continue
        try:
            news = counter.news_of(await till.catch_up())
        except (TimebankError, OSError) as error:
            counter.say(f"The till cannot keep asking 无法自动查询: {error}")
            return
        if news:
            counter.say("")
            counter.tell_all(news)
            typer.echo(PROMPT, nl=False)


def _say_what_stays(counter: Counter, *, journal: TillJournal) -> None:
    to_send, to_ask = journal.to_send(), journal.to_ask()
    if to_send or to_ask:
        counter.say(
            f"{len(to_send)} to send 待发, {len(to_ask)} unknown 结果未知: they wait in the "
            "journal for the next start"
        )
