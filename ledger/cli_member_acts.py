"""`timebank member`: family, no-shows, evaluations, TIME given, and personal data.

Owns: the command line of these. Refuses: every rule, which the server keeps.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer
from rich.console import Console

from ledger.cli_hours_options import (
    MemberId,
    Memo,
    Minutes,
    RelationName,
    RequestId,
    RoleName,
    Yes,
    ask_back,
    refusal,
    say,
)
from ledger.cli_hours_shown import person_table, state_text
from ledger.cli_options import LEDGER, SERVER, Connection, LedgerId, Server, Token, ask
from ledger.cli_shown import amount_text
from timebank.client import LedgerClient, MemberView, PersonalData, TimeGiftView
from timebank.units import Unit

app = typer.Typer(rich_markup_mode="markdown")
person_app = typer.Typer(
    name="person",
    help="Personal data 个人信息: kept encrypted, outside the log.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)
app.add_typer(person_app)


@app.command(epilog="Example: `timebank member family wang-01 --relative li-02 --relation SPOUSE`")
def family(
    member: MemberId,
    relative: Annotated[str, typer.Option("--relative", help="The other member 亲属.")],
    relation: Annotated[
        RelationName, typer.Option("--relation", help="What the relative is to MEMBER 关系.")
    ],
    ended: Annotated[bool, typer.Option("--ended", help="The link has ended 已解除.")] = False,
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Registers that two members are family, or are no more. 亲属关系."""

    async def link(client: LedgerClient) -> str:
        return await client.link_family(
            member,
            relative=relative,
            relation=relation.value,
            ended=ended,
            request_id=request_id,
        )

    entry = ask(Connection(server, token, ledger), link)
    say(f"{entry} {'link ended 亲属关系已解除' if ended else 'family linked 已登记亲属'}")


