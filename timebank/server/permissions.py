"""Permissions as the contract declares them.

Owns: reading the method option of every method of a service. Refuses: a method of ours without one.
"""

from google.protobuf import descriptor_pool

from timebank.auth import Permission, PrincipalKind
from timebank.errors import Reason, TimebankError
from timebank.options.v1 import options_pb2

INFRASTRUCTURE = "grpc."
"""Health and reflection: their contract is not ours, and they tell nothing about anybody."""
_PREFIX = "PRINCIPAL_KIND_"


def build_permissions(service: str) -> dict[str, Permission]:
    """Gives the permission of every method of a service, by method name.

    `service` is a full name such as `timebank.ledger.v1.LedgerService`; its generated module must
    have been imported. Raises: VALIDATION_FAILED when a method allows nobody, or is both public and
    limited.
    """
    methods = descriptor_pool.Default().FindServiceByName(service).methods
    if service.startswith(INFRASTRUCTURE):
        return {method.name: Permission(public=True) for method in methods}
    found = {}
    for method in methods:
        option = method.GetOptions().Extensions[options_pb2.permission]
        kinds = frozenset(
            PrincipalKind[options_pb2.PrincipalKind.Name(kind).removeprefix(_PREFIX)]
            for kind in option.allow
        )
        if bool(kinds) == option.public:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"method {service}/{method.name}: expected the option "
                "(timebank.options.v1.permission) with either `allow` or `public`; declare it",
            )
        found[method.name] = Permission(kinds, option.public, option.discloses)
    return found
