"""A caller without gRPC: HTTP and JSON through a real Envoy with the shipped configuration."""

import asyncio
import pathlib
import re
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from google.rpc import error_details_pb2

from tests.support.envoys import CALL_TIMEOUT_S, CONFIG, program, running_envoy
from tests.support.keys import ORIGIN, make_key
from tests.support.processes import ServerProcess, free_port
from timebank.descriptors import descriptor_set

BODY_BYTES_MAX = 4 * 1024 * 1024
LEDGER = "/v1/ledgers/weihai"
TYPE = "type.googleapis.com/google.rpc."


def request_id() -> str:
    return str(uuid.uuid4())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("envoy")


@pytest.fixture(scope="module")
def http(folder: pathlib.Path) -> Iterator[httpx.Client]:
    """A caller of Envoy before a server with one ledger, which it made over HTTP."""
    make_key(folder)
    with ServerProcess(folder, {}) as server:
        asyncio.run(server.serving())
        port = int(server.grpc_address.rpartition(":")[2])
        with (
            running_envoy(folder, port) as base,
            httpx.Client(base_url=base, timeout=CALL_TIMEOUT_S) as client,
        ):
            made = client.post("/v1/ledgers", json=new_ledger())
            assert made.status_code == 200, made.text
            yield client


def new_ledger(**changes: Any) -> dict[str, Any]:
    """A request for the ledger of the tests."""
    ledger = {"displayName": "威海时间银行", "timeZone": "Asia/Shanghai", "logOrigin": ORIGIN}
    return {"ledgerId": "weihai", "requestId": request_id(), "ledger": ledger} | changes


def new_account(holder: str) -> dict[str, Any]:
    """A request for a member's account in TIME."""
    account = {"holder": holder, "unit": "UNIT_TIME", "kind": "ACCOUNT_KIND_MEMBER"}
    return {"requestId": request_id(), "openAccount": {"account": account}}


def open_account(http: httpx.Client, holder: str) -> str:
    """Opens an account and returns its name."""
    answer = http.post(f"{LEDGER}/accounts", json=new_account(holder))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["name"])


def detail(answer: httpx.Response, kind: str) -> dict[str, Any]:
    """The one detail of a refusal that has this type of google.rpc."""
    (found,) = (item for item in answer.json()["details"] if item["@type"] == TYPE + kind)
    return dict(found)


def contract() -> descriptor_pb2.FileDescriptorSet:
    return descriptor_pb2.FileDescriptorSet.FromString(descriptor_set())


def test_the_configuration_lists_every_service_of_the_contract() -> None:
    services = {
        f"{file.package}.{service.name}"
        for file in contract().file
        if file.name.startswith("timebank/")
        for service in file.service
    }
    listed = re.findall(r"^ +- (timebank\.[\w.]+)$", CONFIG.read_text(encoding="utf-8"), re.M)
    assert listed == sorted(services)


def test_the_configuration_opens_no_address_beyond_loopback() -> None:
    text = CONFIG.read_text(encoding="utf-8")
    assert set(re.findall(r"\baddress: ([^\s,{}]+)", text)) == {"127.0.0.1"}
    assert not re.search(r"^admin:", text, re.M)


def test_the_descriptors_build_in_their_order_and_know_every_detail_of_an_error() -> None:
    pool = descriptor_pool.DescriptorPool()
    for file in contract().file:
        pool.AddSerializedFile(file.SerializeToString())
    for message in error_details_pb2.DESCRIPTOR.message_types_by_name.values():
        assert pool.FindMessageTypeByName(message.full_name)


def test_the_descriptors_are_the_same_each_time() -> None:
    assert descriptor_set() == descriptor_set()


def test_a_ledger_reads_back_as_it_was_created(http: httpx.Client) -> None:
    answer = http.get(LEDGER)
    assert answer.status_code == 200
    assert answer.json()["displayName"] == "威海时间银行"
    assert answer.json()["verifierKeys"][0].startswith(f"{ORIGIN}+")


