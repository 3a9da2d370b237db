"""`timebank verify`: checks a receipt, a checkpoint or a certificate offline, with the log's
verifier key alone.

Owns: reading the files, and saying in words what is proved and what is not. Refuses: the network,
private keys.
Rules: exit code 0 is verified, 1 is not verified, 2 is input that cannot be used. A refusal is one
line on stderr. Nothing of a file reaches the terminal unfiltered: it may hold escape sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from timebank.errors import TimebankError
from timebank.tlog.checkpoint import VerifiedCheckpoint
from timebank.verification import Inputs, read_any_inputs, verify_inputs
from timebank.verify_certificates import CertificateInputs, Findings, verify_certificate

if TYPE_CHECKING:
    from timebank.ledger.v1 import entry_pb2

_Number = TypeVar("_Number")

NOT_VERIFIED = 1
UNUSABLE = 2
_SHOWN_CHARACTERS_MAX = 300
_SHOWN_ROWS_MAX = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {
    "UNIT_HOURS": "minutes of HOURS 服务时长",
    "UNIT_TIME": "minutes of TIME 时间币",
    "UNIT_POINTS": "POINTS 积分",
    "UNIT_FUND": "fen of FUND 专项基金",
}

app = typer.Typer(help="Check receipts, checkpoints and certificates offline. 离线验证")


@app.command(epilog="Example: timebank verify mine.tlog-proof --vkey timebank.example_ledger.vkey")
def verify(
    file: Annotated[
        Path,
        typer.Argument(
            help="A receipt (.tlog-proof), a signed checkpoint, or a certificate: its signed text, "
            "the text of its QR code (TBC1.), or its PDF."
        ),
    ],
    vkey: Annotated[
        list[str],
        typer.Option(
            help="Verifier key, as text or as a file with one a line; repeat it for witnesses."
        ),
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(help="A signed checkpoint you kept: both must tell the same history."),
    ] = None,
    proof: Annotated[
        Path | None,
        typer.Option(
            help="Consistency proof between the two checkpoints: base64 hashes, one a line."
        ),
    ] = None,
) -> None:
    """Checks offline that an entry is in a log, or that a checkpoint or a certificate of service is
    signed by it (离线验证).

    Exit code 0: verified. 1: not verified. 2: the input cannot be used.
    """
    with _exits("cannot be used", UNUSABLE):
        inputs = read_any_inputs(file, vkey, checkpoint, proof)
    console = Console(highlight=False)
    if isinstance(inputs, CertificateInputs):
        with _exits("NOT VERIFIED 未通过", NOT_VERIFIED):
            findings = verify_certificate(inputs)
        _show_certificate(console, findings)
        return
    with _exits("NOT VERIFIED 未通过", NOT_VERIFIED):
        verified, kept = verify_inputs(inputs)
    _show_checkpoint(console, inputs, verified)
    if inputs.receipt and inputs.receipt.entry:
        _show_entry(console, inputs.receipt.entry, inputs.receipt.index)
    _show_meaning(console, inputs, verified, kept)


@contextmanager
def _exits(prefix: str, code: int) -> Iterator[None]:
    """Turns a refusal into one line on stderr and an exit code."""
    try:
        yield
    except TimebankError as error:
        typer.echo(f"{prefix}: {_plain(error.message)} ({error.reason})", err=True)
        raise typer.Exit(code) from error


def _show_checkpoint(console: Console, inputs: Inputs, verified: VerifiedCheckpoint) -> None:
    """Shows what was verified: the log, its size, and who signed."""
    head = verified.checkpoint
    what = "Receipt 凭证" if inputs.receipt else "Checkpoint 检查点"
    table = _table(f"{what}: VERIFIED 已验证")
    _add(table, "Log 日志", head.origin)
    if inputs.receipt:
        _add(table, "Entry 条目", f"{inputs.receipt.index} of 0 to {head.size - 1}")
    _add(table, "Size of the log 日志长度", f"{head.size}")
    _add(table, "Root 根", head.root.hex())
    for signature in verified.log_signatures:
        _add(table, "Signed by 签名", f"{signature.key.name}, key {signature.key.key_id.hex()}")
    for signature in verified.cosignatures:
        time = _time((signature.time_s or 0) * 1_000_000)
        _add(table, "Witnessed by 见证", f"{signature.key.name} at {time}")
    console.print(table)


def _show_meaning(
    console: Console,
    inputs: Inputs,
    verified: VerifiedCheckpoint,
    kept: VerifiedCheckpoint | None,
) -> None:
    """Says in words what the proof shows and what it cannot show."""
    head = verified.checkpoint
    if kept and not kept.checkpoint.size:
        kept = None  # every history begins with nothing
    proved = [f"The holder of the key of {head.origin} signed a log of {head.size} entries."]
    if inputs.receipt:
        proved.append(
            "Exactly this entry stands in it, not changed since. 该条目已入账且未被改动。"
        )
    if kept:
        proved.append(
            f"It tells the same history as the checkpoint of size {kept.checkpoint.size} you kept."
        )
    unproved = [
        "That the hours were worked: evidence and four eyes show that. 不证明服务确实发生。"
    ]
    if inputs.receipt:
        unproved.append("That no later entry reversed or refunded this one. 不证明其后未被冲正。")
    if not (verified.cosignatures or kept):
        unproved.append(
            "That others were shown the same history: without a witness or a checkpoint kept "
            "from before, an operator could show two. 不证明他人看到同一历史。"
        )
    _show_lists(console, proved, unproved)


def _show_lists(console: Console, proved: Sequence[str], unproved: Sequence[str]) -> None:
    for title, lines in (("This proves 证明:", proved), ("This does NOT prove 不证明:", unproved)):
        console.print(Text(title, style="bold"))
        for line in lines:
            console.print(Text(f"  - {_plain(line)}"), soft_wrap=True)


def _show_certificate(console: Console, findings: Findings) -> None:
    """Shows what a certificate says, and in words what that proves and what not."""
    table = _table(f"{findings.title}: VERIFIED 已验证")
    _add_rows(table, findings.rows)
    console.print(table)
    _show_lists(console, findings.proved, findings.unproved)


def _show_entry(console: Console, data: bytes, index: int) -> None:
    """Shows the entry as a table when the bytes are one of the ledger's, else how many bytes they
    are.
    """
    entry = _decode_entry(data, index)
    if entry is None:
        console.print(Text(f"The entry is {len(data)} bytes that are no ledger entry. 非账本条目"))
        return
    table = _table("Entry 条目")
    _add_rows(table, [(label, value) for label, value in _entry_rows(entry) if value])
    console.print(table)


def _decode_entry(data: bytes, index: int) -> entry_pb2.Entry | None:
    """Decodes the bytes of a ledger entry; None when they are something else."""
    from google.protobuf.message import DecodeError

    from timebank.ledger.v1 import entry_pb2

    try:
        entry = entry_pb2.Entry.FromString(data)
    except DecodeError:
        return None
    return entry if entry.ledger_id and entry.kind and entry.index == index else None


def _entry_rows(entry: entry_pb2.Entry) -> Iterator[tuple[str, str]]:
    """Lists what people want to know of an entry, in reading order."""
    from timebank.ledger.v1 import entry_pb2, ledger_pb2

    yield "Ledger 账本", entry.ledger_id
    yield "Kind 类型", _name(entry_pb2.EntryKind.Name, entry.kind).removeprefix("ENTRY_KIND_")
    yield "Recorded 记录时间", _time(entry.recorded_time_us)
    yield "Happened 发生时间", _time(entry.effective_time_us)
    yield "Number 业务编号", entry.natural_key
    yield "Cause 缘由", entry.cause
    yield "Policy 规则版本", entry.policy_version
    yield "Called by 调用方", entry.caller
    yield "On behalf of 操作人", entry.actor
    if entry.HasField("original_index"):
        yield "Undoes entry 原条目", str(entry.original_index)
    for posting in entry.postings:
        unit = _name(ledger_pb2.Unit.Name, posting.unit)
        yield "Posting 分录", f"{posting.account_id}: {posting.amount:+d} {_UNITS.get(unit, unit)}"
    for change in entry.hold_changes:
        yield "Hold 预授权", f"{change.hold_id} on {change.account_id}: {change.held:+d} held"
    if entry.HasField("account"):
        yield "Account 账户", entry.account.account_id
    if entry.HasField("ledger"):
        yield "Log key 日志公钥", entry.ledger.verifier_key
    for commitment in entry.commitments:
        yield "Commitment to 承诺", commitment.field


def _name(name_of: Callable[[_Number], str], number: _Number) -> str:
    """Gives the name of an enum's number, or the number when a newer version made it."""
    try:
        return name_of(number)
    except ValueError:
        return str(number)


def _time(time_us: int) -> str:
    """Formats microseconds since 1970 as a UTC time; empty for 0."""
    if not time_us:
        return ""
    try:
        return (_EPOCH + timedelta(microseconds=time_us)).isoformat(timespec="seconds")
    except OverflowError:
        return f"{time_us} microseconds since 1970"


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _add_rows(table: Table, rows: Sequence[tuple[str, str]]) -> None:
    for label, value in rows[:_SHOWN_ROWS_MAX]:
        _add(table, label, value)
    if len(rows) > _SHOWN_ROWS_MAX:
        _add(table, "More 其余", f"{len(rows) - _SHOWN_ROWS_MAX} lines are not shown")


def _add(table: Table, label: str, value: str) -> None:
    shown = _plain(value[:_SHOWN_CHARACTERS_MAX])
    table.add_row(label, Text(shown if len(value) <= _SHOWN_CHARACTERS_MAX else f"{shown}…"))


def _plain(text: str) -> str:
    """Replaces every character that could command the terminal or turn the text around."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


if __name__ == "__main__":
    app()
