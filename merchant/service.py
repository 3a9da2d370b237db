"""The merchant service: builds stores, use cases and servicers, and adds them to a runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from merchant.domain.pins import PinTiers, check_tiers
from merchant.ledger_client import Ledger
from merchant.metrics import MerchantMetricFamilies
from merchant.money_client import Money
from merchant.rpc.audited import audit
from merchant.rpc.fund import FundRpcs
from merchant.rpc.merchants import MerchantRpcs
from merchant.rpc.redemptions import RedemptionRpcs
from merchant.rpc.settlements import SettlementRpcs
from merchant.sample_client import load_in_background
from merchant.usecases.audit_trail import AuditTrail
from merchant.usecases.batch_files import SIGNER_LABEL, BatchFiles, settlement_signer
from merchant.usecases.closer import Closer
from merchant.usecases.fund import Fund
from merchant.usecases.merchants import Merchants
from merchant.usecases.pin_hashing import PinHashing
from merchant.usecases.programmes import Programmes
from merchant.usecases.reconciliations import Reconciliations
from merchant.usecases.redemptions import Redemptions
from merchant.usecases.settlement_lists import SettlementLists
from merchant.usecases.settlements import Settlements
from merchant.usecases.sweeper import Sweeper
from merchant.usecases.tills import Tills
from merchant.usecases.vouchers import Vouchers
from merchant.usecases.wallets import Wallets
from timebank.auth import Principal, PrincipalKind
from timebank.channels import TlsFiles, open_channel
from timebank.config import MerchantConfig
from timebank.database import open_databases
from timebank.database.young_tables import watch_young_tables
from timebank.local_channels import LocalChannel
from timebank.merchant.v1.fund_service_pb2_grpc import add_FundServiceServicer_to_server
from timebank.merchant.v1.merchant_service_pb2_grpc import (
    add_MerchantServiceServicer_to_server,
)
from timebank.merchant.v1.redemption_service_pb2_grpc import (
    add_RedemptionServiceServicer_to_server,
)
from timebank.merchant.v1.settlement_service_pb2_grpc import add_SettlementServiceServicer_to_server
from timebank.migrations import prepare
from timebank.runtime import Runtime
from timebank.secret_keys import SecretKeys

PACKAGE = "timebank.merchant.v1"
CALLER = Principal(PrincipalKind.SERVICE, "merchant")
DIGEST_KEY = "merchant payment codes"
CLOSER_SECONDS = 60


async def register(runtime: Runtime) -> None:
    """Adds MerchantService, RedemptionService, SettlementService, FundService and the sweeper.

    Raises DATABASE_UNAVAILABLE or READ_ONLY when the database cannot be opened, SIGNER_UNAVAILABLE
    when the deployment's secret cannot be read or made.
    """
    config = runtime.config
    settings = config.merchant
    databases = open_databases(config.merchant_database)
    runtime.on_drain(databases.close)
    await prepare(databases, ["merchant"], mode=config.merchant_database.migrate)
    secret_keys = SecretKeys.open(config.keys.directory)
    metrics = MerchantMetricFamilies(runtime.registry)
    programmes = Programmes(
        databases,
        clock=runtime.clock,
        random_bytes=runtime.random_bytes,
        ledger_of=_ledgers(runtime, settings),
        spawn=runtime.spawn,
        metrics=metrics,
    )
    runtime.on_drain(programmes.close)
    tills = Tills(programmes, key=secret_keys.key(DIGEST_KEY))
    pin_hashing = PinHashing()
    runtime.on_drain(pin_hashing.close)
    wallets = Wallets(
        programmes,
        key=secret_keys.key(DIGEST_KEY),
        random_bytes=runtime.random_bytes,
        pin_hashing=pin_hashing,
    )
    redemptions = Redemptions(programmes)
    vouchers = Vouchers(programmes, redemptions, key=secret_keys.key(DIGEST_KEY))
    merchants = MerchantRpcs(merchants=Merchants(programmes), tills=tills)
    trail = AuditTrail(runtime.logger, wallets, metrics)
    audit(merchants, trail)
    runtime.add_service(
        f"{PACKAGE}.MerchantService",
        lambda to: add_MerchantServiceServicer_to_server(merchants, to),
    )
    rpcs = RedemptionRpcs(programmes, redemptions, wallets, vouchers, tills, tiers_of(settings))
    audit(rpcs, trail)
    runtime.add_service(
        f"{PACKAGE}.RedemptionService",
        lambda to: add_RedemptionServiceServicer_to_server(rpcs, to),
    )
    _add_money(runtime, programmes, secret_keys)
    sweeper = Sweeper(programmes, redemptions, interval_s=settings.sweeper_seconds)
    runtime.spawn("merchant sweeper", sweeper.run())
    runtime.spawn("merchant statistics", watch_young_tables(databases))


def _add_money(runtime: Runtime, programmes: Programmes, secret_keys: SecretKeys) -> None:
    """Adds SettlementService, FundService and what closes business days."""
    money = Money()
    signer = settlement_signer(secret_keys.key(SIGNER_LABEL))
    runtime.http_routes.append(_key_route(signer.vkey))
    files = BatchFiles(programmes, signer)
    settlements, fund = Settlements(programmes, money, files), Fund(programmes, money)
    lists = SettlementLists(programmes, money)
    rpcs = SettlementRpcs(programmes, settlements, files, Reconciliations(programmes), lists)
    fund_rpcs = FundRpcs(programmes, fund)
    runtime.add_service(
        f"{PACKAGE}.SettlementService",
        lambda to: add_SettlementServiceServicer_to_server(rpcs, to),
    )
    runtime.add_service(
        f"{PACKAGE}.FundService", lambda to: add_FundServiceServicer_to_server(fund_rpcs, to)
    )
    closer = Closer(programmes, settlements, fund, interval_s=CLOSER_SECONDS)
    runtime.spawn("merchant closer", closer.run())


async def ready_text(runtime: Runtime) -> str:
    """Has the sample city's shops opened when the configuration wants the city."""
    if runtime.config.ledger.sample_city:
        runtime.spawn("sample shops", load_in_background(runtime))
    return ""


