"""The HTTP side of a real server: heads and hashes for everybody, entries for those who may.

And what its log tells of it: one JSON object an event, and no secret.
"""

import asyncio
import base64
import json
import pathlib
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from tests.ledger.terminal import Terminal
from tests.support.keys import ORIGIN, make_key
from tests.support.processes import ServerProcess
from timebank.client import LedgerClient
from timebank.tlog.checkpoint import verify_checkpoint
from timebank.tlog.merkle import Frontier, leaf_hash
from timebank.tlog.tiles import decode_bundle, split_hashes
from timebank.units import Unit

LEDGER = "weihai"
HOLDER = "volunteer-77"
CHECKPOINT = f"/ledgers/{LEDGER}/checkpoint"
WIDTH = 8
"""Entries that the test reads: those of a new ledger, at least."""
TILE = f"/ledgers/{LEDGER}/tile/0/000.p/{WIDTH}"
ENTRIES = f"/ledgers/{LEDGER}/tile/entries/000.p/{WIDTH}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("http-side")


@pytest.fixture(scope="module")
def vkey(folder: pathlib.Path) -> str:
    return make_key(folder)


@pytest.fixture(scope="module")
def server(folder: pathlib.Path, vkey: str) -> Iterator[ServerProcess]:
    """A server with one ledger."""
    assert vkey

    async def create(process: ServerProcess) -> None:
        await process.serving()
        async with LedgerClient.connect(process.grpc_address, ledger=LEDGER) as client:
            await client.create_ledger(
                display_name="威海", time_zone="Asia/Shanghai", log_origin=ORIGIN
            )
            await client.create_account(holder=HOLDER, unit=Unit.TIME)

    with ServerProcess(folder, {}) as process:
        asyncio.run(create(process))
        yield process


@pytest.fixture
async def http(server: ServerProcess) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"http://{server.http_address}") as client:
        yield client


def token(folder: pathlib.Path, word: str) -> dict[str, str]:
    """The header of one of the development identities."""
    text = (folder / "data" / "development" / f"{word}.token").read_text().strip()
    return {"Authorization": f"Bearer {text}"}


def audited(server: ServerProcess, event: str) -> list[dict[str, str]]:
    """What the audit log says of an event."""
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["event"] == event and line.get("logger") == "audit"]


async def test_everybody_gets_the_signed_head(http: httpx.AsyncClient, vkey: str) -> None:
    answer = await http.get(CHECKPOINT)
    assert answer.status_code == 200
    assert verify_checkpoint(answer.text, [vkey]).checkpoint.origin == ORIGIN
    assert "max-age=" in answer.headers["cache-control"]


async def test_the_hashes_and_the_entries_give_the_signed_root(
    http: httpx.AsyncClient, folder: pathlib.Path
) -> None:
    _, size, root, *_ = (await http.get(CHECKPOINT)).text.split("\n")
    tile = await http.get(f"/ledgers/{LEDGER}/tile/0/000.p/{size}")
    bundle = await http.get(
        f"/ledgers/{LEDGER}/tile/entries/000.p/{size}", headers=token(folder, "auditor")
    )
    frontier = Frontier()
    frontier.extend(split_hashes(tile.content))
    assert frontier.root() == base64.b64decode(root)
    leaves = [leaf_hash(entry) for entry in decode_bundle(bundle.content)]
    assert leaves == split_hashes(tile.content)
    assert "immutable" in tile.headers["cache-control"]
    assert "private" in bundle.headers["cache-control"]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("auditor", 200),
        ("service", 200),
        ("officer", 403),
        ("member", 403),
        ("till", 403),
        ("platform", 403),
    ],
)
async def test_entries_are_for_those_who_may_read_across_accounts(
    http: httpx.AsyncClient, folder: pathlib.Path, server: ServerProcess, word: str, status: int
) -> None:
    event = "disclosed" if status == 200 else "denied"
    before = len(audited(server, event))
    answer = await http.get(ENTRIES, headers=token(folder, word))
    assert answer.status_code == status
    assert (await http.get(TILE, headers=token(folder, word))).status_code == 200
    said = audited(server, event)[before:]
    assert [line["method"] for line in said] == [ENTRIES]


async def test_a_token_of_nobody_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get(ENTRIES, headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401
    assert answer.json()["error"]["reason"] == "TOKEN_INVALID"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ledgers/nowhere/checkpoint", 404),
        ("/ledgers/No%20Where/checkpoint", 400),
        (f"/ledgers/{LEDGER}/tile/0/001", 404),
        (f"/ledgers/{LEDGER}/tile/0/000.p/256", 400),
        (f"/ledgers/{LEDGER}/tile/99/000", 400),
        (f"/ledgers/{LEDGER}/tile/../../../../etc/passwd", 404),
        ("/", 404),
    ],
)
async def test_what_is_not_there_has_its_status_and_no_trace(
    http: httpx.AsyncClient, path: str, status: int
) -> None:
    answer = await http.get(path)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


async def test_metrics_count_the_calls_and_name_no_holder(http: httpx.AsyncClient) -> None:
    text = (await http.get("/metrics")).text
    assert 'timebank_rpc_total{code="OK",method="CreateAccount"' in text
    assert "timebank_rpc_seconds_bucket" in text
    assert HOLDER not in text


def test_the_log_is_copied_by_the_command_and_checked(
    server: ServerProcess, tmp_path: pathlib.Path, vkey: str
) -> None:
    said = Terminal(server, LEDGER).run("export", "tiles", str(tmp_path), "--vkey", vkey)
    assert (said.exit_code, said.error) == (0, None)
    assert (tmp_path / "checkpoint").exists()
    assert list(tmp_path.glob("tile/entries/000.p/*"))


async def test_the_log_has_one_json_object_an_event_and_no_secret(
    http: httpx.AsyncClient, server: ServerProcess, folder: pathlib.Path
) -> None:
    secret = token(folder, "member")
    memo = "王伟：陪护老人"
    await http.get(ENTRIES, headers=secret)
    async with LedgerClient.connect(
        server.grpc_address, ledger=LEDGER, token=secret["Authorization"].removeprefix("Bearer ")
    ) as member:
        assert [account async for account in member.list_accounts(holder=memo)] == []
    printed, _, logged = server.log.partition('"event": "serving"')
    assert secret["Authorization"].removeprefix("Bearer ") in printed
    lines = logged.splitlines()[1:]
    assert lines
    for line in lines:
        event = json.loads(line)
        assert {"event", "level", "timestamp"} <= set(event)
        assert not any(part in line for part in (secret["Authorization"], memo, "Bearer"))
    keys = (folder / "data" / "keys").glob("*.key")
    # PRIVATE+KEY+name+hash+base64: the base64 may have a plus too.
    secrets = [key.read_text().split("+", 4)[4].strip() for key in keys]
    assert secrets
    assert all(len(secret_key) >= 40 for secret_key in secrets)
    assert not any(secret_key in server.log for secret_key in secrets)
