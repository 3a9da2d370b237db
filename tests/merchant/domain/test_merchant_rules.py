"""Merchants, tills, offers and limits: what they say, where they stand, who may open what."""

from functools import partial
from typing import Any

import pytest

from merchant.domain.control_rules import set_control
from merchant.domain.documents import (
    Budget,
    Control,
    Controls,
    Merchant,
    Offer,
    Terminal,
    TerminalKey,
)
from merchant.domain.enrolment_codes import CODE_LIFE_US
from merchant.domain.merchant_rules import (
    ChangeMerchant,
    CreateMerchant,
    MerchantMove,
    Terms,
    change_merchant,
    create_merchant,
    move_merchant,
)
from merchant.domain.offer_rules import (
    ChangeOffer,
    Content,
    CreateOffer,
    change_offer,
    create_offer,
    is_for_sale,
    pause_offer,
    resume_offer,
)
from merchant.domain.states import MerchantState, OfferState, OfferUnit, TerminalState
from merchant.domain.terminal_rules import (
    ROTATION_OVERLAP_US,
    ChangeTerminal,
    CreateTerminal,
    Enrol,
    Rotate,
    change_terminal,
    create_terminal,
    enrol,
    live_keys,
    renew_enrolment,
    resume_terminal,
    rotate_key,
    suspend_terminal,
)
from merchant.domain.velocity import CONTROLS_MAX
from tests.merchant.domain.transactions import NOW_US, Desk
from timebank.errors import Reason

TERMS = Terms("小卖部", 2, 100, 0, "b", 500)
BUDGET = Budget("b", "专项基金", 1_000)
SHOP = Merchant(
    merchant_id="shop",
    state=MerchantState.ACTIVE,
    points_account="p",
    time_account="t",
    fund_account="f",
    created_us=1,
    **TERMS._asdict(),
)
FIRST, SECOND, THIRD = (TerminalKey(digit * 16, digit * 64) for digit in "123")
TILL = Terminal(
    "shop/t1", "一号", "门口", TerminalState.ACTIVE, 0, 1, keys=(FIRST,), enrolment_digest="d"
)
NEW = Terminal(
    "shop/t1",
    "一号",
    "门口",
    TerminalState.PENDING,
    0,
    1,
    enrolment_digest="d",
    enrolment_expires_us=NOW_US + CODE_LIFE_US,
)
COFFEE = Content("咖啡", "", OfferUnit.POINTS, 10, 0, 5, 0, 0, 0, 0)
OFFER = Offer(
    "shop/coffee", price_version=1, state=OfferState.ACTIVE, created_us=1, **COFFEE._asdict()
)
NOT_ACTIVE = [state for state in MerchantState if state is not MerchantState.ACTIVE]


def creation(**changes: Any) -> Any:
    terms = TERMS._replace(**changes)
    return partial(create_merchant, command=CreateMerchant("shop", terms, "p", "t", "f"))


def changing(version: int = 0, **changes: Any) -> Any:
    command = ChangeMerchant("shop", tuple(changes.items()), version)
    return partial(change_merchant, command=command, zone="Asia/Shanghai")


def enrolling(digest: str = "d", key: TerminalKey = FIRST, *, proved: bool = True) -> Any:
    return partial(enrol, command=Enrol("shop/t1", digest, key, proved=proved))


def rotating(old: TerminalKey, new: TerminalKey, *, proved: bool = True) -> Any:
    return partial(rotate_key, command=Rotate("shop/t1", old.key_id, new, proved=proved))


def offering(**changes: Any) -> Any:
    command = CreateOffer("shop/coffee", COFFEE._replace(**changes))
    return partial(create_offer, command=command)


def repricing(version: int = 0, **changes: Any) -> Any:
    command = ChangeOffer("shop/coffee", tuple(changes.items()), version)
    return partial(change_offer, command=command)


def test_a_merchant_is_created_active_with_its_terms_and_accounts() -> None:
    made = Desk(BUDGET).do(creation())
    assert made == SHOP._replace(created_us=NOW_US)


def test_creating_the_same_merchant_again_gives_the_one_that_is_there() -> None:
    desk = Desk(SHOP, BUDGET)
    assert desk.do(creation()) == SHOP
    assert desk.refused(creation(display_name="大卖部")) is Reason.MERCHANT_EXISTS


