"""`timebank member`: registering, reading and changing members, and what befalls them.

Owns: the command line of these. Refuses: family, evaluations, gifts and personal data (see
ledger/cli_member_acts.py), and every rule, which the server keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ledger.cli_hours_options import (
    MemberId,
    Memo,
    RequestId,
    Yes,
    ask_back,
    refusal,
    same_request,
    say,
    write_file,
)
from ledger.cli_hours_shown import member_table, members_table
from ledger.cli_member_acts import app as acts_app
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
    moment,
    zone_of,
)
from timebank.client import ExportView, LedgerClient, MemberView, PersonalData

app = typer.Typer(
    name="member",
    help="Register, read and change members 会员.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.add_typer(acts_app)

HomeUnit = Annotated[
    str, typer.Option("--unit", help="Unit that looks after the member, e.g. huancui/12 所属.")
]
Officer = Annotated[
    str, typer.Option("--officer", help="Officer id of a volunteer who is one too 干部编号.")
]
Guardian = Annotated[str, typer.Option("--guardian", help="Guardian of a minor 监护人.")]
Consent = Annotated[
    bool, typer.Option("--guardian-consent", help="The guardian has consented 监护人已同意.")
]
Adult = Annotated[
    str, typer.Option("--adult-from", help="Day on which a minor comes of age 成年日期.")
]
PublishName = Annotated[
    bool, typer.Option("--publish-name", help="The name may be published unmasked 可公示姓名.")
]
KeyElder = Annotated[bool, typer.Option("--key-elder", help="A key elder 重点老人.")]
_Change = Callable[[LedgerClient], Coroutine[None, None, MemberView]]


@app.command(
    epilog="Examples: `timebank member register wang-01 --unit huancui/12 --name 王阿姨`, "
    "`timebank member register child-1 --guardian wang-01 --guardian-consent "
    "--adult-from 2031-05-01`"
)
def register(
    member: MemberId,
    unit: HomeUnit = "",
    name: Annotated[
        str, typer.Option("--name", help="Name; kept encrypted, outside the log 姓名.")
    ] = "",
    officer: Officer = "",
    guardian: Guardian = "",
    guardian_consent: Consent = False,
    adult_from: Adult = "",
    publish_name: PublishName = False,
    key_elder: KeyElder = False,
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Registers a member with accounts of HOURS, TIME and POINTS. 登记会员."""

    async def make(client: LedgerClient) -> MemberView:
        zone = zone_of((await client.get_ledger()).time_zone)
        return await client.register_member(
            member,
            home_unit=unit,
            officer=officer,
            guardian=guardian,
            guardian_consent=guardian_consent,
            adult_time=moment(adult_from, "--adult-from", zone) if adult_from else None,
            publish_name=publish_name,
            key_elder=key_elder,
            personal_data=PersonalData(display_name=name) if name else None,
            request_id=request_id,
        )

    _change(Connection(server, token, ledger), make)


@app.command(epilog="Example: `timebank member show wang-01`")
def show(
    member: MemberId, server: Server = SERVER, token: Token = None, ledger: LedgerId = LEDGER
) -> None:
    """Shows a member and the balances of its accounts. 查询会员."""

    async def collect(client: LedgerClient) -> MemberView:
        return await client.get_member(member)

    _change(Connection(server, token, ledger), collect)


