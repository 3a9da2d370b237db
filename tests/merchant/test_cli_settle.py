"""`timebank settle` and `timebank reconcile`, against a settlement service of a few lines."""

import hashlib
import pathlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc.aio
import pytest
from typer.testing import CliRunner

from merchant.cli import app
from merchant.cli_pos_terminal import Background
from merchant.cli_settle import period_of
from merchant.domain.detached_signatures import (
    detached_jws,
    jws_protected_header,
    jws_signing_input,
)
from merchant.domain.settlement_files import SettlementFileWriter
from merchant.domain.settlement_records import LineKind, SettlementHeader, SettlementLine
from timebank.errors import Reason, TimebankError
from timebank.merchant.v1 import settlement_pb2
from timebank.merchant.v1 import settlement_service_pb2 as service_pb2
from timebank.merchant.v1.settlement_service_pb2_grpc import (
    SettlementServiceServicer,
    add_SettlementServiceServicer_to_server,
)
from timebank.signing import Ed25519Signer

MERCHANT = "ledgers/weihai/merchants/barber"
DATE = "2026-11-30"
SIGNER = Ed25519Signer.from_seed("timebank/settlement", bytes(32))
OTHER = Ed25519Signer.from_seed("timebank/settlement", bytes([1] * 32))
ROWS = f"""merchant_ref,business_date,state,captured_amount,refunded_amount
t1-2,{DATE},CAPTURED,20,0
t1-1,2026-11-28,CAPTURED,20,0
"""
Outcome = settlement_pb2.ReconciliationItem.Outcome
MINUTES = 40
"""The TIME of a haircut, which stands in the file beside the points."""


def file_of(points: tuple[int, ...]) -> bytes:
    header = SettlementHeader("weihai", "barber", DATE, 1, 500, "")
    lines = (
        SettlementLine(LineKind.REDEMPTION, f"r{n}", f"t1-{n}", "", 10**15, each, 0, each * 5)
        for n, each in enumerate(points)
    )
    haircut = SettlementLine(LineKind.REDEMPTION, "cut", "t1-cut", "", 10**15, 0, MINUTES, 0)
    return b"".join(SettlementFileWriter(header, (*lines, haircut)))


class FakeSettlement(SettlementServiceServicer):
    """One closed batch with a file, and two differences."""

    def __init__(self) -> None:
        self.file = file_of((20, 15))
        sha256 = hashlib.sha256(self.file).hexdigest()
        head = jws_protected_header(SIGNER.vkey)
        signature = detached_jws(head, SIGNER.sign(jws_signing_input(head, sha256)))
        self.batch = settlement_pb2.SettlementBatch(
            name=f"{MERCHANT}/batches/{DATE}-1",
            business_date=DATE,
            sequence=1,
            state=settlement_pb2.SettlementBatch.STATE_CLOSED,
            line_count=3,
            redeemed_minutes=MINUTES,
            net_minutes=MINUTES,
            redeemed_points=35,
            net_points=35,
            net_fen=175,
            file_sha256=sha256,
            file_signature=signature,
        )
        self.requests: list[Any] = []

    async def CloseBatch(
        self, request: service_pb2.CloseBatchRequest, context: object
    ) -> settlement_pb2.SettlementBatch:
        self.requests.append(request)
        return self.batch

    async def DownloadBatchFile(
        self, request: service_pb2.DownloadBatchFileRequest, context: object
    ) -> AsyncIterator[service_pb2.DownloadBatchFileResponse]:
        for at in range(0, len(self.file), 100):
            yield service_pb2.DownloadBatchFileResponse(data=self.file[at : at + 100])

    async def SubmitMerchantJournal(
        self, request: service_pb2.SubmitMerchantJournalRequest, context: object
    ) -> service_pb2.SubmitMerchantJournalResponse:
        self.requests.append(request)
        return service_pb2.SubmitMerchantJournalResponse(
            row_count=3,
            accepted_count=2,
            rejected_count=1,
            errors=[settlement_pb2.RowError(row=3, message="state: expected one of the contract")],
            matched_count=7,
            item_count=2,
        )

    async def SubmitPayoutAdvice(
        self, request: service_pb2.SubmitPayoutAdviceRequest, context: object
    ) -> service_pb2.SubmitPayoutAdviceResponse:
        self.requests.append(request)
        return service_pb2.SubmitPayoutAdviceResponse(row_count=1, accepted_count=1)

    async def ListReconciliationItems(
        self, request: service_pb2.ListReconciliationItemsRequest, context: object
    ) -> service_pb2.ListReconciliationItemsResponse:
        self.requests.append(request)
        items = [
            settlement_pb2.ReconciliationItem(
                business_date=DATE, merchant_ref=ref, outcome=outcome, merchant_amount=20
            )
            for ref, outcome in (
                ("t1-1", Outcome.OUTCOME_MISSING_IN_LEDGER),
                ("t1-2", Outcome.OUTCOME_CUTOFF_SHIFT),
            )
        ]
        return service_pb2.ListReconciliationItemsResponse(reconciliation_items=items)


class Shop:
    """Somebody who settles."""

    def __init__(self, address: str, service: FakeSettlement) -> None:
        self.service = service
        self._options = ["--server", address, "--ledger", "weihai"]

    def run(self, *arguments: str) -> str:
        """Runs a command; raises what it refuses."""
        result = CliRunner().invoke(app, [*arguments, *self._options])
        if result.exception is not None:
            raise result.exception
        return " ".join(result.output.split())


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("COLUMNS", "200")
    background = Background()
    service = FakeSettlement()  # type: ignore[abstract]  # what it leaves out is UNIMPLEMENTED

    async def start() -> tuple[grpc.aio.Server, int]:
        server = grpc.aio.server()
        add_SettlementServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = background(start())
    try:
        yield Shop(f"127.0.0.1:{port}", service)
    finally:
        background(server.stop(None))
        background.close()