def test_only_a_sponsor_needs_no_budget_and_a_budget_must_be_there() -> None:
    assert Desk().do(creation(fen_per_hundred_points=0, budget="")).budget == ""
    assert Desk().refused(creation(budget="")) is Reason.VALIDATION_FAILED
    assert Desk().refused(creation()) is Reason.BUDGET_NOT_FOUND


def test_a_change_replaces_what_it_names_and_makes_another_etag() -> None:
    changed = Desk(SHOP, BUDGET).do(changing(1, display_name="大卖部"))
    assert changed == SHOP._replace(display_name="大卖部", version=2)


def test_a_change_that_changes_nothing_keeps_the_etag() -> None:
    desk = Desk(SHOP, BUDGET)
    assert desk.do(changing(display_name="小卖部")).version == 1
    assert not desk.state.changed


def test_errors_of_a_change_have_their_order() -> None:
    left = SHOP._replace(state=MerchantState.LEFT)
    assert Desk().refused(changing(9)) is Reason.MERCHANT_NOT_FOUND
    assert Desk(left).refused(changing(9)) is Reason.MERCHANT_NOT_ACTIVE
    assert Desk(SHOP).refused(changing(9, budget="")) is Reason.ETAG_MISMATCH
    assert Desk(SHOP).refused(changing(budget="")) is Reason.VALIDATION_FAILED
    assert Desk(SHOP).refused(changing(budget="c")) is Reason.BUDGET_NOT_FOUND


S = MerchantState
MOVES = {
    MerchantMove.SUSPEND: {S.ACTIVE: S.SUSPENDED, S.SUSPENDED: S.SUSPENDED},
    MerchantMove.RESUME: {S.ACTIVE: S.ACTIVE, S.SUSPENDED: S.ACTIVE},
    MerchantMove.LEAVE: {S.ACTIVE: S.LEAVING, S.SUSPENDED: S.LEAVING, S.LEAVING: S.LEAVING},
}


@pytest.mark.parametrize("way", MerchantMove)
@pytest.mark.parametrize("state", MerchantState)
def test_a_merchant_moves_by_the_table(way: MerchantMove, state: MerchantState) -> None:
    desk = Desk(SHOP._replace(state=state))
    rule = partial(move_merchant, merchant_id="shop", way=way)
    after = MOVES[way].get(state)
    if after is None:
        assert desk.refused(rule) is Reason.MERCHANT_NOT_ACTIVE
        return
    moved = desk.do(rule)
    assert (moved.state, moved.version) == (after, 1 if after is state else 2)


@pytest.mark.parametrize("state", NOT_ACTIVE)
def test_a_merchant_that_is_not_active_opens_nothing(state: MerchantState) -> None:
    desk = Desk(SHOP._replace(state=state), TILL, OFFER)
    creating = partial(create_terminal, command=CreateTerminal("shop/t2", "二号", "", 0, "digest"))
    rules: list[Any] = [creating, offering(), repricing(price=1)]
    rules.append(partial(renew_enrolment, terminal_id="shop/t1", digest="e"))
    rules.append(partial(resume_terminal, terminal_id="shop/t1"))
    rules.append(partial(resume_offer, offer_id="shop/coffee"))
    assert {desk.refused(rule) for rule in rules} == {Reason.MERCHANT_NOT_ACTIVE}
    assert desk.do(partial(pause_offer, offer_id="shop/coffee")).state is OfferState.PAUSED
    stopped = desk.do(partial(suspend_terminal, terminal_id="shop/t1"))
    assert stopped.state is TerminalState.SUSPENDED


def test_a_till_is_created_pending_and_waits_for_its_code() -> None:
    desk = Desk(SHOP)
    command = CreateTerminal("shop/t1", "一号", "门口", 0, "d")
    assert desk.do(partial(create_terminal, command=command)) == NEW._replace(created_us=NOW_US)
    again = partial(create_terminal, command=command._replace(enrolment_digest="e"))
    assert desk.do(again).enrolment_digest == "d"
    other = partial(create_terminal, command=command._replace(location="后门"))
    assert desk.refused(other) is Reason.TERMINAL_EXISTS
    assert Desk().refused(other) is Reason.MERCHANT_NOT_FOUND


def test_enrolling_makes_a_till_active_with_one_key_and_uses_the_code_up() -> None:
    desk = Desk(NEW)
    enrolled = desk.do(enrolling())
    assert (enrolled.state, enrolled.keys) == (TerminalState.ACTIVE, (FIRST,))
    assert desk.refused(enrolling(key=SECOND)) is Reason.ENROLMENT_CODE_INVALID


