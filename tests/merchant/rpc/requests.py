"""The methods of the merchant service's four services, out of their descriptors."""

from typing import Any

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from timebank.auth import PrincipalKind
from timebank.merchant.v1 import (
    fund_service_pb2,
    merchant_service_pb2,
    redemption_service_pb2,
    settlement_service_pb2,
)
from timebank.merchant.v1.fund_service_pb2_grpc import FundServiceStub
from timebank.merchant.v1.merchant_service_pb2_grpc import MerchantServiceStub
from timebank.merchant.v1.redemption_service_pb2_grpc import RedemptionServiceStub
from timebank.merchant.v1.settlement_service_pb2_grpc import SettlementServiceStub
from timebank.options.v1 import options_pb2

SERVICES: dict[str, tuple[Any, Any]] = {
    "MerchantService": (merchant_service_pb2, MerchantServiceStub),
    "RedemptionService": (redemption_service_pb2, RedemptionServiceStub),
    "SettlementService": (settlement_service_pb2, SettlementServiceStub),
    "FundService": (fund_service_pb2, FundServiceStub),
}
METHODS: dict[str, MethodDescriptor] = {
    method.name: method
    for service, (module, _) in SERVICES.items()
    for method in module.DESCRIPTOR.services_by_name[service].methods
}
"""Every method by its name; no two services share one."""


def request_class(method: str) -> Any:
    """The class of a method's requests."""
    return getattr(_service(method)[0], f"{method}Request")


def stub_of(method: str, channel: Any) -> Any:
    """What calls a method on a channel."""
    return getattr(_service(method)[1](channel), method)


def _service(method: str) -> tuple[Any, Any]:
    return SERVICES[METHODS[method].containing_service.name]


def allowed(method: str) -> frozenset[PrincipalKind]:
    """The kinds of callers that a method lets in; none when it is public."""
    permission = METHODS[method].GetOptions().Extensions[options_pb2.permission]
    names = (options_pb2.PrincipalKind.Name(kind) for kind in permission.allow)
    return frozenset(PrincipalKind[name.removeprefix("PRINCIPAL_KIND_")] for name in names)


def is_public(method: str) -> bool:
    """Says whether anybody may call a method."""
    return bool(METHODS[method].GetOptions().Extensions[options_pb2.permission].public)


def fields_of(message: Descriptor, prefix: str = "") -> list[tuple[str, FieldDescriptor]]:
    """The fields that a caller may fill in, by path; those of a message within follow it."""
    found = []
    for field in message.fields:
        if field_behavior_pb2.OUTPUT_ONLY in _behaviour_of(field):
            continue
        found.append((f"{prefix}{field.name}", field))
        inner = field.message_type
        if inner is not None and inner.full_name.startswith("timebank.") and not prefix:
            found += fields_of(inner, f"{field.name}.")
    return found


def is_required(field: FieldDescriptor) -> bool:
    """Says whether the contract asks for a field."""
    return field_behavior_pb2.REQUIRED in _behaviour_of(field)


def _behaviour_of(field: FieldDescriptor) -> frozenset[int]:
    extension: Any = field_behavior_pb2.field_behavior
    return frozenset(field.GetOptions().Extensions[extension])