def test_a_batch_is_closed_and_its_file_checked(shop: Shop, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file.csv"
    said = shop.run("settle", "barber", "--date", DATE, "--file", str(path), "--vkey", SIGNER.vkey)
    told = ("CLOSED 已结算", "35 points 积分 = ¥1.75", f"{MINUTES} minutes 分钟")
    for words in (*told, "File checked", "签名有效"):
        assert words in said
    assert path.read_bytes() == shop.service.file
    assert list(tmp_path.iterdir()) == [path]
    (request,) = shop.service.requests
    assert (request.parent, request.business_date) == (MERCHANT, DATE)


def test_without_a_key_it_says_what_is_not_proved(shop: Shop) -> None:
    said = shop.run("settle", "barber", "--date", DATE)
    assert "valid for the key that it names" in said
    assert "--vkey" in said


def test_a_key_file_may_hold_several_keys(shop: Shop, tmp_path: pathlib.Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"{OTHER.vkey}\n{SIGNER.vkey}\n", encoding="utf-8")
    assert "签名有效" in shop.run("settle", "barber", "--date", DATE, "--vkey", str(keys))


def spoil_bytes(service: FakeSettlement) -> None:
    service.file = service.file.replace(b"t1-0", b"t1-9")


def spoil_totals(service: FakeSettlement) -> None:
    service.batch.net_fen = 176


def spoil_minutes(service: FakeSettlement) -> None:
    service.batch.net_minutes = MINUTES + 1


def spoil_digest(service: FakeSettlement) -> None:
    service.batch.file_sha256 = "0" * 64


def spoil_chain(service: FakeSettlement) -> None:
    service.batch.previous_file_sha256 = "0" * 64


def spoil_all_but_the_signature(service: FakeSettlement) -> None:
    service.file = file_of((15, 20))
    service.batch.file_sha256 = hashlib.sha256(service.file).hexdigest()


@pytest.mark.parametrize(
    "spoil",
    [
        spoil_bytes,
        spoil_totals,
        spoil_minutes,
        spoil_digest,
        spoil_chain,
        spoil_all_but_the_signature,
    ],
)
def test_a_file_that_does_not_check_is_not_given_its_name(
    shop: Shop, tmp_path: pathlib.Path, spoil: Any
) -> None:
    spoil(shop.service)
    path = tmp_path / "file.csv"
    with pytest.raises(TimebankError) as refused:
        shop.run("settle", "barber", "--date", DATE, "--file", str(path))
    assert refused.value.reason is Reason.VALIDATION_FAILED
    assert not path.exists()
    assert path.with_name("file.csv.part").exists()


def test_the_signature_of_another_key_is_refused(shop: Shop) -> None:
    with pytest.raises(TimebankError, match="expected one by a key of --vkey"):
        shop.run("settle", "barber", "--date", DATE, "--vkey", OTHER.vkey)


def test_an_open_batch_has_no_file(shop: Shop) -> None:
    shop.service.batch.state = settlement_pb2.SettlementBatch.STATE_CLOSING
    assert "No file yet 尚无文件" in shop.run("settle", "barber", "--date", DATE)


def test_journal_and_advice_are_compared(shop: Shop, tmp_path: pathlib.Path) -> None:
    journal, advice = tmp_path / "journal.csv", tmp_path / "advice.csv"
    journal.write_text(ROWS, encoding="utf-8")
    advice.write_text("batch,paid_fen,paid_date\n", encoding="utf-8")
    said = shop.run("reconcile", str(journal), "--merchant", "barber", "--advice", str(advice))
    for words in (
        "3 rows, 2 counted",
        "row 3: state",
        "t1-1",
        "│ MATCHED 相符 │ 7 │",
        "│ MISSING_IN_LEDGER 账本缺失 │ 1 │",
        "│ CUTOFF_SHIFT 跨日 │ 1 │",
    ):
        assert words in said
    submitted, paid, listed = shop.service.requests
    assert submitted.content == journal.read_bytes()
    assert (submitted.start_date, submitted.end_date) == ("2026-11-28", DATE)
    assert (listed.start_date, listed.end_date) == ("2026-11-28", DATE)
    assert paid.parent == "ledgers/weihai"


def test_the_period_is_what_was_said_else_what_stands_in_the_journal() -> None:
    assert period_of(ROWS.encode(), "", "") == ("2026-11-28", DATE)
    assert period_of(ROWS.encode(), "2026-11-01", "") == ("2026-11-01", DATE)
    assert period_of(b"\xff", "2026-11-01", DATE) == ("2026-11-01", DATE)
    for content in (b"", b"\xff\xfe", b"business_date\n30/11/2026\n"):
        with pytest.raises(TimebankError) as refused:
            period_of(content, "", "")
        assert refused.value.reason is Reason.VALIDATION_FAILED


def test_a_journal_that_is_too_long_is_refused(shop: Shop, tmp_path: pathlib.Path) -> None:
    journal = tmp_path / "journal.csv"
    journal.write_bytes(bytes(2_000_001))
    with pytest.raises(TimebankError, match="2,000,001"):
        shop.run("reconcile", str(journal), "--merchant", "barber")


def test_without_a_server_it_says_so(tmp_path: pathlib.Path) -> None:
    result = CliRunner().invoke(app, ["merchant", "list", "--server", "127.0.0.1:1"])
    assert isinstance(result.exception, TimebankError)
    assert "no server answers at 127.0.0.1:1" in result.exception.message
