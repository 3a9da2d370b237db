"""The till's calls and the time-out recipe, against a server that fails in every way."""

import pathlib
import stat
from collections.abc import AsyncIterator

import grpc
import pytest

from tests.timebank.client.fakes import Failure, Pauses
from tests.timebank.client.till_fakes import (
    CODE,
    ENROLMENT_CODE,
    PIN,
    TERMINAL,
    FakeMerchant,
    Lost,
    merchant_served,
)
from timebank.client.calls import Repetition
from timebank.client.merchant_views import RedemptionState
from timebank.client.till_calls import OutcomeOpenError
from timebank.client.till_journal import TillJournal
from timebank.client.till_recipes import LOOKUPS_MAX, TillVerdict
from timebank.client.till_requests import Purchase
from timebank.client.tills import TillClient
from timebank.errors import Reason, TimebankError

ATTEMPTS = 3
COFFEE = Purchase(offer="coffee", payment_code=CODE)
OUTCOME_UNKNOWN = TimebankError(Reason.OUTCOME_UNKNOWN, "the ledger has not answered yet")
OPEN: list[Failure] = [
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.ABORTED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.CANCELLED,
    OUTCOME_UNKNOWN,
]
NO_ANSWERS: list[Failure] = [
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
    TimebankError(Reason.TOKEN_INVALID, "the token has expired"),
    TimebankError(Reason.TERMINAL_SIGNATURE_INVALID, "a clock is wrong"),
    TimebankError(Reason.RATE_LIMITED, "too many tries"),
    TimebankError(Reason.REQUEST_ID_REUSED, "the request id was used"),
]


def repetition(pauses: Pauses) -> Repetition:
    return Repetition(attempts_max=ATTEMPTS, sleep=pauses)


@pytest.fixture
def merchant() -> FakeMerchant:
    return FakeMerchant()  # type: ignore[abstract]  # what it leaves out answers UNIMPLEMENTED


@pytest.fixture
async def till(
    merchant: FakeMerchant, tmp_path: pathlib.Path, pauses: Pauses
) -> AsyncIterator[TillClient]:
    """A till that is enrolled."""
    async with merchant_served(merchant) as address:
        with TillJournal.open(tmp_path / "journal.jsonl", TERMINAL) as journal:
            async with TillClient.connect(
                address,
                terminal=TERMINAL,
                key_file=tmp_path / "till.pem",
                journal=journal,
                repetition=repetition(pauses),
            ) as till:
                await till.enrol(ENROLMENT_CODE)
                merchant.calls.clear()
                merchant.requests.clear()
                merchant.metadata.clear()
                yield till


async def test_a_till_enrols_with_a_key_that_it_keeps_to_itself(
    merchant: FakeMerchant, tmp_path: pathlib.Path
) -> None:
    key_file = tmp_path / "till" / "till.pem"
    async with (
        merchant_served(merchant) as address,
        TillClient.connect(address, terminal=TERMINAL, key_file=key_file) as till,
    ):
        with pytest.raises(TimebankError) as refused:
            await till.redeem(COFFEE, merchant_ref="m-1")
        assert refused.value.reason is Reason.SIGNING_KEY_MISSING
        terminal = await till.enrol(" k7qm-2z4p ")
        assert terminal.name == TERMINAL
        assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
        assert list(key_file.parent.iterdir()) == [key_file]
        redeemed = await till.redeem(COFFEE, merchant_ref="m-1")
        assert redeemed.state is RedemptionState.CAPTURED


async def test_an_enrolment_whose_answer_got_lost_is_answered_again(
    merchant: FakeMerchant, tmp_path: pathlib.Path, pauses: Pauses
) -> None:
    key_file = tmp_path / "till.pem"
    merchant.failures["EnrollTerminal"] = [Lost(grpc.StatusCode.UNAVAILABLE)] * ATTEMPTS
    async with (
        merchant_served(merchant) as address,
        TillClient.connect(
            address, terminal=TERMINAL, key_file=key_file, repetition=repetition(pauses)
        ) as till,
    ):
        with pytest.raises(OutcomeOpenError):
            await till.enrol(ENROLMENT_CODE)
        assert not key_file.exists()
        await till.enrol(ENROLMENT_CODE)
        assert len({request.request_id for request in merchant.requests}) == 1
        assert len({request.public_key for request in merchant.requests}) == 1
        assert key_file.exists()


