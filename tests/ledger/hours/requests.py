"""Requests of every rpc of members, records, policies, stars and certificates, as messages that a
test damages before it sends them.
"""

from typing import Any

from google.protobuf.message import Message

from tests.ledger.hours.refusals import VALID, Scene
from tests.support.commands import new_id
from tests.support.hours import OPERATOR
from tests.support.messages import replace_field
from timebank.auth import Principal
from timebank.ledger.v1 import (
    certificate_service_pb2,
    hours_service_pb2,
    member_service_pb2,
    policy_service_pb2,
    star_service_pb2,
)
from timebank.ledger.v1.certificate_service_pb2_grpc import CertificateServiceStub
from timebank.ledger.v1.hours_service_pb2_grpc import HoursServiceStub
from timebank.ledger.v1.member_service_pb2_grpc import MemberServiceStub
from timebank.ledger.v1.policy_service_pb2_grpc import PolicyServiceStub
from timebank.ledger.v1.star_service_pb2_grpc import StarServiceStub
from timebank.local_channels import LocalChannel

SERVICES: dict[str, tuple[Any, Any]] = {
    "MemberService": (member_service_pb2, MemberServiceStub),
    "HoursService": (hours_service_pb2, HoursServiceStub),
    "PolicyService": (policy_service_pb2, PolicyServiceStub),
    "StarService": (star_service_pb2, StarServiceStub),
    "CertificateService": (certificate_service_pb2, CertificateServiceStub),
}
SERVICE_OF = {
    method.name: service
    for service, (module, _) in SERVICES.items()
    for method in module.DESCRIPTOR.services_by_name[service].methods
}


def request_class(method: str) -> Any:
    """The class of a method's requests."""
    return getattr(SERVICES[SERVICE_OF[method]][0], f"{method}Request")


def request_of(scene: Scene, method: str) -> Message:
    """A request that would succeed."""
    kind = request_class(method)
    values = VALID[method](scene)
    if "request_id" in kind.DESCRIPTOR.fields_by_name:
        values["request_id"] = new_id()
    request: Message = kind(**values)
    return request


def damaged(scene: Scene, method: str, path: str, value: object) -> Message:
    """A request with one field replaced, as `replace_field` does it."""
    request = request_of(scene, method)
    replace_field(request, path, value)
    return request


async def send(
    scene: Scene, method: str, request: Message, caller: Principal = OPERATOR
) -> Message:
    """Sends a request."""
    stub_class = SERVICES[SERVICE_OF[method]][1]
    channel = LocalChannel(scene.city.world.process.runtime.interceptors, caller)
    answer: Message = await getattr(stub_class(channel), method)(request)
    return answer
