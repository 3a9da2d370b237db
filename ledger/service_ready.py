"""What a developer may paste into another terminal once the server is ready.

Owns: the commands, made of the configuration and of what the database holds already, so that they
work on the first start and on every later one. Refuses: anything outside the development identity.
"""

import sys
from pathlib import Path

from ledger.sample.city import LEDGER as CITY
from ledger.sample.people import WANG
from ledger.store.ledgers import LedgerRow, list_ledgers
from timebank.config import Config, DatabaseConfig, KeysConfig, ServerConfig
from timebank.database import open_databases
from timebank.dev_tokens import token_file
from timebank.errors import TimebankError
from timebank.runtime import Runtime
from timebank.signing import KeyRing

LEDGER = "weihai"
ORIGIN = "timebank.example/weihai"
NAME = "威海时间银行"
SAMPLE = Path("deploy/examples/timeoverflow.csv")
SAMPLE_HOLDER = "timeoverflow-member-1"
SAMPLE_MIN_BALANCE = -600
LEDGERS_MAX = 100


async def paste_text(runtime: Runtime) -> str:
    """Gives the commands, a line each; nothing unless the development identity is on.

    Raises what reading the database raises.
    """
    config = runtime.config
    if config.identity.mode != "development":
        return ""
    return _text(config, runtime.keyring, await _ledger(config.database))


def _text(config: Config, keyring: KeyRing, row: LedgerRow | None) -> str:
    ledger_id = row.state.ledger_id if row else LEDGER
    origin = row.state.log_origin if row else ORIGIN
    lines = [*_surroundings(config, ledger_id), *_beginning(config, keyring, row)]
    if SAMPLE.is_file() and not (row and row.state.opening_closed):
        lines.append(f"timebank import timeoverflow {SAMPLE} --min-balance {SAMPLE_MIN_BALANCE}")
        officer = token_file(config.data_directory, "officer")
        lines.append(f'timebank balance --holder {SAMPLE_HOLDER} --token "$(cat {officer})"')
    vkey_file = config.keys.directory / f"{origin.replace('/', '_')}.vkey"
    lines += _city_commands(config)
    lines += [
        "timebank entries --limit 3",
        f"curl -fsS -o checkpoint http://{config.server.http_address}/ledgers/{ledger_id}/checkpoint",
        f"timebank verify checkpoint --vkey {vkey_file}",
        f"timebank audit{_database_option(config)}",
    ]
    heading = "Try it: paste these into another terminal, in this directory:"
    return "\n".join([*_city_words(config), heading, *lines])


def _city_words(config: Config) -> list[str]:
    """Says what to look at in the sample city."""
    if not config.ledger.sample_city:
        return []
    return [
        f"Sample city 示例城市: ledger {CITY}, loaded in the background on the first start. Member "
        f"{WANG} 王阿姨 holds 2 stars and is 38 h below the third; `timebank demo` tells her story."
    ]


def _city_commands(config: Config) -> list[str]:
    """Gives the commands that show the sample city; the first waits until it is loaded."""
    if not config.ledger.sample_city:
        return []
    usual = config.data_directory == Config().data_directory
    place = "" if usual else f" --data-dir {config.data_directory}"
    return [f"timebank demo{place}", f"timebank balance --ledger {CITY} --holder {WANG}"]


async def _ledger(database: DatabaseConfig) -> LedgerRow | None:
    """Finds the ledger to try: the usual one, else the first but the sample city; None when there
    is none.
    """
    databases = open_databases(database, exclusive=False)
    try:
        rows = await list_ledgers(databases.reader, after="", limit=LEDGERS_MAX)
    finally:
        await databases.close()
    usual = [row for row in rows if row.state.ledger_id == LEDGER]
    others = [row for row in rows if row.state.ledger_id != CITY]
    return next(iter(usual or others), None)


def _surroundings(config: Config, ledger_id: str) -> list[str]:
    """Gives what the commands find in their environment: the program, and what is not usual."""
    lines = []
    programs = Path(sys.executable).parent
    if sys.prefix != sys.base_prefix:
        here = Path.cwd()
        inside = programs.is_relative_to(here)
        shown = f"$PWD/{programs.relative_to(here)}" if inside else str(programs)
        lines.append(f'export PATH="{shown}:$PATH"')
    if config.server.grpc_address != ServerConfig().grpc_address:
        lines.append(f"export TIMEBANK_SERVER={config.server.grpc_address}")
    if ledger_id != LEDGER:
        lines.append(f"export TIMEBANK_LEDGER={ledger_id}")
    return lines


def _beginning(config: Config, keyring: KeyRing, row: LedgerRow | None) -> list[str]:
    """Gives the commands that make the key and the ledger, as far as they are not there."""
    if row is not None:
        return []
    usual = config.keys.directory == KeysConfig().directory
    place = "" if usual else f" --keys-dir {config.keys.directory}"
    create = f"timebank ledger create {LEDGER} --origin {ORIGIN} --name {NAME}"
    return [create] if _has_key(keyring) else [f"timebank keys new {ORIGIN}{place}", create]


def _has_key(keyring: KeyRing) -> bool:
    try:
        keyring.signer(ORIGIN)
    except TimebankError:
        return False
    return True


def _database_option(config: Config) -> str:
    usual = config.database.url == DatabaseConfig().url
    return "" if usual else f" --database {config.database.url}"
