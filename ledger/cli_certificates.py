"""`timebank certificate`: issuing, reading and revoking certificates 志愿服务证明.

Owns: the command line of these, and writing documents and pages to files. Refuses: checking a
document offline, which `timebank verify` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ledger.cli_hours_options import MemberId, Memo, RequestId, same_request, say, write_file
from ledger.cli_hours_shown import certificates_table, state_text
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
from timebank.client import CertificateCheck, CertificateView, LedgerClient

app = typer.Typer(
    name="certificate",
    help="Issue and revoke certificates 志愿服务证明: signed, verifiable offline.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

Number = Annotated[
    str, typer.Argument(metavar="NUMBER", help="Number 证明编号.", show_default=False)
]
Pdf = Annotated[
    Path | None,
    typer.Option("--pdf", help="Write the page to print to this file 打印页.", dir_okay=False),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", help="Write the signed document to this file 签名文件.", dir_okay=False),
]


@app.command(
    epilog="Example: `timebank certificate issue wang-01 --issuer 顺城社区 --person-in-charge 李华 "
    "--handler 张敏 --contact 0631-5200000 --pdf wang.pdf --out wang.txt`"
)
def issue(
    member: MemberId,
    issuer: Annotated[str, typer.Option("--issuer", help="Organization 出具单位.")],
    person_in_charge: Annotated[
        str, typer.Option("--person-in-charge", help="Person in charge 负责人.")
    ],
    handler: Annotated[str, typer.Option("--handler", help="Handler 经办人.")],
    contact: Annotated[str, typer.Option("--contact", help="Contact 联系方式.")],
    note: Annotated[str, typer.Option("--note", help="Note 备注.")] = "",
    since: Annotated[str, typer.Option("--since", help="First day of records 起始日期.")] = "",
    until: Annotated[str, typer.Option("--until", help="Last day of records 截止日期.")] = "",
    pdf: Pdf = None,
    out: Out = None,
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Issues a certificate of a member's credited records. 开具证明."""
    request_id = same_request(request_id)

    async def make(client: LedgerClient) -> CertificateView:
        zone = zone_of((await client.get_ledger()).time_zone)
        return await client.issue_certificate(
            member,
            issuer=issuer,
            person_in_charge=person_in_charge,
            handler=handler,
            contact=contact,
            note=note,
            start_time=moment(since, "--since", zone) if since else None,
            end_time=moment(until, "--until", zone, day_end=True) if until else None,
            pdf=pdf is not None,
            request_id=request_id,
        )

    connection = Connection(server, token, ledger)
    made = ask(connection, make)
    _show(connection, made)
    _write(made, pdf, out)


@app.command(epilog="Example: `timebank certificate show zm-0123456789abcdef0123 --pdf wang.pdf`")
def show(
    number: Number,
    pdf: Pdf = None,
    out: Out = None,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Shows a certificate, and writes its document and page to files. 查询证明."""

    async def read(client: LedgerClient) -> CertificateView:
        return await client.get_certificate(number, pdf=pdf is not None)

    connection = Connection(server, token, ledger)
    found = ask(connection, read)
    _show(connection, found)
    _write(found, pdf, out)


@app.command(name="list", epilog="Example: `timebank certificate list wang-01`")
def list_certificates(
    member: MemberId,
    limit: Limit = ROWS_SHOWN,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Lists the certificates of a member, newest first. 列出证明."""

    async def collect(client: LedgerClient) -> list[CertificateView]:
        return await first(client.list_certificates(member), limit)

    connection = Connection(server, token, ledger)
    _show(connection, *ask(connection, collect))


@app.command(epilog="Example: `timebank certificate revoke zm-0123456789abcdef0123 --memo 有误`")
def revoke(
    number: Number,
    memo: Memo = "",
    request_id: RequestId = "",
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Revokes a certificate; whoever checks its number is told. 撤销证明."""

    async def withdraw(client: LedgerClient) -> CertificateView:
        return await client.revoke_certificate(number, memo=memo, request_id=request_id)

    connection = Connection(server, token, ledger)
    _show(connection, ask(connection, withdraw))


@app.command(epilog="Example: `timebank certificate check zm-0123456789abcdef0123`")
def check(
    number: Number, server: Server = SERVER, token: Token = None, ledger: LedgerId = LEDGER
) -> None:
    """Says whether a certificate stands; exit code 1 when it does not. 核验证明."""

    async def look(client: LedgerClient) -> CertificateCheck:
        return await client.check_certificate(number)

    found = ask(Connection(server, token, ledger), look)
    say(f"{number} {state_text(found.state)}; document 文件 SHA-256 {found.document_sha256}")
    if found.state != "ISSUED":
        raise typer.Exit(1)


def _show(connection: Connection, *certificates: CertificateView) -> None:
    async def zone_name(client: LedgerClient) -> str:
        return (await client.get_ledger()).time_zone

    zone = ask(connection, zone_name)
    title = f"Certificates 证明 ({zone})"
    Console().print(certificates_table(certificates, zone_of(zone), title))


def _write(certificate: CertificateView, pdf: Path | None, out: Path | None) -> None:
    """Writes the files that were asked for."""
    number = certificate.number
    again = f"the certificate is issued: `timebank certificate show {number}` with another file"
    if out is not None:
        write_file(out, (certificate.document or "").encode(), option="--out", done=again)
        say(f"document 签名文件 {out}")
    if pdf is not None:
        write_file(pdf, certificate.pdf or b"", option="--pdf", done=again)
        say(f"page to print 打印页 {pdf}")
