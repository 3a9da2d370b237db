"""What surrounds a call: deadlines, large messages, a signer that is away, and who acts."""

import pytest

import ledger.usecases.ledgers
from tests.support.commands import MERCHANT, REDEMPTION, new_id, post
from tests.support.ledgers import SERVICE_CALLER, LedgerWorld, refused
from timebank.errors import Reason, TimebankError
from timebank.ledger.v1 import ledger_service_pb2
from timebank.tlog.checkpoint import open_checkpoint


def signer_is_away(*_: object) -> str:
    raise TimebankError(Reason.SIGNER_UNAVAILABLE, "the signer does not answer")


async def test_a_commit_whose_signature_failed_stands_and_the_retry_replays_it(
    world: LedgerWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    alice, shop = await world.open(balance=9), await world.open(kind=MERCHANT)
    spend, request_id = post(REDEMPTION, alice, shop, 2), new_id()
    size = await world.size()
    with monkeypatch.context() as away:
        away.setattr(ledger.usecases.ledgers, "sign_checkpoint", signer_is_away)
        assert await refused(world.post(spend, request_id)) is Reason.SIGNER_UNAVAILABLE
    assert await world.size() == size + 1
    again = await world.post(spend, request_id)
    assert again.replayed
    assert open_checkpoint(again.checkpoint, [world.verifier_key]).size == size + 1
    assert (await world.balance(alice)).posted == 7


async def test_a_call_past_its_deadline_is_told_so_and_writes_once_at_most(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=9), await world.open(kind=MERCHANT)
    request = world.post_request(post(REDEMPTION, alice, shop, 2))
    caller = world.calls_as(SERVICE_CALLER)
    assert await refused(caller.PostEntry(request, timeout=0)) is Reason.DEADLINE_PASSED
    await caller.PostEntry(request)
    assert (await world.balance(alice)).posted == 7


async def test_a_message_that_is_too_large_is_refused_and_changes_nothing(
    world: LedgerWorld,
) -> None:
    limit = world.process.runtime.config.server.message_bytes_max
    alice, shop = await world.open(balance=9), await world.open(kind=MERCHANT)
    size = await world.size()
    request = world.post_request(post(REDEMPTION, alice, shop, 2, memo="m" * limit))
    with pytest.raises(Exception, match=r"(?i)larger than max|exhausted") as refusal:
        await world.stub.PostEntry(request)
    assert type(refusal.value).__name__ == "AioRpcError"
    assert await world.size() == size


async def test_the_actor_of_a_service_is_logged_and_the_operator_acts_for_itself(
    world: LedgerWorld,
) -> None:
    alice, shop = await world.open(balance=9), await world.open(kind=MERCHANT)
    caller = world.calls_as(SERVICE_CALLER)
    request = world.post_request(post(REDEMPTION, alice, shop, 2))
    metadata = (("timebank-actor", "member/0x7f"),)
    answer = await caller.PostEntry(request, metadata=metadata)
    entry = await world.entry(answer.result.index)
    assert (entry.caller, entry.actor) == ("service/merchant", "member/0x7f")
    assert entry.effective_time_us == entry.recorded_time_us
    plain = await world.post(post(REDEMPTION, alice, shop, 2))
    assert (await world.entry(plain.result.index)).actor == ""


async def test_a_page_of_accounts_has_at_most_a_thousand_and_follows_the_order_of_opening(
    world: LedgerWorld,
) -> None:
    opened = [await world.open(f"h{number % 2}") for number in range(5)]
    names: list[str] = []
    token = ""
    for _ in range(5):
        request = ledger_service_pb2.ListAccountsRequest(
            parent=world.name, page_size=2, page_token=token, holder="h0"
        )
        page = await world.stub.ListAccounts(request)
        names += [account.name for account in page.accounts]
        token = page.next_page_token
        if not token:
            break
    assert names == opened[::2]
    many = ledger_service_pb2.ListAccountsRequest(parent=world.name, page_size=2**31 - 1)
    assert len((await world.stub.ListAccounts(many)).accounts) == len(world.system) + 5


async def test_an_etag_changes_with_every_change_of_its_account(world: LedgerWorld) -> None:
    alice, shop = await world.open(balance=9), await world.open(kind=MERCHANT)
    seen = [(await world.account(alice)).etag]
    await world.post(post(REDEMPTION, alice, shop, 2))
    seen.append((await world.account(alice)).etag)
    frozen = ledger_service_pb2.FreezeAccountRequest(name=alice, request_id=new_id(), etag=seen[-1])
    seen.append((await world.stub.FreezeAccount(frozen)).etag)
    seen.append((await world.unfreeze(alice)).etag)
    assert len(set(seen)) == len(seen)
    assert (await world.stub.FreezeAccount(frozen)).etag == seen[-1]
