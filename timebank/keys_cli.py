"""`timebank keys`: making, listing and rotating the keys that sign logs.

Owns: the command line. Refuses: key material and files (see signing.py); recording a rotation in
the log.
Rules: only public halves are shown; an error is one line on stderr and exit code 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from timebank.errors import TimebankError
from timebank.secret_keys import SECRET_FILE, SecretKeys
from timebank.signing import KeyInfo, KeyRing
from timebank.tlog.vkey import parse_vkey

_Result = TypeVar("_Result")

KEYS_DIRECTORY = Path("data/keys")

app = typer.Typer(
    name="keys",
    help="Make, list and rotate the keys that sign the log. 签名密钥",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)

KeysDirectory = Annotated[
    Path,
    typer.Option(
        "--keys-dir",
        envvar="TIMEBANK_KEYS__DIRECTORY",
        help="Directory of the key files; every process that signs needs the same.",
        file_okay=False,
    ),
]
Origin = Annotated[
    str,
    typer.Argument(help="Origin of the log, e.g. `timebank.example/ledger`: no space, no '+'."),
]


@app.command(
    epilog="Example: `timebank keys new timebank.example/ledger --keys-dir /etc/timebank/keys`"
)
def new(origin: Origin, keys_dir: KeysDirectory = KEYS_DIRECTORY) -> None:
    """Makes the first key of a log and shows its verifier key (新建密钥)."""
    made = _one_line_errors(lambda: KeyRing(keys_dir).create(origin))
    _show([made])
    _say(
        f"Keep {keys_dir / made.source} secret and backed up, and copy it to every process that "
        "signs. Give the verifier key to whoever checks receipts."
    )


@app.command(name="list", epilog="Example: `timebank keys list`")
def list_keys(keys_dir: KeysDirectory = KEYS_DIRECTORY) -> None:
    """Lists the verifier keys of all logs, oldest first (列出密钥)."""
    keys = _one_line_errors(lambda: KeyRing(keys_dir).list())
    if keys:
        _show(keys)
    else:
        _say(f"No keys in {keys_dir}. Make one: timebank keys new timebank.example/ledger")


@app.command(epilog="Example: `timebank keys rotate timebank.example/ledger`")
def rotate(origin: Origin, keys_dir: KeysDirectory = KEYS_DIRECTORY) -> None:
    """Appends a new key to those of a log; old ones stay, so old checkpoints verify (轮换密钥)."""
    made = _one_line_errors(lambda: KeyRing(keys_dir).rotate(origin))
    _show([made])
    _say(
        f"Copy {keys_dir / made.source} to every process that signs, then publish the new verifier "
        "key beside the old ones: old receipts are checked with the old keys."
    )


@app.command(epilog="Example: `timebank keys secret --keys-dir /etc/timebank/keys`")
def secret(keys_dir: KeysDirectory = KEYS_DIRECTORY) -> None:
    """Makes the deployment's secret, which seals personal data, unless it is there (部署密钥)."""
    _one_line_errors(lambda: SecretKeys.open(keys_dir))
    _say(
        f"Keep {keys_dir / SECRET_FILE} secret and backed up, and copy it to every process: without"
        " it the personal data that it seals cannot be read. A server that may write there makes it"
        " itself."
    )


def _one_line_errors(call: Callable[[], _Result]) -> _Result:
    """Runs a call and turns its refusal into one line on stderr and exit code 1."""
    try:
        return call()
    except TimebankError as error:
        typer.echo(f"error: {error.message} ({error.reason})", err=True)
        raise typer.Exit(1) from error


def _show(keys: Sequence[KeyInfo]) -> None:
    """Shows keys as a table, and below it each verifier key on a line of its own, to be copied."""
    table = Table(title="Keys 密钥", title_justify="left")
    table.add_column("Log origin 日志", overflow="fold")
    table.add_column("Key id 编号")
    table.add_column("Kept in 存放于", overflow="fold")
    table.add_column("Signs now 当前")
    for key in keys:
        key_id = parse_vkey(key.vkey).key_id.hex()
        signs = "yes 是" if key.current else "no 否"
        table.add_row(Text(key.origin), key_id, Text(key.source), signs)
    Console().print(table)
    _say("Verifier keys 公钥:")
    for key in keys:
        _say(key.vkey)


def _say(text: str) -> None:
    Console(soft_wrap=True).print(Text(text))
