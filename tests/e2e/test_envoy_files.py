"""A settlement file comes over HTTP through Envoy as it was signed, byte by byte."""

import asyncio
import base64
import hashlib
import json
import pathlib
import subprocess
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import grpc.aio
import structlog
from google.api import httpbody_pb2
from grpc_health.v1 import health, health_pb2_grpc

import ledger.service
import merchant.service
from tests.support.builders_server import server_config
from tests.support.curl_shops import LEDGER, SHOP, CurlShop
from tests.support.envoys import CALL_TIMEOUT_S, Answer, curl, program, running_envoy
from tests.support.keys import make_key
from timebank.auth import PrincipalKind
from timebank.client.settlements import SettlementClient
from timebank.clock import ManualClock, SystemClock
from timebank.merchant.v1 import settlement_pb2
from timebank.merchant.v1 import settlement_service_pb2 as service_pb2
from timebank.merchant.v1.settlement_service_pb2_grpc import (
    SettlementServiceServicer,
    add_SettlementServiceServicer_to_server,
)
from timebank.server import open_server

DAY_S = 86_400
BATCH = f"{SHOP}/batches/2026-11-30-1"
PUBLIC_KEY_HEAD = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in SubjectPublicKeyInfo (RFC 8410 4)."""
PIECE = bytes(range(256)) * 256
PIECES = 272
"""A MiB more than the most that Envoy buffers of an answer."""
ROUTE_TIMEOUT, SHORT_ROUTE_TIMEOUT = "timeout: 11s", "timeout: 0.5s"


class Settled(NamedTuple):
    """A business day that was closed over HTTP, and what somebody may see of it."""

    batch: dict[str, Any]
    published_key: str
    file: pathlib.Path
    answer: Answer
    refusals: list[tuple[int, str]]


def download(shop: CurlShop, batch: str, token: str, *options: str) -> Answer:
    """Asks for a file."""
    bearer = {"authorization": f"Bearer {token}"}
    return curl(f"{shop.base}/v1/{batch}/file", *options, headers=bearer)


def sell_and_settle(shop: CurlShop, clock: ManualClock, http_port: int) -> Settled:
    """Sells twice, gives something back, closes the day on the next one and downloads its file."""
    shop.open()
    assert shop.till("enrol", typed=shop.terminal("till-1")).code == 0
    for ref in ("t1-1", "t1-2"):
        sold = shop.till("redeem", "shave", "2", ref, typed=shop.payment_code()).answer
    assert shop.till("refund", "t1-2", "5", "r-1").code == 0
    income = {"source": "SOURCE_GOVERNMENT", "amountFen": "1000", "reference": "BOC-1"}
    shop.post(f"{LEDGER}/incomes", incomeId="i-1", income=income)
    clock.advance(seconds=DAY_S)
    batch = shop.post(f"{SHOP}/batches:close", businessDate=sold["businessDate"])
    file = shop.folder / "settled.csv"
    own, other = (shop.token(PrincipalKind.MERCHANT, id) for id in ("barber", "baker"))
    till = shop.token(PrincipalKind.TERMINAL, "barber/till-1")
    asked = ((batch["name"], other), (batch["name"], till), (f"{SHOP}/batches/2020-01-01-1", own))
    refused = [download(shop, name, token) for name, token in asked]
    return Settled(
        batch,
        curl(f"http://127.0.0.1:{http_port}/settlement.vkey").body.decode().strip(),
        file,
        download(shop, batch["name"], own, "--output", str(file)),
        [(answer.status, answer.reason) for answer in refused],
    )


def openssl_verifies(folder: pathlib.Path, jws: str, digest: str, vkey: str) -> bool:
    """Checks a detached JWS over a digest with the published key, as anybody can."""
    header, _, signature = jws.partition("..")
    named = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    assert named["kid"] == vkey
    public_key = base64.b64decode(vkey.split("+", 2)[2])[1:]
    (folder / "key.der").write_bytes(PUBLIC_KEY_HEAD + public_key)
    (folder / "signature").write_bytes(base64.urlsafe_b64decode(signature + "=="))
    (folder / "signed").write_text(f"{header}.{digest}")
    command = [program("openssl"), "pkeyutl", "-verify", "-pubin", "-inkey", "key.der"]
    files = ["-keyform", "DER", "-rawin", "-in", "signed", "-sigfile", "signature"]
    done = subprocess.run([*command, *files], cwd=folder, check=False, capture_output=True)
    return done.returncode == 0


async def test_a_settlement_file_is_downloaded_as_it_was_signed(tmp_path: pathlib.Path) -> None:
    make_key(tmp_path)
    clock = ManualClock(SystemClock().now_us())
    process = await open_server(
        server_config(tmp_path),
        [ledger.service.register, merchant.service.register],
        clock=clock,
        logger=structlog.get_logger("test"),
    )

    def story() -> Settled:
        assert process.http is not None
        with running_envoy(tmp_path, process.grpc_port) as base:
            return sell_and_settle(CurlShop(tmp_path, base), clock, process.http.port)

    try:
        settled = await asyncio.to_thread(story)
        address = f"127.0.0.1:{process.grpc_port}"
        async with SettlementClient.connect(address, ledger="weihai") as client:
            pieces = [piece async for piece in client.download(settled.batch["name"])]
    finally:
        await process.stop(0)
    data = settled.file.read_bytes()
    assert (settled.answer.status, settled.answer.content_type) == (200, "text/csv; charset=utf-8")
    assert data == b"".join(pieces)
    assert [row.split(b",")[0] for row in data.splitlines()] == [
        *(b"HEADER", b"COLUMNS", b"LINE", b"LINE", b"LINE", b"TRAILER")
    ]
    assert hashlib.sha256(data).hexdigest() == settled.batch["fileSha256"]
    jws, key = settled.batch["fileSignature"], settled.published_key
    assert openssl_verifies(tmp_path, jws, hashlib.sha256(data).hexdigest(), key)
    assert not openssl_verifies(tmp_path, jws, hashlib.sha256(data[:-1]).hexdigest(), key)
    assert settled.refusals == [
        (404, "BATCH_NOT_FOUND"),
        (403, "SCOPE_MISSING"),
        (404, "BATCH_NOT_FOUND"),
    ]


class SlowSettlement(SettlementServiceServicer):
    """Sends a long file, and waits after its first piece until another call was given up."""

    def __init__(self, *, breaks_off: bool = False) -> None:
        self.breaks_off = breaks_off
        self.began = threading.Event()
        self._given_up = asyncio.Event()

    async def GetBatch(
        self, request: service_pb2.GetBatchRequest, context: object
    ) -> settlement_pb2.SettlementBatch:
        try:
            return await asyncio.Future[settlement_pb2.SettlementBatch]()
        finally:
            self._given_up.set()

    async def GetBatchFile(
        self,
        request: service_pb2.GetBatchFileRequest,
        context: grpc.aio.ServicerContext[Any, Any],
    ) -> AsyncIterator[httpbody_pb2.HttpBody]:
        yield httpbody_pb2.HttpBody(content_type="text/csv", data=PIECE)
        if self.breaks_off:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the server is stopping")
        self.began.set()
        await self._given_up.wait()
        for _ in range(PIECES - 1):
            yield httpbody_pb2.HttpBody(content_type="text/csv", data=PIECE)


@asynccontextmanager
async def serving(service: SlowSettlement) -> AsyncIterator[int]:
    """Serves until the block ends; gives the port."""
    server = grpc.aio.server()
    add_SettlementServiceServicer_to_server(service, server)
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


async def test_a_long_file_outlives_what_other_answers_are_limited_to(
    tmp_path: pathlib.Path,
) -> None:
    service = SlowSettlement()  # type: ignore[abstract]  # what it leaves out is UNIMPLEMENTED
    file = tmp_path / "long.csv"

    def story(port: int) -> int:
        changes = {ROUTE_TIMEOUT: SHORT_ROUTE_TIMEOUT}
        with running_envoy(tmp_path, port, changes=changes) as base:
            command = [program("curl"), "--silent", "--show-error", "--fail", "--output", str(file)]
            with subprocess.Popen([*command, f"{base}/v1/{BATCH}/file"]) as downloading:
                assert service.began.wait(CALL_TIMEOUT_S)
                assert curl(f"{base}/v1/{BATCH}").status == 504
                return downloading.wait(CALL_TIMEOUT_S)

    async with serving(service) as port:
        assert await asyncio.to_thread(story, port) == 0
    assert file.read_bytes() == PIECE * PIECES


async def test_a_download_that_breaks_off_still_looks_complete(tmp_path: pathlib.Path) -> None:
    """Fails when Envoy learns to break the answer off too: then drop the warning in envoy.yaml."""

    def story(port: int) -> Answer:
        with running_envoy(tmp_path, port) as base:
            return curl(f"{base}/v1/{BATCH}/file")

    service = SlowSettlement(breaks_off=True)  # type: ignore[abstract]  # as above
    async with serving(service) as port:
        answer = await asyncio.to_thread(story, port)
    assert (answer.status, answer.body) == (200, PIECE)
