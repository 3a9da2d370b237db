"""Requests of every rpc of members, records, policies, stars and certificates, as messages that a
test damages before it sends them.
"""

from typing import Any

from google.protobuf.message import Message

from tests.ledger.hours.refusals import VALID, Scene
from tests.support.commands import new_id
from tests.support.hours import OPERATOR
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
    """A request with one field replaced, by a path such as `record.place`; a list replaces a list,
    and of a batch it is the field of its first item.
    """
    request: Any = request_of(scene, method)
    *outer, last = path.split(".")
    message = request
    for name in outer:
        message = getattr(message, name)
        message = message[0] if isinstance(message, list) or hasattr(message, "add") else message
    if isinstance(value, list):
        del getattr(message, last)[:]
        getattr(message, last).extend(value)
    elif isinstance(value, Message):
        getattr(message, last).CopyFrom(value)
    else:
        setattr(message, last, value)
    found: Message = request
    return found


async def send(
    scene: Scene, method: str, request: Message, caller: Principal = OPERATOR
) -> Message:
    """Sends a request."""
    stub_class = SERVICES[SERVICE_OF[method]][1]
    channel = LocalChannel(scene.city.world.process.runtime.interceptors, caller)
    answer: Message = await getattr(stub_class(channel), method)(request)
    return answer
