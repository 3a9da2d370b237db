"""Health and reflection: what every gRPC server answers about itself.

Owns: the health of each service and of "", and reflection under both names of its contract.
Refuses: telling more than the contract.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2

from timebank.runtime import Runtime

HEALTH = "grpc.health.v1.Health"
REFLECTION_ALPHA = "grpc.reflection.v1alpha.ServerReflection"
REFLECTION = "grpc.reflection.v1.ServerReflection"
REFLECTION_FILE = "grpc/reflection/v1/reflection.proto"
INFRASTRUCTURE = (HEALTH, REFLECTION_ALPHA, REFLECTION)

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Status: TypeAlias = int


class Health(health_pb2_grpc.HealthServicer):
    """Tells which services serve: none before `serve()` and after `stop()`, all in between."""

    def __init__(self) -> None:
        self._statuses: dict[str, Status] = {}
        self._changed = asyncio.Event()

    @property
    def serving(self) -> bool:
        """True while every service serves."""
        return self._statuses.get("") == health_pb2.HealthCheckResponse.SERVING

    def announce(self, services: Iterable[str]) -> None:
        """Names the services; they are NOT_SERVING until told otherwise."""
        self._set(health_pb2.HealthCheckResponse.NOT_SERVING, ("", *services))

    def serve(self) -> None:
        """Makes every service SERVING."""
        self._set(health_pb2.HealthCheckResponse.SERVING, self._statuses)

    def stop(self) -> None:
        """Makes every service NOT_SERVING."""
        self._set(health_pb2.HealthCheckResponse.NOT_SERVING, self._statuses)

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Answers the health of one service; NOT_FOUND for an unknown one, as the contract says."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"no service {request.service[:200]!r}")
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Answers the health of one service now and whenever it changes."""
        last = None
        while True:
            changed = self._changed
            unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            status = self._statuses.get(request.service, unknown)
            if status != last:
                last = status
                yield health_pb2.HealthCheckResponse(status=status)
            await changed.wait()

    async def List(self, request: Any, context: Context) -> Any:
        """Answers the health of every service."""
        response = health_pb2.HealthListResponse()  # type: ignore[attr-defined]  # stub is older
        for service, status in self._statuses.items():
            response.statuses[service].status = status
        return response

    def _set(self, status: Status, services: Iterable[str]) -> None:
        self._statuses = dict.fromkeys(services, status)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


def add_infrastructure(runtime: Runtime) -> Health:
    """Adds health and reflection for the services added so far; none serves yet."""
    names = [*runtime.services, *INFRASTRUCTURE]
    health = Health()
    health.announce(names)
    describe_reflection()
    reflecting = reflection.aio.ReflectionServicer(names)
    handler = grpc.stream_stream_rpc_method_handler(
        reflecting.ServerReflectionInfo,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )

    runtime.add_service(
        HEALTH, lambda server: health_pb2_grpc.add_HealthServicer_to_server(health, server)
    )
    for service in (REFLECTION_ALPHA, REFLECTION):
        runtime.add_methods(service, {"ServerReflectionInfo": handler})
    return health


def describe_reflection() -> None:
    """Puts the contract of reflection v1 into the pool: v1alpha's under its new name.

    The messages are the same on the wire; only v1alpha's contract is shipped.
    """
    renamed = descriptor_pb2.FileDescriptorProto()
    reflection_pb2.DESCRIPTOR.CopyToProto(renamed)
    renamed.name = REFLECTION_FILE
    renamed.package = "grpc.reflection.v1"
    for message in renamed.message_type:
        for field in message.field:
            if field.HasField("type_name"):
                field.type_name = field.type_name.replace(".v1alpha.", ".v1.")
    for method in renamed.service[0].method:
        method.input_type = method.input_type.replace(".v1alpha.", ".v1.")
        method.output_type = method.output_type.replace(".v1alpha.", ".v1.")
    descriptor_pool.Default().AddSerializedFile(renamed.SerializeToString())
