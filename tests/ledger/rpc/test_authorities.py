"""By which way a movement may come: what a posting can never be, and who may open balances."""

import pytest

from tests.support.commands import ISSUANCE, OPENING, POINTS, POOL, TIME, new_id, post
from tests.support.ledgers import SERVICE_CALLER, LedgerWorld, refused
from timebank.errors import Reason
from timebank.ledger.v1 import entry_pb2, ledger_service_pb2

IMPORT = entry_pb2.ENTRY_KIND_IMPORT
NEVER_POSTED = (
    entry_pb2.ENTRY_KIND_RECORD_POSTED,
    entry_pb2.ENTRY_KIND_RECORD_CORRECTED,
    entry_pb2.ENTRY_KIND_LOT_EXPIRED,
    entry_pb2.ENTRY_KIND_REVERSAL,
    entry_pb2.ENTRY_KIND_REFUND,
)


async def test_records_corrections_and_expiries_are_never_posted(world: LedgerWorld) -> None:
    member = await world.open(balance=5)
    for kind in NEVER_POSTED:
        for source, target in (
            (world.system[ISSUANCE, POINTS], member),
            (member, world.system[ISSUANCE, POINTS]),
        ):
            movement = post(kind, source, target, 1)
            assert await refused(world.post(movement)) is Reason.MOVEMENT_NOT_ALLOWED
            [result] = (await world.batch([[movement]])).results
            assert "MOVEMENT_NOT_ALLOWED" in str(result.error.details)
    assert (await world.balance(member)).posted == 5


@pytest.mark.parametrize("kind", [OPENING, IMPORT])
async def test_only_an_operator_opens_balances_and_only_until_the_opening_closes(
    world: LedgerWorld, kind: int
) -> None:
    member = await world.open(unit=TIME, balance=10)
    source = world.system[ISSUANCE, TIME] if kind == OPENING else world.system[POOL, TIME]
    await world.grant(world.system[POOL, TIME], 9, TIME)
    movement = post(kind, source, member, 1, TIME)
    service = world.calls_as(SERVICE_CALLER)
    request = world.post_request(movement)
    assert await refused(service.PostEntry(request)) is Reason.MOVEMENT_NOT_ALLOWED
    await world.post(movement)
    closing = ledger_service_pb2.CloseOpeningRequest(name=world.name, request_id=new_id())
    assert (await world.stub.CloseOpening(closing)).opening_closed
    size = await world.size()
    assert await refused(world.post(movement)) is Reason.OPENING_CLOSED
    assert (await world.stub.CloseOpening(closing)).opening_closed
    assert await world.size() == size
    assert (await world.balance(member)).posted == 11