async def test_each_attempt_has_its_own_nonce_and_the_same_request_id(
    till: TillClient, merchant: FakeMerchant, pauses: Pauses
) -> None:
    merchant.failures["RedeemPoints"] = [grpc.StatusCode.UNAVAILABLE, OUTCOME_UNKNOWN]
    result = await till.redeem_for_sure(COFFEE)
    assert result.verdict is TillVerdict.DONE
    assert merchant.calls == ["RedeemPoints"] * 3
    assert len({request.request_id for request in merchant.requests}) == 1
    assert len({said["timebank-nonce"] for said in merchant.metadata}) == 3
    assert len({said["timebank-signature"] for said in merchant.metadata}) == 3
    assert len(pauses.seconds) == 2


@pytest.mark.parametrize("failure", OPEN, ids=str)
async def test_an_answer_that_got_lost_is_given_to_the_retry(
    till: TillClient, merchant: FakeMerchant, failure: Failure
) -> None:
    merchant.failures["RedeemPoints"] = [Lost(failure)]
    result = await till.redeem_for_sure(COFFEE)
    assert result.verdict is TillVerdict.DONE
    assert merchant.calls == ["RedeemPoints"] * 2
    assert len(merchant.redemptions) == 1
    assert till.journal.to_ask() == ()


@pytest.mark.parametrize("failure", OPEN, ids=str)
async def test_when_retries_fail_the_truth_is_looked_up(
    till: TillClient, merchant: FakeMerchant, failure: Failure
) -> None:
    merchant.failures["RedeemPoints"] = [Lost(failure), failure, failure]
    result = await till.redeem_for_sure(COFFEE)
    assert result.verdict is TillVerdict.DONE
    assert merchant.calls == ["RedeemPoints"] * ATTEMPTS + ["LookupRedemption"]


@pytest.mark.parametrize("failure", NO_ANSWERS, ids=str)
async def test_after_an_open_attempt_a_refusal_about_something_else_proves_nothing(
    till: TillClient, merchant: FakeMerchant, failure: Failure
) -> None:
    merchant.failures["RedeemPoints"] = [Lost(grpc.StatusCode.DEADLINE_EXCEEDED), failure]
    result = await till.redeem_for_sure(COFFEE)
    assert result.verdict is TillVerdict.DONE
    assert merchant.calls == ["RedeemPoints"] * 2 + ["LookupRedemption"]


@pytest.mark.parametrize("failure", NO_ANSWERS, ids=str)
async def test_the_same_refusal_at_once_is_one(
    till: TillClient, merchant: FakeMerchant, failure: Failure
) -> None:
    merchant.failures["RedeemPoints"] = [failure]
    result = await till.redeem_for_sure(COFFEE)
    assert result.verdict is TillVerdict.REFUSED
    assert merchant.calls == ["RedeemPoints"]
    assert till.journal.to_ask() == ()


async def test_a_refusal_of_the_request_itself_is_final_after_an_open_attempt(
    till: TillClient, merchant: FakeMerchant
) -> None:
    refusal = TimebankError(Reason.INSUFFICIENT_BALANCE, "not enough")
    merchant.failures["RedeemPoints"] = [grpc.StatusCode.UNAVAILABLE, refusal]
    result = await till.redeem_for_sure(COFFEE)
    assert result.verdict is TillVerdict.REFUSED
    assert result.error is not None
    assert result.error.reason is Reason.INSUFFICIENT_BALANCE
    assert merchant.calls == ["RedeemPoints"] * 2


async def test_a_dead_line_is_unknown_and_the_truth_comes_when_it_is_back(
    till: TillClient, merchant: FakeMerchant, pauses: Pauses
) -> None:
    merchant.failures["RedeemPoints"] = [Lost(grpc.StatusCode.UNAVAILABLE)]

    def cut() -> None:
        merchant.is_away = True

    pauses.then = cut
    result = await till.redeem_for_sure(COFFEE)
    assert result.verdict is TillVerdict.UNKNOWN
    assert merchant.count("RedeemPoints") == ATTEMPTS
    assert merchant.count("LookupRedemption") == LOOKUPS_MAX
    assert [sale.merchant_ref for sale in till.journal.to_ask()] == [result.merchant_ref]
    assert await till.catch_up() == []
    merchant.is_away = False
    (news,) = await till.catch_up()
    assert (news.merchant_ref, news.verdict) == (result.merchant_ref, TillVerdict.DONE)
    assert await till.catch_up() == []