def _key_route(vkey: str) -> Route:
    """Publishes the key by which settlement files are verified."""

    async def answer(_: HttpRequest) -> PlainTextResponse:
        return PlainTextResponse(f"{vkey}\n")

    return Route("/settlement.vkey", answer)


def tiers_of(settings: MerchantConfig) -> PinTiers:
    """Gives the tiers above which a PIN is asked for. Raises VALIDATION_FAILED."""
    tiers = PinTiers(
        settings.day_points_a,
        settings.day_points_b,
        settings.day_points_c,
        settings.day_points_d,
        settings.payment_points_without_pin,
    )
    check_tiers(tiers)
    return tiers


def _ledgers(runtime: Runtime, settings: MerchantConfig) -> Callable[[str], Ledger]:
    """Gives what makes the client of a ledger: in this process, or at its address."""
    if not settings.ledger_address:
        local = LocalChannel(runtime.interceptors, CALLER)
        return lambda ledger_id: Ledger(ledger_id, local, None)
    tls = None
    if settings.ledger_ca_file is not None:
        tls = TlsFiles(
            settings.ledger_ca_file, settings.ledger_key_file, settings.ledger_certificate_file
        )
    channel: Any = open_channel(settings.ledger_address, tls=tls)
    runtime.on_drain(channel.close)
    token_file = settings.ledger_token_file
    token = None
    if token_file is not None:
        path = token_file
        token = lambda: path.read_text(encoding="utf-8").strip()  # noqa: E731  # read again for each call
    return lambda ledger_id: Ledger(ledger_id, channel, token)