@app.command(
    name="no-show",
    epilog="Example: `timebank member no-show wang-01 --activity 送药上门 --day 2026-11-24`",
)
def no_show(
    member: MemberId,
    activity: Annotated[str, typer.Option("--activity", help="Name of the activity 活动.")],
    day: Annotated[str, typer.Option("--day", help="Day, YYYY-MM-DD 日期.")],
    malicious: Annotated[bool, typer.Option("--malicious", help="On purpose 恶意.")] = False,
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Reports that a volunteer did not come; too many in a year suspend. 爽约."""
    try:
        missed = date.fromisoformat(day.strip())
    except ValueError as error:
        raise refusal(f"--day: expected a day such as 2026-11-24, got {day[:40]!r}", "day") from (
            error
        )

    async def report(client: LedgerClient) -> MemberView:
        return await client.report_no_show(
            member, activity=activity, day=missed, malicious=malicious, request_id=request_id
        )

    found = ask(Connection(server, token, ledger), report)
    say(f"{found.name} no-show reported 已登记爽约, now 现状态 {state_text(found.state)}")


@app.command(
    epilog="Example: `timebank member evaluate wang-01 --role RESIDENT --score 5 --rater li-02`"
)
def evaluate(
    member: MemberId,
    role: Annotated[RoleName, typer.Option("--role", help="As what it is rated 评价人身份.")],
    score: Annotated[int, typer.Option("--score", min=1, max=5, help="1 to 5 分数.")],
    rater: Annotated[str, typer.Option("--rater", help="Who rates; else the caller 评价人.")] = "",
    comment: Annotated[
        str, typer.Option("--comment", help="Words, kept outside the log 评语.")
    ] = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Evaluates a volunteer, once a quarter for each rater and role. 评价."""

    async def rate(client: LedgerClient) -> str:
        return await client.evaluate_member(
            member,
            role=role.value,
            score=score,
            rater=rater,
            comment=comment,
            request_id=request_id,
        )

    say(f"{ask(Connection(server, token, ledger), rate)} evaluated 已评价")


@app.command(
    epilog="Examples: `timebank member give wang-01 --to li-02 --minutes 60`, "
    "`timebank member give wang-01 --pool --minutes 120`"
)
def give(
    member: MemberId,
    minutes: Minutes,
    to: Annotated[str, typer.Option("--to", help="Relative or friend who gets it 受赠人.")] = "",
    pool: Annotated[
        bool, typer.Option("--pool", help="To the public pool 捐入公共时间池.")
    ] = False,
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Gives TIME to a relative, a friend or the public pool, as the policy allows. 转赠时间币."""
    if bool(to) == pool:
        raise refusal("expected --to MEMBER or --pool, one of the two", "to")

    async def hand_over(client: LedgerClient) -> TimeGiftView:
        return await client.transfer_time(
            member, to=to, minutes=minutes, memo=memo, request_id=request_id
        )

    done = ask(Connection(server, token, ledger), hand_over)
    amount = amount_text(minutes, Unit.TIME)
    say(f"{done.entry} {amount} from {member} to {to or 'the pool 公共时间池'} 已转赠")


@app.command(epilog="Example: `timebank member grant li-02 --minutes 600 --memo 重点老人`")
def grant(
    member: MemberId,
    minutes: Minutes,
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Gives TIME of the public pool to a key elder. 向重点老人发放时间币."""

    async def hand_out(client: LedgerClient) -> TimeGiftView:
        return await client.grant_time(member, minutes=minutes, memo=memo, request_id=request_id)

    done = ask(Connection(server, token, ledger), hand_out)
    say(f"{done.entry} {amount_text(minutes, Unit.TIME)} granted to {member} 已发放")


@person_app.command(name="show", epilog="Example: `timebank member person show wang-01`")
def show_person(
    member: MemberId, server: Server = SERVER, token: Token = None, ledger: LedgerId = LEDGER
) -> None:
    """Shows the personal data of a member. 查看个人信息."""

    async def read(client: LedgerClient) -> PersonalData:
        return await client.get_personal_data(member)

    Console().print(person_table(member, ask(Connection(server, token, ledger), read)))


@person_app.command(
    name="put",
    epilog="Example: `timebank member person put wang-01 --name 王阿姨 --id-type 居民身份证 "
    "--ask-id-number`",
)
def put_person(
    member: MemberId,
    name: Annotated[str, typer.Option("--name", help="Name 姓名.")],
    id_type: Annotated[str, typer.Option("--id-type", help="Kind of document 证件类型.")] = "",
    ask_id_number: Annotated[
        bool,
        typer.Option(
            "--ask-id-number", help="Ask for the document's number, unseen 输入证件号码，不回显."
        ),
    ] = False,
    phone: Annotated[str, typer.Option("--phone", help="Telephone 电话.")] = "",
    national_number: Annotated[
        str, typer.Option("--national-number", help="Number in the national system 全国编号.")
    ] = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Keeps personal data of a member in place of what was there. 保存个人信息."""
    id_number = typer.prompt("Number 证件号码", hide_input=True) if ask_id_number else ""
    person = PersonalData(
        display_name=name,
        id_type=id_type,
        id_number=id_number,
        phone=phone,
        national_number=national_number,
    )

    async def keep(client: LedgerClient) -> PersonalData:
        return await client.put_personal_data(member, person, request_id=request_id)

    ask(Connection(server, token, ledger), keep)
    say(f"personal data of {member} kept 已保存个人信息")


@person_app.command(name="erase", epilog="Example: `timebank member person erase wang-01 --yes`")
def erase_person(
    member: MemberId,
    yes: Yes = False,
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Destroys the key of a member's personal data for ever. 删除个人信息，不可恢复."""
    ask_back(f"Erase the personal data of {member} for ever? 删除个人信息，不可恢复？", yes=yes)

    async def erase(client: LedgerClient) -> int:
        return await client.erase_personal_data(member, request_id=request_id)

    texts = ask(Connection(server, token, ledger), erase)
    say(f"personal data of {member} and {texts:,} texts erased 已删除")