async def test_a_sale_that_the_server_never_got_stays_unknown_until_it_is_asked_again(
    till: TillClient, merchant: FakeMerchant
) -> None:
    merchant.failures["RedeemPoints"] = [grpc.StatusCode.UNAVAILABLE] * ATTEMPTS
    result = await till.redeem_for_sure(COFFEE)
    assert result.verdict is TillVerdict.UNKNOWN
    assert result.error is not None
    assert result.error.reason is Reason.REDEMPTION_NOT_FOUND
    assert merchant.count("LookupRedemption") == LOOKUPS_MAX
    again = await till.redeem_for_sure(COFFEE, merchant_ref=result.merchant_ref)
    assert (again.merchant_ref, again.verdict) == (result.merchant_ref, TillVerdict.DONE)
    redeems = [one for one in merchant.requests if type(one).__name__ == "RedeemPointsRequest"]
    assert len({request.request_id for request in redeems}) == 1


async def test_asking_again_with_another_code_finds_out_what_the_first_one_did(
    till: TillClient, merchant: FakeMerchant
) -> None:
    merchant.failures["RedeemPoints"] = [
        Lost(grpc.StatusCode.UNAVAILABLE),
        *[grpc.StatusCode.UNAVAILABLE] * (ATTEMPTS - 1),
        TimebankError(Reason.REQUEST_ID_REUSED, "with another code"),
    ]
    merchant.failures["LookupRedemption"] = [grpc.StatusCode.UNAVAILABLE] * LOOKUPS_MAX
    result = await till.redeem_for_sure(COFFEE)
    assert result.verdict is TillVerdict.UNKNOWN
    other = Purchase(offer="coffee", payment_code="700099999999999999")
    again = await till.redeem_for_sure(other, merchant_ref=result.merchant_ref)
    assert again.verdict is TillVerdict.DONE


async def test_a_reversal_before_its_authorisation_leaves_a_tombstone(
    till: TillClient, merchant: FakeMerchant
) -> None:
    merchant.failures["RedeemPoints"] = [grpc.StatusCode.UNAVAILABLE] * ATTEMPTS
    unknown = await till.redeem_for_sure(COFFEE)
    undone = await till.reverse_for_sure(unknown.merchant_ref)
    assert undone.verdict is TillVerdict.DONE
    assert till.journal.to_ask() == ()
    late = await till.redeem_for_sure(COFFEE, merchant_ref=unknown.merchant_ref)
    assert late.error is not None
    assert late.error.reason is Reason.REVERSED_BEFORE_AUTHORIZATION


@pytest.mark.parametrize(
    "failure", [*OPEN, TimebankError(Reason.TOKEN_INVALID, "expired")], ids=str
)
async def test_a_reversal_waits_on_the_disk_until_it_is_answered(
    till: TillClient, merchant: FakeMerchant, tmp_path: pathlib.Path, failure: Failure
) -> None:
    sold = await till.redeem_for_sure(COFFEE)
    merchant.failures["ReverseRedemption"] = [failure] * ATTEMPTS
    waits = await till.reverse_for_sure(sold.merchant_ref)
    assert waits.verdict is TillVerdict.UNKNOWN
    sent = merchant.count("ReverseRedemption")
    merchant.failures.clear()
    till.journal.close()
    with TillJournal.open(tmp_path / "journal.jsonl", TERMINAL) as journal:
        till._journal = journal  # as another process after a crash
        (news,) = await till.catch_up()
        assert news.verdict is TillVerdict.DONE
        assert merchant.count("ReverseRedemption") == sent + 1
        reversals = [one for one in merchant.requests if "Reverse" in type(one).__name__]
        assert len({request.request_id for request in reversals}) == 1
        assert journal.to_send() == ()
        assert await till.catch_up() == []
    assert merchant.redemptions[sold.merchant_ref].refunded_amount == 10


async def test_a_reversal_that_is_refused_waits_no_longer(
    till: TillClient, merchant: FakeMerchant
) -> None:
    sold = await till.redeem_for_sure(COFFEE)
    merchant.failures["ReverseRedemption"] = [TimebankError(Reason.BATCH_CLOSED, "settled")]
    refused = await till.reverse_for_sure(sold.merchant_ref)
    assert refused.verdict is TillVerdict.REFUSED
    assert till.journal.to_send() == ()
    assert merchant.count("ReverseRedemption") == 1


