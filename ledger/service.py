"""The ledger as a service: builds stores, use cases and servicers, and adds them to a runtime."""

import grpc.aio

from ledger.batch import BatchLimits
from ledger.holidays import load_holidays
from ledger.metrics import LedgerMetricFamilies
from ledger.rpc.ledger import LedgerRpcs
from ledger.rpc.log import LogRpcs
from ledger.rpc.tiles import tile_routes
from ledger.sample.loading import load_in_background
from ledger.service_hours import add_hours
from ledger.service_ready import paste_text
from ledger.usecases.accounts import Accounts
from ledger.usecases.balances import Balances
from ledger.usecases.entries import Entries
from ledger.usecases.ledgers import Ledgers, World
from ledger.usecases.proofs import Proofs
from ledger.usecases.sweeper import Sweeper
from ledger.usecases.writes import Writes
from timebank.database import open_databases
from timebank.database.young_tables import watch_young_tables
from timebank.ledger.v1.ledger_service_pb2_grpc import add_LedgerServiceServicer_to_server
from timebank.ledger.v1.log_service_pb2_grpc import add_LogServiceServicer_to_server
from timebank.migrations import prepare
from timebank.runtime import Runtime

LEDGER_SERVICE = "timebank.ledger.v1.LedgerService"
LOG_SERVICE = "timebank.ledger.v1.LogService"


async def register(runtime: Runtime) -> None:
    """Adds LedgerService, LogService, the tile routes and the sweeper.

    Raises DATABASE_UNAVAILABLE or READ_ONLY when the database cannot be opened,
    SIGNING_KEY_MISSING or SIGNER_UNAVAILABLE when the key of one of its ledgers cannot be used.
    """
    settings = runtime.config.ledger
    databases = open_databases(runtime.config.database)
    runtime.on_drain(databases.close)
    await prepare(databases, ["ledger"], mode=runtime.config.database.migrate)
    world = World(
        databases=databases,
        clock=runtime.clock,
        random_bytes=runtime.random_bytes,
        keyring=runtime.keyring,
        limits=BatchLimits(
            queue_items_max=settings.queue_items_max,
            batch_items_max=settings.batch_items_max,
            batch_postings_max=settings.batch_postings_max,
            clock_skew_seconds=settings.clock_skew_seconds,
            accounts_cached_max=settings.accounts_cached_max,
            holidays=load_holidays(settings.holidays_directory),
        ),
        metrics=LedgerMetricFamilies(runtime.registry),
    )
    ledgers = Ledgers(world, failed=runtime.failed)
    runtime.on_drain(ledgers.close)
    await ledgers.check_keys()
    proofs = Proofs(ledgers)
    entries = Entries(ledgers)
    rpcs = LedgerRpcs()
    rpcs.ledgers = ledgers
    rpcs.writes = Writes(ledgers)
    add_hours(runtime, ledgers, rpcs.writes)
    rpcs.proofs = proofs
    rpcs.accounts = Accounts(ledgers)
    rpcs.balances = Balances(ledgers)
    rpcs.entries = entries
    rpcs.clock = runtime.clock

    def add_ledger_service(server: grpc.aio.Server) -> None:
        add_LedgerServiceServicer_to_server(rpcs, server)

    def add_log_service(server: grpc.aio.Server) -> None:
        add_LogServiceServicer_to_server(LogRpcs(proofs, entries), server)

    runtime.add_service(LEDGER_SERVICE, add_ledger_service)
    runtime.add_service(LOG_SERVICE, add_log_service)
    audit = runtime.logger.bind(logger="audit")
    runtime.http_routes.extend(tile_routes(proofs, runtime.authenticate_http, audit))
    sweeper = Sweeper(ledgers, interval_s=settings.sweeper_seconds)
    runtime.spawn("ledger sweeper", sweeper.run())
    runtime.spawn("ledger statistics", watch_young_tables(databases))


async def ready_text(runtime: Runtime) -> str:
    """Says what a developer may try, once the server is ready; has the sample city loaded when the
    configuration wants it.
    """
    if runtime.config.ledger.sample_city:
        runtime.spawn("sample city", load_in_background(runtime))
    return await paste_text(runtime)