def test_the_same_enrolment_again_changes_nothing() -> None:
    desk = Desk(NEW)
    first = desk.do(enrolling())
    assert desk.do(enrolling()) == first
    assert desk.refused(enrolling(proved=False)) is Reason.TERMINAL_SIGNATURE_INVALID


def test_all_bad_codes_are_refused_alike() -> None:
    late = Desk(NEW, now_us=NOW_US + CODE_LIFE_US + 1)
    spent = Desk(TILL)
    none = Desk(TILL._replace(enrolment_digest=""))
    reasons = {
        Desk().refused(enrolling()),
        Desk(NEW).refused(enrolling("e")),
        Desk(NEW).refused(enrolling("", proved=False)),
        late.refused(enrolling()),
        spent.refused(enrolling(key=SECOND)),
        none.refused(enrolling("")),
    }
    assert reasons == {Reason.ENROLMENT_CODE_INVALID}
    assert Desk(NEW).refused(enrolling(proved=False)) is Reason.TERMINAL_SIGNATURE_INVALID


def test_enrolling_again_ends_every_key_and_a_suspended_till_stays_so() -> None:
    desk = Desk(SHOP, TILL._replace(state=TerminalState.SUSPENDED, keys=(FIRST, SECOND)))
    renewed = desk.do(partial(renew_enrolment, terminal_id="shop/t1", digest="e"))
    assert renewed.keys == (FIRST, SECOND)
    enrolled = desk.do(enrolling("e", THIRD))
    assert (enrolled.keys, enrolled.state) == ((THIRD,), TerminalState.SUSPENDED)
    resumed = desk.do(partial(resume_terminal, terminal_id="shop/t1"))
    assert resumed.state is TerminalState.ACTIVE


def test_a_newer_code_replaces_the_older() -> None:
    desk = Desk(SHOP, NEW)
    desk.do(partial(renew_enrolment, terminal_id="shop/t1", digest="e"))
    assert desk.refused(enrolling("d")) is Reason.ENROLMENT_CODE_INVALID
    assert desk.do(enrolling("e")).keys == (FIRST,)


def test_a_till_without_a_key_is_resumed_as_pending() -> None:
    desk = Desk(SHOP, NEW)
    assert desk.do(partial(suspend_terminal, terminal_id="shop/t1")).state.name == "SUSPENDED"
    assert desk.do(partial(resume_terminal, terminal_id="shop/t1")).state.name == "PENDING"


def test_a_rotated_key_is_taken_for_a_day_more_and_then_dropped() -> None:
    desk = Desk(TILL)
    rotated = desk.do(rotating(FIRST, SECOND))
    ends_us = NOW_US + ROTATION_OVERLAP_US
    assert rotated.keys == (FIRST._replace(expires_us=ends_us), SECOND)
    assert desk.do(rotating(FIRST, SECOND)) == rotated
    assert live_keys(rotated, ends_us - 1) == rotated.keys
    assert live_keys(rotated, ends_us) == (SECOND,)
    desk.now_us = ends_us
    command = ChangeTerminal("shop/t1", (("location", "后门"),), 0)
    assert desk.do(partial(change_terminal, command=command)).keys == (SECOND,)


def test_a_second_rotation_ends_the_oldest_key_at_once() -> None:
    desk = Desk(TILL)
    desk.do(rotating(FIRST, SECOND))
    keys = desk.do(rotating(SECOND, THIRD)).keys
    assert [key.key_id for key in keys] == [SECOND.key_id, THIRD.key_id]


def test_only_the_newest_key_allows_another() -> None:
    desk = Desk(TILL)
    desk.do(rotating(FIRST, SECOND))
    refused = Reason.TERMINAL_SIGNATURE_INVALID
    assert desk.refused(rotating(FIRST, THIRD)) is refused
    assert desk.refused(rotating(THIRD, FIRST)) is refused
    assert desk.refused(rotating(SECOND, FIRST)) is refused
    assert desk.refused(rotating(SECOND, THIRD, proved=False)) is refused
    assert Desk(NEW).refused(rotating(FIRST, SECOND)) is refused
    suspended = Desk(TILL._replace(state=TerminalState.SUSPENDED))
    assert suspended.refused(rotating(FIRST, SECOND)) is Reason.TERMINAL_SUSPENDED
    assert Desk().refused(rotating(FIRST, SECOND)) is Reason.TERMINAL_NOT_FOUND