def test_a_new_balance_is_a_zero_that_is_there(http: httpx.Client) -> None:
    answer = http.get(f"/v1/{open_account(http, 'volunteer-1')}:balance")
    assert answer.status_code == 200
    assert answer.json()["posted"] == "0"


def test_a_posted_entry_moves_the_balance_once_however_often_it_is_sent(http: httpx.Client) -> None:
    member = open_account(http, "volunteer-2")
    query = {"unit": "UNIT_TIME", "kind": "ACCOUNT_KIND_ISSUANCE"}
    (issuance,) = http.get(f"{LEDGER}/accounts", params=query).json()["accounts"]
    postings = [
        {"account": name, "unit": "UNIT_TIME", "amount": amount}
        for name, amount in ((issuance["name"], "-90"), (member, "90"))
    ]
    post = {"kind": "ENTRY_KIND_OPENING_BALANCE", "postings": postings}
    request = {"requestId": request_id(), "post": post}
    answers = [http.post(f"{LEDGER}/entries", json=request).json() for _ in range(2)]
    assert [answer["replayed"] for answer in answers] == [False, True]
    assert http.get(f"/v1/{member}:balance").json()["posted"] == "90"


def test_h2_without_tls_is_spoken_too(http: httpx.Client) -> None:
    command = [program("curl"), "--silent", "--show-error", "--http2-prior-knowledge"]
    shown = ["--write-out", "%{http_code} %{http_version}", "--output", "/dev/null"]
    done = subprocess.run(
        [*command, *shown, f"{http.base_url}{LEDGER}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=CALL_TIMEOUT_S,
    )
    assert done.stdout == "200 2"


def test_a_refusal_of_the_server_tells_its_reason_as_json(http: httpx.Client) -> None:
    answer = http.get("/v1/ledgers/nowhere")
    assert answer.status_code == 404
    assert answer.json()["code"] == grpc.StatusCode.NOT_FOUND.value[0]
    info = detail(answer, "ErrorInfo")
    assert (info["reason"], info["domain"]) == ("LEDGER_NOT_FOUND", "timebank")


def test_a_refusal_names_the_field_that_is_missing(http: httpx.Client) -> None:
    misspelt = new_ledger()
    misspelt["ledgerIdd"] = misspelt.pop("ledgerId")
    answer = http.post("/v1/ledgers", json=misspelt)
    assert answer.status_code == 400
    assert detail(answer, "ErrorInfo")["reason"] == "VALIDATION_FAILED"
    assert detail(answer, "BadRequest")["fieldViolations"][0]["field"] == "ledger_id"


def test_a_refusal_is_in_the_language_that_the_caller_asks_for(http: httpx.Client) -> None:
    answer = http.get("/v1/ledgers/nowhere", headers={"Accept-Language": "zh-CN,zh;q=0.9"})
    message = detail(answer, "LocalizedMessage")
    assert message["locale"] == "zh-CN"
    assert message["message"].startswith("账本不存在")


def test_a_token_reaches_the_server(http: httpx.Client, folder: pathlib.Path) -> None:
    token = (folder / "data" / "development" / "member.token").read_text().strip()
    answer = http.post(
        "/v1/ledgers", json=new_ledger(), headers={"Authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 403
    assert detail(answer, "ErrorInfo")["reason"] == "SCOPE_MISSING"


def test_a_token_of_nobody_is_refused(http: httpx.Client) -> None:
    answer = http.get(LEDGER, headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 401
    assert detail(answer, "ErrorInfo")["reason"] == "TOKEN_INVALID"


def test_the_end_user_that_a_service_names_reaches_the_server(
    http: httpx.Client, folder: pathlib.Path
) -> None:
    token = (folder / "data" / "development" / "service.token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Timebank-Actor": "x" * 1_000}
    answer = http.get(LEDGER, headers=headers)
    assert answer.status_code == 400
    assert "timebank-actor" in answer.json()["message"]


@pytest.mark.parametrize(
    ("path", "body", "word"),
    [
        ("/v1/ledgers", '{"ledgerId": "weihai"', "Unexpected end"),
        ("/v1/ledgers", '{"ledgerId": "weihai"} more', "before end of input"),
        ("/v1/ledgers", "ledgerId=weihai", "Unexpected token"),
        ("/v1/ledgers", '{"ledger": {"displayName": 7}}', "ledger.display_name"),
        (f"{LEDGER}/accounts", '{"openAccount": {"account": {"unit": "UNIT_X"}}}', "UNIT_X"),
        (f"{LEDGER}/accounts", '{"parent": "ledgers/other"}', "conflicting"),
    ],
)
def test_a_body_that_is_no_such_message_is_refused(
    http: httpx.Client, path: str, body: str, word: str
) -> None:
    answer = http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert word in answer.json()["message"]


@pytest.mark.parametrize("query", ["pagesize=2", "page_size=x", "kind=ACCOUNT_KIND_X"])
def test_a_query_that_means_nothing_is_refused(http: httpx.Client, query: str) -> None:
    answer = http.get(f"{LEDGER}/accounts?{query}")
    assert answer.status_code == 400
    assert answer.json()["code"] == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_envoy_still_drops_what_it_does_not_know_in_a_body(http: httpx.Client) -> None:
    """Fails when Envoy learns to refuse it (issue 46623): then set that, and drop the warning."""
    body = new_account("volunteer-3") | {"nonsense": 1}
    assert http.post(f"{LEDGER}/accounts", json=body).status_code == 200


@pytest.mark.parametrize("length_is_told", [True, False])
def test_a_body_that_is_too_large_is_refused(http: httpx.Client, length_is_told: bool) -> None:
    body = b'{"ledgerId": "%s"}' % (b"a" * BODY_BYTES_MAX)
    content = body if length_is_told else iter([body])
    assert http.post("/v1/ledgers", content=content).status_code == 413


def test_a_body_below_the_limit_reaches_the_server(http: httpx.Client) -> None:
    answer = http.post("/v1/ledgers", json=new_ledger(ledgerId="a" * (BODY_BYTES_MAX - 1_000)))
    assert answer.status_code == 400
    assert detail(answer, "ErrorInfo")["reason"] == "VALIDATION_FAILED"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/nothing",
        "/v1/ledgers/weihai/entries:watch",
        "/timebank.ledger.v1.LedgerService/WatchEntries",
        "/timebank.ledger.v1.LedgerService/GetLedger",
    ],
)
def test_what_has_no_path_is_not_found(http: httpx.Client, path: str) -> None:
    answer = http.post(path, json={"parent": "ledgers/weihai"})
    assert answer.status_code == 404
    assert answer.json()["code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert path in answer.json()["message"]


async def test_a_grpc_caller_is_told_where_to_go(http: httpx.Client) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{http.base_url.port}") as channel:
        watch: grpc.aio.UnaryStreamMultiCallable[bytes, bytes] = channel.unary_stream(
            "/timebank.ledger.v1.LedgerService/WatchEntries"
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await anext(aiter(watch(b"", timeout=CALL_TIMEOUT_S)))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "at the server itself" in str(refused.value.details())


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://127.0.0.1:3000"}, 403),
        ({"Origin": "null"}, 403),
        ({"Host": "timebank.attacker.example"}, 421),
    ],
)
def test_a_page_in_a_browser_acts_for_nobody(
    http: httpx.Client, headers: dict[str, str], status: int
) -> None:
    answer = http.post(f"{LEDGER}/accounts", json=new_account("volunteer-4"), headers=headers)
    assert answer.status_code == status
    found = http.get(f"{LEDGER}/accounts", params={"holder": "volunteer-4"})
    assert found.json()["accounts"] == []


def test_without_a_server_the_caller_hears_at_once_that_it_may_retry(
    tmp_path: pathlib.Path,
) -> None:
    with running_envoy(tmp_path, free_port()) as base:
        answer = httpx.get(f"{base}{LEDGER}", timeout=CALL_TIMEOUT_S)
    assert answer.status_code == 503
    assert answer.json()["message"] == "no healthy upstream"
    assert answer.json()["code"] == grpc.StatusCode.UNAVAILABLE.value[0]
