"""`timebank stars`: stars 星级 with their reasons, reviews and selections.

Owns: the command line of these, and how a star looks. Refuses: reckoning, which the server does.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ledger.cli_hours_options import MemberId, Memo, RequestId
from ledger.cli_hours_shown import NO, NOTHING, YES
from ledger.cli_options import (
    LEDGER,
    ROWS_SHOWN,
    SERVER,
    Connection,
    LedgerId,
    Limit,
    Server,
    Token,
    ask,
    first,
)
from ledger.cli_shown import amount_text
from timebank.client import LedgerClient, StarView
from timebank.units import Unit

STARS_MAX = 5
BAR_CELLS = 20
NUMBERS_ZH = "无一二三四五"

app = typer.Typer(
    name="stars",
    help="Stars 星级 of members: why this many, and what is missing for the next.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
_Change = Callable[[LedgerClient], Coroutine[None, None, StarView]]


@app.command(epilog="Example: `timebank stars show wang-01`")
def show(
    member: MemberId, server: Server = SERVER, token: Token = None, ledger: LedgerId = LEDGER
) -> None:
    """Shows the star of a member, its reasons, and the way to the next. 查询星级."""
    _show(Connection(server, token, ledger), lambda client: client.star(member))


@app.command(name="list", epilog="Example: `timebank stars list --min 3 --limit 200`")
def list_stars(
    star_min: Annotated[
        int, typer.Option("--min", min=1, max=STARS_MAX, help="At least so many 最低星级.")
    ] = 1,
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lists the stars of members for publicity, highest first; names are masked. 星级公示名单."""

    async def collect(client: LedgerClient) -> list[StarView]:
        return await first(client.list_stars(star_min=star_min), limit)

    found = ask(Connection(server, token, ledger), collect)
    Console().print(_table(found, f"Stars 星级 of {ledger}"))


@app.command(
    name="close-review",
    epilog="Examples: `timebank stars close-review wang-01 --keep`, `... --lower --memo 时长更正`",
)
def close_review(
    member: MemberId,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep/--lower",
            help="The star stays 保留, or becomes what hours and quality give 降级.",
            show_default=False,
        ),
    ],
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Closes the review that a correction opened. 结束复核."""
    _show(
        Connection(server, token, ledger),
        lambda c: c.close_star_review(member, keep=keep, memo=memo, request_id=request_id),
    )


@app.command(epilog="Example: `timebank stars select wang-01 --memo 年度评选`")
def select(
    member: MemberId,
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Selects a member of four stars for the fifth, where the policy says so. 评选五星."""
    connection = Connection(server, token, ledger)
    _show(connection, lambda c: c.select_star(member, memo=memo, request_id=request_id))


def star_text(star: int) -> str:
    """Draws a star: `★★★☆☆`."""
    return "★" * star + "☆" * (STARS_MAX - star)


def star_lines(star: StarView) -> Iterator[str]:
    """Says a star in lines: how many, from what, how far the next is, and why."""
    flags = " under review 复核中" if star.under_review else ""
    flags += " kept 保留" if star.kept else ""
    yield f"{star_text(star.star)} {star.member_id} {_name_zh(star.star)}{flags}"
    hours = amount_text(star.hours_minutes, Unit.HOURS)
    quality = NOTHING if star.quality_tenths is None else f"{star.quality_tenths / 10:.1f}"
    yield f"HOURS 服务时长 {hours}"
    yield f"POINTS earned 累计积分 {star.points_earned:,}, quality 质量 {quality}"
    if star.pending_points:
        yield f"POINTS pending until publicity ends 待公示积分 {star.pending_points:,}"
    yield from _progress_lines(star)
    if star.medals:
        yield f"Medals 奖章 {', '.join(star.medals)}"
    yield from (f"• {reason}" for reason in star.reasons)
    yield from (f"• {reason}" for reason in star.reasons_zh)
    yield f"Policy 政策 {star.policy_version or NOTHING}"


def _progress_lines(star: StarView) -> Iterator[str]:
    """Says what the next star still needs; nothing when there is none."""
    if star.star >= STARS_MAX:
        yield "highest star 已是最高星级"
        return
    following = f"距{_name_zh(star.star + 1)}还差"
    if star.missing_minutes:
        bar = _bar(star.hours_minutes, star.missing_minutes)
        hours, hours_zh = _hours(star.missing_minutes)
        yield f"{bar} {hours} to go {following} {hours_zh}"
    if star.missing_points:
        bar = _bar(star.points_earned, star.missing_points)
        yield f"{bar} {star.missing_points:,} points to go {following} {star.missing_points:,} 分"


def _hours(minutes: int) -> tuple[str, str]:
    """Writes minutes as hours in English and Chinese: `38 h`, with the rest if there is one."""
    hours, rest = divmod(minutes, 60)
    if rest:
        return f"{hours:,} h {rest} min", f"{hours:,} 小时 {rest} 分钟"
    return f"{hours:,} h", f"{hours:,} 小时"


def _bar(done: int, missing: int) -> str:
    cells = done * BAR_CELLS // (done + missing)
    return "█" * cells + "░" * (BAR_CELLS - cells)


def _name_zh(star: int) -> str:
    return f"{NUMBERS_ZH[star]}星" if 0 <= star <= STARS_MAX else f"{star}星"


def _table(stars: Iterable[StarView], title: str) -> Table:
    table = Table(title=Text(title), title_justify="left")
    table.add_column("Star 星级", no_wrap=True)
    table.add_column("Member 志愿者", overflow="fold")
    table.add_column("Name 姓名", overflow="fold")
    for heading in ("HOURS 服务时长", "POINTS earned 累计积分"):
        table.add_column(heading, justify="right")
    table.add_column("Review 复核")
    table.add_column("Medals 奖章", overflow="fold")
    for star in stars:
        table.add_row(
            star_text(star.star),
            Text(star.member_id),
            Text(star.display_name or NOTHING),
            amount_text(star.hours_minutes, Unit.HOURS),
            f"{star.points_earned:,}",
            YES if star.under_review else NO,
            Text(", ".join(star.medals) or NOTHING),
        )
    return table


def _show(connection: Connection, change: _Change) -> None:
    """Carries a change out and shows the star as it is then."""
    star = ask(connection, change)
    Console(soft_wrap=True).print(Text("\n".join(star_lines(star))))
