"""The services of members, records, policies, stars and certificates, built and added."""

from ledger.rpc.certificates import CertificateRpcs
from ledger.rpc.hours import HoursRpcs
from ledger.rpc.members import MemberRpcs
from ledger.rpc.policies import PolicyRpcs
from ledger.rpc.stars import StarRpcs
from ledger.usecases.hours import Hours
from ledger.usecases.ledgers import Ledgers
from ledger.usecases.stars import Stars
from ledger.usecases.statements import Statements
from ledger.usecases.vault import Vault
from ledger.usecases.writes import Writes
from timebank.ledger.v1.certificate_service_pb2_grpc import (
    add_CertificateServiceServicer_to_server,
)
from timebank.ledger.v1.hours_service_pb2_grpc import add_HoursServiceServicer_to_server
from timebank.ledger.v1.member_service_pb2_grpc import add_MemberServiceServicer_to_server
from timebank.ledger.v1.policy_service_pb2_grpc import add_PolicyServiceServicer_to_server
from timebank.ledger.v1.star_service_pb2_grpc import add_StarServiceServicer_to_server
from timebank.runtime import Runtime
from timebank.secret_keys import SecretKeys

PACKAGE = "timebank.ledger.v1"


def add_hours(runtime: Runtime, ledgers: Ledgers, writes: Writes) -> Hours:
    """Adds MemberService, HoursService, PolicyService, StarService and CertificateService.

    Raises SIGNER_UNAVAILABLE when the deployment's secret cannot be read or made.
    """
    secret_keys = SecretKeys.open(runtime.config.keys.directory)
    hours = Hours(ledgers, writes, secret_keys)
    vault = Vault(ledgers, secret_keys)
    statements = Statements(ledgers, hours, vault)
    members = MemberRpcs(hours, vault, statements)
    stars = StarRpcs(hours, Stars(ledgers), vault)
    certificates = CertificateRpcs(ledgers, hours, statements)
    records, policies = HoursRpcs(hours), PolicyRpcs(ledgers, hours)
    runtime.add_service(
        f"{PACKAGE}.MemberService", lambda to: add_MemberServiceServicer_to_server(members, to)
    )
    runtime.add_service(
        f"{PACKAGE}.HoursService", lambda to: add_HoursServiceServicer_to_server(records, to)
    )
    runtime.add_service(
        f"{PACKAGE}.PolicyService", lambda to: add_PolicyServiceServicer_to_server(policies, to)
    )
    runtime.add_service(
        f"{PACKAGE}.StarService", lambda to: add_StarServiceServicer_to_server(stars, to)
    )
    runtime.add_service(
        f"{PACKAGE}.CertificateService",
        lambda to: add_CertificateServiceServicer_to_server(certificates, to),
    )
    return hours
