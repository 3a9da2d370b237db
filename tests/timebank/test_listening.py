"""Where a server may listen, whom it lets in from where, and how a busy port is told."""

import pathlib

import grpc
import grpc.aio
import pytest
import structlog

from tests.timebank.certificates import Authority
from tests.timebank.log_server import Logs, configured, log_stub, started
from timebank.channels import TlsFiles, open_channel
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import log_service_pb2
from timebank.server import open_server
from timebank.server.listening import Address, check_exposure, listen, parse_address


def refused_config(folder: pathlib.Path, **changes: object) -> str:
    with pytest.raises(TimebankError) as caught:
        check_exposure(configured(folder, **changes))
    assert caught.value.reason is Reason.VALIDATION_FAILED
    return caught.value.message


@pytest.mark.parametrize("setting", ["grpc_address", "http_address"])
@pytest.mark.parametrize("mode", ["none", "development"])
@pytest.mark.parametrize("address", ["0.0.0.0:50051", "192.0.2.1:50051", "[::]:50051"])
def test_nobody_without_identity_is_let_in_from_another_machine(
    tmp_path: pathlib.Path, setting: str, mode: str, address: str
) -> None:
    changes = {"identity_mode": mode, f"server_{setting}": address}
    assert f"server.{setting}" in refused_config(tmp_path, **changes)


def test_other_machines_are_let_in_over_tls_with_an_identity_only(tmp_path: pathlib.Path) -> None:
    files = {"identity_tls_certificate_file": "cert.pem", "identity_tls_key_file": "key.pem"}
    tokens = {
        "identity_mode": "token",
        "identity_jwks_file": "jwks.json",
        "identity_issuer": "i",
        "identity_audience": "a",
    }
    certificates = {
        "identity_mode": "none",
        "identity_client_ca_file": "ca.pem",
        "identity_trust_domain": "city.example",
    }
    anywhere = {"server_grpc_address": "0.0.0.0:1", "server_http_address": "0.0.0.0:2"}
    check_exposure(configured(tmp_path, **anywhere, **files, **tokens))
    check_exposure(configured(tmp_path, **anywhere, **files, **certificates))
    refused_config(tmp_path, **anywhere, **tokens)
    refused_config(tmp_path, **anywhere, **files)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.8.8.8:1", "localhost:1", "[::1]:1"])
def test_loopback_needs_no_identity(tmp_path: pathlib.Path, address: str) -> None:
    assert parse_address(address).is_loopback
    check_exposure(configured(tmp_path, identity_mode="none", server_grpc_address=address))


def test_an_address_is_written_as_it_is_read() -> None:
    for text in ("127.0.0.1:50051", "[::1]:50051", "example.org:443"):
        assert str(parse_address(text)) == text


@pytest.mark.parametrize("setting", ["grpc_address", "http_address"])
async def test_a_busy_port_is_told_in_one_line(tmp_path: pathlib.Path, setting: str) -> None:
    with listen(setting, Address("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        config = configured(tmp_path, **{f"server_{setting}": address})
        with pytest.raises(TimebankError) as caught:
            await open_server(config, [Logs().register], logger=structlog.get_logger("test"))
    assert caught.value.message.startswith(f"server.{setting} {address}: cannot listen")
    assert "\n" not in caught.value.message


async def test_two_servers_never_share_a_port_by_accident(tmp_path: pathlib.Path) -> None:
    async with started(configured(tmp_path), Logs()) as process:
        config = configured(tmp_path, server_grpc_address=f"127.0.0.1:{process.grpc_port}")
        with pytest.raises(TimebankError, match="cannot listen"):
            await open_server(config, [Logs().register], logger=structlog.get_logger("test"))


async def test_a_client_certificate_says_who_calls(tmp_path: pathlib.Path) -> None:
    authority = Authority(tmp_path)
    server, client = authority.server(), authority.client("spiffe://city.example/auditor/wang")
    config = configured(
        tmp_path,
        identity_mode="none",
        identity_tls_certificate_file=str(server.certificate_file),
        identity_tls_key_file=str(server.key_file),
        identity_client_ca_file=str(authority.file),
        identity_trust_domain="city.example",
    )
    async with started(config, Logs()) as process:
        address = f"127.0.0.1:{process.grpc_port}"
        tls = TlsFiles(authority.file, client.certificate_file, client.key_file)
        async with open_channel(address, tls=tls) as channel:
            request = log_service_pb2.GetCheckpointRequest()
            answer = await log_stub(channel).GetCheckpoint(request)
            assert answer.note == "auditor/wang"
        async with open_channel(address, tls=TlsFiles(authority.file)) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await log_stub(channel).GetCheckpoint(request, timeout=2)
            assert caught.value.code() is not grpc.StatusCode.OK


async def test_an_unusable_tls_file_is_named(tmp_path: pathlib.Path) -> None:
    (tmp_path / "cert.pem").write_text("not PEM", encoding="utf-8")
    (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----", encoding="utf-8")
    config = configured(
        tmp_path,
        server_http_address="127.0.0.1:0",
        identity_tls_certificate_file=str(tmp_path / "cert.pem"),
        identity_tls_key_file=str(tmp_path / "key.pem"),
    )
    with pytest.raises(TimebankError, match=r"tls_certificate_file .*expected PEM"):
        await open_server(config, [Logs().register], logger=structlog.get_logger("test"))


async def test_a_key_that_does_not_fit_its_certificate_is_told(tmp_path: pathlib.Path) -> None:
    (tmp_path / "other").mkdir()
    pair, other = Authority(tmp_path).server(), Authority(tmp_path / "other").server()
    config = configured(
        tmp_path,
        identity_tls_certificate_file=str(pair.certificate_file),
        identity_tls_key_file=str(other.key_file),
    )
    with pytest.raises(TimebankError, match="the key that fits it"):
        await open_server(config, [Logs().register], logger=structlog.get_logger("test"))