async def test_a_reversal_that_waits_is_not_made_twice(
    till: TillClient, merchant: FakeMerchant
) -> None:
    sold = await till.redeem_for_sure(COFFEE)
    merchant.is_away = True
    await till.reverse_for_sure(sold.merchant_ref)
    await till.reverse_for_sure(sold.merchant_ref)
    assert len(till.journal.to_send()) == 1


async def test_a_refund_whose_answer_got_lost_is_made_once(
    till: TillClient, merchant: FakeMerchant
) -> None:
    sold = await till.redeem_for_sure(COFFEE)
    merchant.failures["RefundRedemption"] = [
        Lost(grpc.StatusCode.UNAVAILABLE),
        *[grpc.StatusCode.UNAVAILABLE] * (ATTEMPTS - 1),
    ]
    waits = await till.refund_for_sure(sold.merchant_ref, 4)
    assert waits.verdict is TillVerdict.UNKNOWN
    (news,) = await till.catch_up()
    assert news.verdict is TillVerdict.DONE
    assert merchant.redemptions[sold.merchant_ref].refunded_amount == 4
    over = await till.refund_for_sure(sold.merchant_ref, 7)
    assert over.error is not None
    assert over.error.reason is Reason.REFUND_EXCEEDS_CAPTURE


async def test_catching_up_ends_at_the_first_silence(
    till: TillClient, merchant: FakeMerchant
) -> None:
    sales = [await till.redeem_for_sure(COFFEE) for _ in range(3)]
    merchant.is_away = True
    for sale in sales:
        await till.reverse_for_sure(sale.merchant_ref)
    merchant.calls.clear()
    assert await till.catch_up() == []
    assert merchant.calls == ["ReverseRedemption"]
    merchant.is_away = False
    assert [news.merchant_ref for news in await till.catch_up()] == [
        sale.merchant_ref for sale in sales
    ]


async def test_a_pin_is_given_and_a_wrong_one_may_be_given_again(
    till: TillClient, merchant: FakeMerchant
) -> None:
    merchant.waits_for_pin = True
    waits = await till.redeem_for_sure(COFFEE)
    assert waits.verdict is TillVerdict.WAITING
    wrong = await till.confirm_for_sure(waits.merchant_ref, "000000")
    assert wrong.error is not None
    assert wrong.error.reason is Reason.PIN_INVALID
    merchant.failures["ConfirmRedemption"] = [Lost(grpc.StatusCode.UNAVAILABLE)] + [
        grpc.StatusCode.UNAVAILABLE
    ] * (ATTEMPTS - 1)
    done = await till.confirm_for_sure(waits.merchant_ref, PIN)
    assert done.verdict is TillVerdict.DONE
    assert merchant.count("ConfirmRedemption") == 1 + ATTEMPTS


async def test_neither_code_nor_pin_is_written_or_shown(
    till: TillClient, tmp_path: pathlib.Path
) -> None:
    purchase = Purchase(offer="coffee", payment_code=CODE, pin=PIN)
    await till.redeem_for_sure(purchase)
    written = (tmp_path / "journal.jsonl").read_text(encoding="utf-8")
    for secret in (CODE, PIN):
        assert secret not in written
        assert secret not in repr(purchase)


async def test_a_crash_between_intent_and_call_leaves_a_question(
    till: TillClient, merchant: FakeMerchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(*arguments: object, **named: object) -> None:
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(till, "_send", dies)
        with pytest.raises(RuntimeError):
            await till.redeem_for_sure(COFFEE)
    assert merchant.calls == []
    (sale,) = till.journal.to_ask()
    (news,) = await till.catch_up()
    assert news.error is not None
    assert news.error.reason is Reason.REDEMPTION_NOT_FOUND
    assert (await till.reverse_for_sure(sale.merchant_ref)).verdict is TillVerdict.DONE


@pytest.mark.parametrize(
    "name", ["", "t1", "ledgers/l/merchants/m", TERMINAL + "/x", "a/b/c/d/e/f"]
)
def test_a_till_has_a_whole_name(name: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(TimebankError) as refused:
        TillClient.connect("127.0.0.1:1", terminal=name, key_file=tmp_path / "k")
    assert refused.value.reason is Reason.VALIDATION_FAILED