@app.command(name="list", epilog="Example: `timebank member list --unit huancui --limit 200`")
def list_members(
    unit: HomeUnit = "",
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lists members by number, of a unit and below. 列出会员."""

    async def collect(client: LedgerClient) -> tuple[list[MemberView], str]:
        found = await first(client.list_members(home_unit=unit), limit)
        return found, (await client.get_ledger()).time_zone

    members, zone = ask(Connection(server, token, ledger), collect)
    Console().print(members_table(members, zone_of(zone), f"Members 会员 of {ledger}"))


@app.command(
    epilog="Examples: `timebank member update wang-01 --unit huancui/14`, "
    "`timebank member update child-1 --of-age --guardian ''`"
)
def update(
    member: MemberId,
    unit: Annotated[str | None, typer.Option("--unit", help="New unit 所属.")] = None,
    officer: Annotated[str | None, typer.Option("--officer", help="Officer id 干部编号.")] = None,
    guardian: Annotated[str | None, typer.Option("--guardian", help="Guardian 监护人.")] = None,
    guardian_consent: Annotated[
        bool | None, typer.Option("--guardian-consent/--no-guardian-consent", help="监护人同意.")
    ] = None,
    adult_from: Adult = "",
    of_age: Annotated[bool, typer.Option("--of-age", help="Is of age now 已成年.")] = False,
    publish_name: Annotated[
        bool | None, typer.Option("--publish-name/--mask-name", help="可公示姓名.")
    ] = None,
    key_elder: Annotated[
        bool | None, typer.Option("--key-elder/--no-key-elder", help="重点老人.")
    ] = None,
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Changes what is named and leaves the rest alone; '' clears a text. 变更会员."""

    async def change(client: LedgerClient) -> MemberView:
        zone = zone_of((await client.get_ledger()).time_zone)
        return await client.update_member(
            member,
            home_unit=unit,
            officer=officer,
            guardian=guardian,
            guardian_consent=guardian_consent,
            adult_time=moment(adult_from, "--adult-from", zone) if adult_from else None,
            of_age=of_age,
            publish_name=publish_name,
            key_elder=key_elder,
            request_id=request_id,
        )

    _change(Connection(server, token, ledger), change)


@app.command(epilog="Example: `timebank member suspend wang-01 --memo 核查中`")
def suspend(
    member: MemberId,
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Suspends a registration; the star is kept. 暂停."""
    connection = Connection(server, token, ledger)
    _change(connection, lambda c: c.suspend_member(member, memo=memo, request_id=request_id))


@app.command(epilog="Example: `timebank member reinstate wang-01`")
def reinstate(
    member: MemberId,
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Ends a suspension. 恢复."""
    connection = Connection(server, token, ledger)
    _change(connection, lambda c: c.reinstate_member(member, memo=memo, request_id=request_id))


@app.command(epilog="Example: `timebank member merge wang-02 --into wang-01 --memo 重复登记`")
def merge(
    member: MemberId,
    into: Annotated[str, typer.Option("--into", help="Member that it is a duplicate of 合并至.")],
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Declares a member a duplicate; hours and caps count together. 合并."""
    _change(
        Connection(server, token, ledger),
        lambda c: c.merge_member(member, into=into, memo=memo, request_id=request_id),
    )


@app.command(epilog="Example: `timebank member unmerge wang-02`")
def unmerge(
    member: MemberId,
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Undoes a merge. 撤销合并."""
    connection = Connection(server, token, ledger)
    _change(connection, lambda c: c.unmerge_member(member, memo=memo, request_id=request_id))


@app.command(epilog="Example: `timebank member death wang-01 --heir li-02 --yes`")
def death(
    member: MemberId,
    heir: Annotated[
        str, typer.Option("--heir", help="Relative who gets the TIME; else the pool 继承人.")
    ] = "",
    memo: Memo = "",
    request_id: RequestId = "",
    yes: Yes = False,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Records a death: TIME goes to a relative or to the public pool. 身故."""
    ask_back(f"Record the death of {member} for ever? 登记身故，不可撤销？", yes=yes)
    _change(
        Connection(server, token, ledger),
        lambda c: c.record_death(member, heir=heir, memo=memo, request_id=request_id),
    )


@app.command(epilog="Example: `timebank member export wang-01 --to 烟台 --out wang-01.txt --yes`")
def export(
    member: MemberId,
    destination: Annotated[str, typer.Option("--to", help="Where the member moves to 迁往.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="Write the signed statement to this file 证明文件.", dir_okay=False
        ),
    ] = None,
    request_id: RequestId = "",
    yes: Yes = False,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lets a member move away with a signed statement; TIME and POINTS leave. 迁出."""
    if not destination.strip():
        raise refusal("--to: expected where the member moves to", "to")
    ask_back(f"Let {member} move to {destination} for ever? 迁出，不可撤销？", yes=yes)
    request_id = same_request(request_id)

    async def leave(client: LedgerClient) -> ExportView:
        return await client.export_member(member, destination=destination, request_id=request_id)

    left = ask(Connection(server, token, ledger), leave)
    if out is None:
        typer.echo(left.statement, nl=False)
        return
    done = f"{member} has moved: run the same command with --request-id {request_id}"
    write_file(out, left.statement.encode(), option="--out", done=f"{done} and another file")
    say(f"{left.member.name} moved 已迁出: {out}")


def _change(connection: Connection, change: _Change) -> None:
    """Carries a change out and shows the member as it is then."""

    async def carry_out(client: LedgerClient) -> None:
        member = await change(client)
        accounts = (member.hours_account, member.time_account, member.points_account)
        balances = [await client.get_balance(account) for account in accounts]
        zone = zone_of((await client.get_ledger()).time_zone)
        Console().print(member_table(member, balances, zone))

    ask(connection, carry_out)
