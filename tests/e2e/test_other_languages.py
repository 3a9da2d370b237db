"""Somebody without our stubs, in another language, finds the contract by reflection and uses it."""

import uuid
from typing import Any

import pytest

from tests.conftest import ServerFactory
from tests.support.curl import Curl, CurlError
from tests.support.keys import ORIGIN, make_key

SERVICE = "timebank.ledger.v1.LedgerService"
LEDGER = "ledgers/weihai"


def request_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture
async def curl(start_server: ServerFactory, database_url: str) -> Curl:
    """A caller of a fresh server with a key for one ledger."""
    server = start_server({"database": {"url": database_url}})
    make_key(server.folder)
    await server.serving(SERVICE)
    return Curl(server.grpc_address, SERVICE)


@pytest.fixture
async def ledger(curl: Curl) -> Curl:
    """The same caller once the ledger exists."""
    await curl(
        "CreateLedger",
        ledgerId="weihai",
        ledger={"displayName": "威海时间银行", "timeZone": "Asia/Shanghai", "logOrigin": ORIGIN},
        requestId=request_id(),
    )
    return curl


async def open_account(ledger: Curl, holder: str) -> str:
    """Opens a member's account in TIME that may go into debt, and returns its name."""
    account = {"holder": holder, "unit": "UNIT_TIME", "kind": "ACCOUNT_KIND_MEMBER"}
    answer = await ledger(
        "CreateAccount", parent=LEDGER, requestId=request_id(), openAccount={"account": account}
    )
    return str(answer["name"])


async def issuance(ledger: Curl) -> str:
    """The account that TIME is issued from."""
    kind = "ACCOUNT_KIND_ISSUANCE"
    answer = await ledger("ListAccounts", parent=LEDGER, unit="UNIT_TIME", kind=kind)
    return str(answer["accounts"][0]["name"])


def opening(issuance_account: str, account: str, minutes: int) -> dict[str, Any]:
    """An opening balance of so many minutes."""
    legs = [(issuance_account, -minutes), (account, minutes)]
    return {
        "kind": "ENTRY_KIND_OPENING_BALANCE",
        "postings": [
            {"account": name, "unit": "UNIT_TIME", "amount": str(amount)} for name, amount in legs
        ],
    }


async def test_reflection_lists_every_method_of_the_ledger(curl: Curl) -> None:
    listed = await curl.methods()
    assert {f"{SERVICE}/PostEntry", f"{SERVICE}/GetLedger"} <= set(listed)


async def test_a_ledger_reads_back_as_it_was_created(ledger: Curl) -> None:
    answer = await ledger("GetLedger", name=LEDGER)
    assert answer["displayName"] == "威海时间银行"
    assert answer["verifierKeys"][0].startswith(f"{ORIGIN}+")


async def test_a_posted_entry_moves_the_balance(ledger: Curl) -> None:
    member = await open_account(ledger, "volunteer-1")
    post = opening(await issuance(ledger), member, 90)
    await ledger("PostEntry", parent=LEDGER, requestId=request_id(), post=post)
    balance = await ledger("GetBalance", name=member)
    assert balance["posted"] == "90"


async def test_the_same_request_twice_posts_once(ledger: Curl) -> None:
    member = await open_account(ledger, "volunteer-1")
    request = {
        "parent": LEDGER,
        "requestId": request_id(),
        "post": opening(await issuance(ledger), member, 90),
    }
    first = await ledger("PostEntry", **request)
    second = await ledger("PostEntry", **request)
    assert second["result"] == first["result"]
    assert second["replayed"] is True
    assert (await ledger("GetBalance", name=member))["posted"] == "90"


async def test_a_refusal_names_its_reason(ledger: Curl) -> None:
    with pytest.raises(CurlError) as refused:
        await ledger("GetLedger", name="ledgers/nowhere")
    assert refused.value.code == "not_found"
    assert refused.value.reasons == ["LEDGER_NOT_FOUND"]


async def test_the_log_serves_a_checkpoint_of_the_ledgers_origin(ledger: Curl) -> None:
    log = Curl(ledger.base.split("/")[2], "timebank.ledger.v1.LogService")
    checkpoint = await log("GetCheckpoint", parent=LEDGER)
    assert checkpoint["note"].startswith(f"{ORIGIN}\n{checkpoint['size']}\n")
