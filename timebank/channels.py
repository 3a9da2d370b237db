"""Client channels: to a server over the network, and to a service of the same process.

Owns: the retry policy that clients publish, keepalive, limits and credentials of a channel.
Refuses: retrying anything but UNAVAILABLE.
Rules: the options are the same for every caller, so that a till behind NAT and a service behave
alike.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import grpc
import grpc.aio

from timebank.errors import Reason, TimebankError

ATTEMPTS_MAX = 4
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
KEEPALIVE_MS = 45_000
"""Less than a NAT forgets after, more than the 30 s that the server demands between pings."""
KEEPALIVE_TIMEOUT_MS = 10_000
RECONNECT_MIN_MS = 100
RECONNECT_MAX_MS = 5_000
PEM_BYTES_MAX = 1_048_576
Option: TypeAlias = tuple[str, Any]

SERVICE_CONFIG: dict[str, Any] = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": ATTEMPTS_MAX,
                "initialBackoff": "0.1s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1},
}
"""gRPC service config; retries are safe because every mutation carries a request id."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Files of a client's TLS, PEM all: who is trusted (None: the system's authorities), and the
    certificate that says who the client is.
    """

    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None


def open_channel(
    address: str, *, tls: TlsFiles | None = None, message_bytes_max: int = MESSAGE_BYTES_MAX
) -> grpc.aio.Channel:
    """Opens a channel to `host:port`, in plain text unless `tls` is given; the caller closes it.

    Raises: VALIDATION_FAILED when a TLS file cannot be read.
    """
    options = channel_options(message_bytes_max=message_bytes_max)
    if tls is None:
        return grpc.aio.insecure_channel(address, options=options)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=_pem(tls.ca_file),
        private_key=_pem(tls.key_file),
        certificate_chain=_pem(tls.certificate_file),
    )
    return grpc.aio.secure_channel(address, credentials, options=options)


def call_metadata(
    *, token: str | None = None, actor: str | None = None, language: str | None = None
) -> tuple[tuple[str, str], ...]:
    """Gives the metadata of a call: a bearer token, the end user it is for, the caller's
    language.
    """
    pairs = [
        ("authorization", None if token is None else f"Bearer {token}"),
        ("timebank-actor", actor),
        ("accept-language", language),
    ]
    return tuple((key, value) for key, value in pairs if value is not None)


def channel_options(*, message_bytes_max: int = MESSAGE_BYTES_MAX) -> list[Option]:
    """Gives the options of every client channel."""
    return [
        ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
        ("grpc.enable_retries", 1),
        ("grpc.per_rpc_retry_buffer_size", message_bytes_max),
        ("grpc.keepalive_time_ms", KEEPALIVE_MS),
        ("grpc.keepalive_timeout_ms", KEEPALIVE_TIMEOUT_MS),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", RECONNECT_MIN_MS),
        ("grpc.max_reconnect_backoff_ms", RECONNECT_MAX_MS),
        ("grpc.max_receive_message_length", message_bytes_max),
        ("grpc.max_send_message_length", message_bytes_max),
    ]


def _pem(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return file.read(PEM_BYTES_MAX)
    except OSError as error:
        raise TimebankError(
            Reason.VALIDATION_FAILED, f"TLS file {path}: cannot be read ({error.strerror})"
        ) from error