def test_an_offer_is_created_open_at_its_first_price() -> None:
    desk = Desk(SHOP)
    assert desk.do(offering()) == OFFER._replace(created_us=NOW_US, stocked=5)
    assert desk.do(offering(stock=99)).stock == 5
    assert desk.refused(offering(price=9)) is Reason.OFFER_EXISTS


def test_only_merchants_of_services_take_time() -> None:
    assert Desk(SHOP).refused(offering(unit=OfferUnit.TIME)) is Reason.MOVEMENT_NOT_ALLOWED
    barber = SHOP._replace(category=1)
    assert Desk(barber).do(offering(unit=OfferUnit.TIME)).unit is OfferUnit.TIME


@pytest.mark.parametrize(
    ("changes", "price_version"),
    [
        ({"price": 12}, 2),
        ({"cash_fen": 50}, 2),
        ({"price": 12, "cash_fen": 50}, 2),
        ({"title": "热咖啡"}, 1),
        ({"stock": None}, 1),
    ],
)
def test_a_price_version_grows_with_price_and_cash_only(
    changes: dict[str, Any], price_version: int
) -> None:
    changed = Desk(SHOP, OFFER).do(repricing(1, **changes))
    assert (changed.price_version, changed.version) == (price_version, 2)


def test_errors_of_an_offers_change_have_their_order() -> None:
    assert Desk(SHOP).refused(repricing(9)) is Reason.OFFER_NOT_FOUND
    wrong = {"valid_from_us": 20, "valid_until_us": 10}
    assert Desk(SHOP, OFFER).refused(repricing(9, **wrong)) is Reason.ETAG_MISMATCH
    assert Desk(SHOP, OFFER).refused(repricing(**wrong)) is Reason.VALIDATION_FAILED
    assert Desk(SHOP).refused(offering(**wrong)) is Reason.VALIDATION_FAILED


def test_a_paused_offer_stays_paused_until_it_is_resumed() -> None:
    desk = Desk(SHOP, OFFER)
    pausing = partial(pause_offer, offer_id="shop/coffee")
    assert (desk.do(pausing).version, desk.do(pausing).version) == (2, 2)
    assert desk.do(partial(resume_offer, offer_id="shop/coffee")).state is OfferState.ACTIVE


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"stock": None}, True),
        ({"stock": 0}, False),
        ({"state": OfferState.PAUSED}, False),
        ({"valid_from_us": NOW_US}, True),
        ({"valid_from_us": NOW_US + 1}, False),
        ({"valid_until_us": NOW_US}, False),
        ({"valid_until_us": NOW_US + 1}, True),
    ],
)
def test_an_offer_is_for_sale_while_open_valid_and_in_stock(
    changes: dict[str, Any], expected: bool
) -> None:
    assert is_for_sale(OFFER._replace(**changes), NOW_US) is expected


@pytest.mark.parametrize("name", ["spent", "pieces"])
def test_a_control_has_no_name_of_the_systems_own(name: str) -> None:
    taken = Control(name, "MEMBER", "DAY", 10, 0)
    assert Desk(SHOP).refused(partial(set_control, control=taken)) is Reason.VALIDATION_FAILED


def test_a_control_is_set_replaced_and_removed() -> None:
    desk = Desk()
    day = Control("day", "MEMBER", "DAY", 100, 0)
    assert desk.do(partial(set_control, control=day)).controls == (day,)
    more = day._replace(count_max=3)
    assert desk.do(partial(set_control, control=more)).controls == (more,)
    none = day._replace(amount_max=0)
    assert desk.do(partial(set_control, control=none)).controls == ()


def test_there_are_at_most_fifty_controls() -> None:
    day = Control("c-000", "MEMBER", "DAY", 1, 1)
    full = tuple(day._replace(control_id=f"c-{n:03d}") for n in range(CONTROLS_MAX))
    desk = Desk(Controls("velocity", full))
    one_more = partial(set_control, control=day._replace(control_id="d"))
    assert desk.refused(one_more) is Reason.VALIDATION_FAILED
    assert len(desk.do(partial(set_control, control=full[0])).controls) == CONTROLS_MAX
