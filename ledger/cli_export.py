"""`timebank export`: the log in its static form, checked while it is copied.

Owns: the options, whose key must have signed, and what is shown. Refuses: the copying itself (see
ledger/cli_tiles.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from ledger.cli_http import HttpTiles
from ledger.cli_options import LEDGER, SERVER, Connection, LedgerId, Server, Token, ask
from ledger.cli_tiles import TileCopy
from timebank.client import LedgerClient
from timebank.errors import Reason, TimebankError
from timebank.tlog.checkpoint import Checkpoint, open_checkpoint

HTTP_PORT = 9464
VKEY_FILE_BYTES_MAX = 65_536

app = typer.Typer(
    name="export",
    help="Copy a ledger's log for auditors and archives. 导出",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.command(
    epilog="Example: `timebank export tiles ./weihai-log --ledger weihai "
    "--vkey data/keys/timebank.example_weihai.vkey`"
)
def tiles(
    folder: Annotated[
        Path,
        typer.Argument(help="Folder of the copy 目录.", file_okay=False, show_default=False),
    ],
    http: Annotated[
        str | None,
        typer.Option(
            "--http",
            envvar="TIMEBANK_HTTP",
            help="Address of the server's HTTP side; by itself port 9464 of --server.",
        ),
    ] = None,
    vkey: Annotated[
        list[str] | None,
        typer.Option(
            "--vkey",
            help="Verifier key, or a file with them, that must have signed; by itself those that "
            "the server names. 公钥",
        ),
    ] = None,
    entries: Annotated[
        bool,
        typer.Option(
            "--entries/--no-entries",
            help="Copy the entries too; that takes an auditor's token. 是否包含记录",
        ),
    ] = True,
    server: Server = SERVER,
    token: Token = None,
    ledger: LedgerId = LEDGER,
) -> None:
    """Copies checkpoint, hash tiles and entries in the form of C2SP tlog-tiles. 导出日志瓦片.

    Every byte is checked against the signed checkpoint. Run it again to bring a copy up to date or
    to continue after an interruption: what is there and right is not fetched again.
    """
    connection = Connection(server, token, ledger)
    address = http or connection.http_address(HTTP_PORT)
    copy = TileCopy(folder, HttpTiles(address, ledger, token))
    vkeys = _vkeys(vkey) if vkey else _named_keys(connection)
    note = copy.fetch_checkpoint()
    checkpoint = open_checkpoint(note, vkeys)
    fetched = _copy(copy, checkpoint, entries=entries)
    copy.finish(note)
    told = "" if vkey else " The keys are those that the server names: compare them elsewhere."
    what = "entries, hash tiles and root" if entries else "hash tiles and root"
    Console(soft_wrap=True).print(
        Text(
            f"{folder}: {checkpoint.size:,} entries of {checkpoint.origin}, {fetched:,} files "
            f"fetched; {what} agree with the signed checkpoint 校验通过.{told}"
        )
    )


def _copy(copy: TileCopy, checkpoint: Checkpoint, *, entries: bool) -> int:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    files = copy.files(checkpoint.size, entries=entries)
    tile_count = sum(not file.is_bundle for file in files)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        fetching = progress.add_task("Fetching 下载", total=len(files))
        fetched = copy.download(files, lambda more: progress.advance(fetching, more))
        checking = progress.add_task("Checking 校验", total=tile_count)
        copy.verify(
            checkpoint, entries=entries, advance=lambda more: progress.advance(checking, more)
        )
    return fetched


def _named_keys(connection: Connection) -> list[str]:
    async def keys(client: LedgerClient) -> list[str]:
        return list((await client.get_ledger()).verifier_keys)

    return ask(connection, keys)


def _vkeys(given: list[str]) -> list[str]:
    """Reads keys given as texts or as files of one key a line."""
    keys: list[str] = []
    for text in given:
        path = Path(text)
        try:
            with path.open("rb") as file:
                data = file.read(VKEY_FILE_BYTES_MAX)
            keys += [line for line in data.decode().splitlines() if line.strip()]
        except FileNotFoundError:
            keys.append(text)
        except (OSError, UnicodeDecodeError) as error:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"--vkey {text[:200]}: expected a verifier key or a file of them, cannot read it",
                field="vkey",
            ) from error
    return keys
