"""Addresses, sockets and credentials of a server.

Owns: where it may listen, and how a busy port and a missing certificate are told. Refuses: any
address beyond loopback without TLS and an identity.
Rules: a port is probed with a plain socket first, so that two servers never share one by accident.
"""

import ipaddress
import socket
import ssl
from pathlib import Path
from typing import NamedTuple

import grpc

from timebank.config import Config
from timebank.errors import Reason, TimebankError

BACKLOG = 1_024
PEM_BYTES_MAX = 1_048_576
KEEPALIVE_MS = 60_000
KEEPALIVE_TIMEOUT_MS = 20_000
PING_INTERVAL_MIN_MS = 30_000
CONCURRENT_STREAMS_MAX = 4_096
METADATA_BYTES_MAX = 16_384
CONNECTION_GRACE_MS = 60_000


class Address(NamedTuple):
    """Host and port to listen on."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Reads `host:port` or `[host]:port`, as the configuration has checked it."""
    host, _, port = text.rpartition(":")
    return Address(host.removeprefix("[").removesuffix("]"), int(port))


def check_exposure(config: Config) -> None:
    """Checks that nobody without an identity can reach the server from another machine.

    Raises: VALIDATION_FAILED.
    """
    identity = config.identity
    encrypted = identity.tls_certificate_file is not None
    identified = identity.mode == "token" or bool(identity.client_ca_file)
    addresses = {
        "grpc_address": config.server.grpc_address,
        "http_address": config.server.http_address,
    }
    for setting, text in addresses.items():
        if parse_address(text).is_loopback:
            continue
        if identity.mode == "development" or not encrypted or not identified:
            raise _refused(
                f"server.{setting}: expected a loopback address, got {text}: other machines reach "
                "it, which takes a TLS certificate (identity.tls_certificate_file) and an identity "
                "(identity.mode = token or identity.client_ca_file); set them, or use 127.0.0.1"
            )


def probe(setting: str, address: Address) -> None:
    """Checks that nobody listens on an address.

    Raises: VALIDATION_FAILED.
    """
    if address.port:
        listen(setting, address).close()


def listen(setting: str, address: Address) -> socket.socket:
    """Opens a listening socket. Raises: VALIDATION_FAILED when the port is busy or not ours."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address.host, address.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise busy(setting, str(address), error.strerror or str(error)) from error
    return listener


def busy(setting: str, address: str, why: str) -> TimebankError:
    """Makes the error for an address that cannot be listened on."""
    return _refused(
        f"server.{setting} {address}: cannot listen ({why}); "
        f"stop what uses the port, or set another: server.{setting} or "
        f"--{setting.replace('_', '-')}"
    )


def server_options(config: Config, *, share_port: bool) -> list[tuple[str, int]]:
    """Gives the transport's options: limits, keepalive for tills behind NAT, connection ages."""
    server = config.server
    return [
        ("grpc.so_reuseport", int(share_port)),
        ("grpc.max_receive_message_length", server.message_bytes_max),
        ("grpc.max_send_message_length", server.message_bytes_max),
        ("grpc.max_metadata_size", METADATA_BYTES_MAX),
        ("grpc.max_concurrent_streams", CONCURRENT_STREAMS_MAX),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MIN_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.max_connection_age_ms", int(server.max_connection_age_seconds * 1_000)),
        ("grpc.max_connection_age_grace_ms", CONNECTION_GRACE_MS),
    ]


def server_credentials(config: Config) -> grpc.ServerCredentials | None:
    """Reads the TLS files; None when there are none.

    With `client_ca_file` every client has to show a certificate of that authority.
    Raises: VALIDATION_FAILED when a file cannot be used.
    """
    identity = config.identity
    if not identity.tls_certificate_file or not identity.tls_key_file:
        return None
    key = _pem("tls_key_file", identity.tls_key_file)
    certificate = _pem("tls_certificate_file", identity.tls_certificate_file)
    authority = None
    if identity.client_ca_file:
        authority = _pem("client_ca_file", identity.client_ca_file)
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.tls_certificate_file, identity.tls_key_file)
        if identity.client_ca_file:
            context.load_verify_locations(identity.client_ca_file)
    except ssl.SSLError as error:
        raise _refused(
            "identity: expected a certificate, the key that fits it, and an authority's "
            f"certificates in {identity.tls_certificate_file}, {identity.tls_key_file} and "
            f"{identity.client_ca_file}, got {error.reason}"
        ) from error
    return grpc.ssl_server_credentials(
        [(key, certificate)],
        root_certificates=authority,
        require_client_auth=authority is not None,
    )


def _pem(setting: str, path: Path) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(PEM_BYTES_MAX)
    except OSError as error:
        raise _refused(f"identity.{setting} {path}: cannot be read ({error.strerror})") from error
    if b"-----BEGIN " not in data:
        raise _refused(f"identity.{setting} {path}: expected PEM, got something else")
    return data


def _refused(message: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, message)
