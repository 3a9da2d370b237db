"""A city moves in: a file of many thousand transfers, from the script that makes it to a receipt
that verifies when the server is gone.

Everything passes the real programs: the script, the command line, and a server in its own process.
"""

import asyncio
import csv
import pathlib
import signal
import sys
from collections import Counter
from contextlib import aclosing
from typing import NamedTuple

from tests.support.command_line import COMMAND_TIMEOUT_S, Result, run_program, timebank
from tests.support.keys import ORIGIN, make_key
from tests.support.processes import ServerProcess
from timebank.client import LedgerClient
from timebank.client.kinds import EntryKind
from timebank.units import Unit

ROWS = 16_000
"""Several batches: the first is in the log long before the last is sent."""
LEDGER = "weihai"
FILE = "transfers.csv"
SECONDS_PER_MINUTE = 60
IMPORT = ("import", "timeoverflow", FILE, "--ledger", LEDGER, "--min-balance=-100000")


class Sums(NamedTuple):
    """What a file says, summed up by hand."""

    minutes: Counter[str]
    rows: Counter[str]


def sums_of(path: pathlib.Path) -> Sums:
    """Sums minutes by holder, and counts rows by what can be done with them."""
    minutes: Counter[str] = Counter()
    rows: Counter[str] = Counter()
    with path.open(encoding="gb18030", newline="") as file:
        seen = set()
        for row in csv.DictReader(file):
            amount, rest = divmod(int(row["amount"]), SECONDS_PER_MINUTE)
            fate = "zero" if not amount and not rest else "fraction" if rest else "counted"
            rows["negative" if amount < 0 else fate] += 1
            rows["duplicate"] += tuple(row.items()) in seen
            seen.add(tuple(row.items()))
            if fate == "counted" and amount > 0:
                for side, sign in (("source", -1), ("destination", 1)):
                    holder = f"timeoverflow-{row[f'{side}_type'].lower()}-{row[f'{side}_id']}"
                    minutes[holder] += sign * amount
    return Sums(minutes, rows)


async def balances(server: ServerProcess) -> dict[str, int]:
    """Asks for the minutes of every holder that came with a file."""
    async with LedgerClient.connect(server.grpc_address, ledger=LEDGER) as client:
        accounts = [account async for account in client.list_accounts(unit=Unit.TIME)]
    return {
        account.holder: account.posted
        for account in accounts
        if account.holder.startswith("timeoverflow-")
    }


async def kill_halfway(server: ServerProcess, folder: pathlib.Path) -> None:
    """Starts the import and kills it as soon as a row of it is in the log."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "timebank", *IMPORT, "--server", server.grpc_address),
        cwd=folder,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with (
        asyncio.timeout(COMMAND_TIMEOUT_S),
        LedgerClient.connect(server.grpc_address, ledger=LEDGER) as client,
        aclosing(client.watch_entries()) as entries,
    ):
        async for entry in entries:
            if entry.kind is EntryKind.IMPORT:
                process.kill()
                break
    assert await process.wait() == -signal.SIGKILL


async def newest_receipt(server: ServerProcess) -> str:
    async with LedgerClient.connect(server.grpc_address, ledger=LEDGER) as client:
        newest = await anext(client.list_entries())
        return await client.receipt(newest.index)


async def make_file(folder: pathlib.Path) -> Sums:
    """Runs the committed script; what it makes has everything that real files contain."""
    arguments = ("--rows", str(ROWS), "--seed", "11", "--encoding", "gb18030")
    command = (sys.executable, "-m", "tests.support.timeoverflow", FILE, *arguments)
    assert (await run_program(folder, *command)).code == 0
    sums = sums_of(folder / FILE)
    assert sum(sums.rows.values()) - sums.rows["duplicate"] == ROWS
    assert min(sums.rows[fate] for fate in ("zero", "fraction", "negative", "duplicate")) > 0
    assert min(sums.minutes.values()) < 0
    return sums


async def test_a_city_moves_in_and_a_member_keeps_a_receipt(tmp_path: pathlib.Path) -> None:
    sums = await make_file(tmp_path)
    vkey = make_key(tmp_path)
    empty = tmp_path / "empty"
    empty.mkdir()
    with ServerProcess(tmp_path, {}) as server:
        await server.serving()

        async def run(*arguments: str) -> Result:
            return await timebank(tmp_path, *arguments, TIMEBANK_SERVER=server.grpc_address)

        create = ("ledger", "create", LEDGER, "--origin", ORIGIN, "--name", "威海")
        assert (await run(*create)).code == 0
        await kill_halfway(server, tmp_path)
        done = await run(*IMPORT, "--errors", "refused.csv")
        assert done.code == 1, done
        assert "booked before" in done.out
        assert await balances(server) == sums.minutes
        refused = (tmp_path / "refused.csv").read_text(encoding="utf-8-sig").splitlines()[1:]
        assert len(refused) == sums.rows["fraction"] + sums.rows["negative"]

        again = await run(*IMPORT)
        assert again.code == 1
        assert f"│ {0:>9} │" in next(line for line in again.out.splitlines() if "now" in line)
        assert await balances(server) == sums.minutes
        audit = await run("audit")
        assert audit.code == 0, audit
        assert "Everything agrees" in audit.out
        receipt = await newest_receipt(server)
        assert server.terminate() == 0
    (empty / "mine.tlog-proof").write_text(receipt)
    verified = await timebank(empty, "verify", "mine.tlog-proof", "--vkey", vkey)
    assert (verified.code, verified.error) == (0, "")
    assert "VERIFIED" in verified.out
    assert "does NOT prove" in verified.out
