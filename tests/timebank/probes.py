"""Handlers of the tests' own, wrapped and served in the test's event loop.

Owns: a server with nothing but the interceptors around the handlers given, a logger that keeps its
lines, and principals by word.
"""

import io
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.wrappers_pb2 import StringValue
from prometheus_client import CollectorRegistry

from timebank.auth import Permission, Principal, PrincipalKind
from timebank.identity import Authenticator
from timebank.interceptors import Interceptors
from timebank.runtime import Methods
from timebank.telemetry import RpcMetrics, open_logger

SERVICE = "test.Probe"
ANYBODY = Permission(public=True)
TILLS = Permission(frozenset({PrincipalKind.TERMINAL}))
TILL = Principal(PrincipalKind.TERMINAL, "till-1")
MEMBER = Principal(PrincipalKind.MEMBER, "zhang")
MATCHING = Principal(PrincipalKind.SERVICE, "matching")


class Words(Authenticator):
    """Takes `Bearer <word>` for the principal of that word; no token, no identity."""

    def __init__(self) -> None:
        super().__init__(tokens=None, trust_domain="", development=False)
        self.principals = {"till": TILL, "member": MEMBER, "matching": MATCHING}

    def principal(self, authorization: str | None, auth_context: Any = None) -> Principal | None:
        """Looks the word up."""
        if authorization is None:
            return None
        return self.principals.get(authorization.removeprefix("Bearer ")) or super().principal(
            authorization
        )


@dataclass
class Probe:
    """A served set of handlers, and what can be seen of it from outside."""

    interceptors: Interceptors
    registry: CollectorRegistry
    channel: grpc.aio.Channel
    target: str
    stream: io.StringIO

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines logged so far."""
        return [json.loads(line) for line in self.stream.getvalue().splitlines()]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """The lines of one event."""
        return [line for line in self.log if line["event"] == event]

    def counted(self, method: str, code: str) -> float:
        """How many calls of a method ended with a code."""
        labels = {"service": SERVICE, "method": method, "code": code}
        return self.registry.get_sample_value("timebank_rpc_total", labels) or 0.0

    def call(self, method: str) -> Any:
        """What calls a method with one answer."""
        return self.channel.unary_unary(
            f"/{SERVICE}/{method}", StringValue.SerializeToString, StringValue.FromString
        )

    def raw(self, method: str) -> Any:
        """What calls a method with bytes and gets bytes."""
        return self.channel.unary_unary(f"/{SERVICE}/{method}")

    def stream_of(self, method: str) -> Any:
        """What calls a method with many answers."""
        return self.channel.unary_stream(
            f"/{SERVICE}/{method}", StringValue.SerializeToString, StringValue.FromString
        )


def unary(behaviour: Callable[..., Any]) -> Any:
    """A handler with one answer."""
    return grpc.unary_unary_rpc_method_handler(
        behaviour, StringValue.FromString, StringValue.SerializeToString
    )


def streaming(behaviour: Callable[..., Any]) -> Any:
    """A handler with many answers."""
    return grpc.unary_stream_rpc_method_handler(
        behaviour, StringValue.FromString, StringValue.SerializeToString
    )


@asynccontextmanager
async def serving(
    handlers: Mapping[str, tuple[Any, Permission]],
    *,
    deadline_default_s: float = 10.0,
    deadline_max_s: float = 60.0,
    credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[Probe]:
    """Serves handlers by method name, with the permission of each."""
    stream = io.StringIO()
    registry = CollectorRegistry()
    interceptors = Interceptors(
        authenticator=Words(),
        metrics=RpcMetrics(registry),
        logger=open_logger(stream, level="info", format="json"),
        deadline_default_s=deadline_default_s,
        deadline_max_s=deadline_max_s,
    )
    methods = Methods()
    for name, (handler, permission) in handlers.items():
        path = f"/{SERVICE}/{name}"
        methods.handlers[path] = interceptors.wrap(path, handler, permission)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((methods,))
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    await server.start()
    target = f"127.0.0.1:{port}"
    async with grpc.aio.insecure_channel(target) as channel:
        yield Probe(interceptors, registry, channel, target, stream)
    await server.stop(None)
