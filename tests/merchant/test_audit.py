"""The audit of the merchant service's documents: what agrees, and every figure that does not."""

from collections.abc import Callable
from typing import Any

import pytest

from merchant.domain.states import DocumentKind, Method, RedemptionState
from tests.merchant.audited import Hand, any_document, found_in, sold

K = DocumentKind
R = RedemptionState
Fits = Callable[[Any], bool]


async def test_an_untouched_shop_agrees_in_every_kind_of_document(hand: Hand) -> None:
    report = await hand.audit()
    assert report.differences == []
    for kind in ("REDEMPTION", "LINE", "BATCH", "VOUCHER", "BUDGET", "COUNTER", "INCOME"):
        assert report.checked[kind.lower()] > 0, kind
    assert report.checked["entries"] > 5
    states = {one.state for one in hand.documents(K.REDEMPTION)}
    assert {R.CAPTURED, R.VOIDED, R.REVERSED, R.AUTHORIZED, R.PARTIALLY_CAPTURED} < states


CHANGES: list[tuple[K, Fits, dict[str, object], str]] = [
    (K.BUDGET, any_document, {"reserved_fen": 999}, "reserved_fen"),
    (K.BUDGET, any_document, {"spent_fen": 1}, "spent_fen"),
    (K.BUDGET, any_document, {"adjusted_fen": 7}, "adjusted_fen"),
    (K.OFFER, any_document, {"stock": 39}, "pieces taken of stock"),
    (K.OFFER, any_document, {"stock": -1}, "stock"),
    (K.OFFER, any_document, {"stocked": 41}, "pieces taken of stock"),
    (K.COUNTER, lambda one: one.times > 1, {"amount": 1}, "amount"),
    (K.COUNTER, lambda one: one.times > 1, {"times": 1}, "times"),
    (K.COUNTER, any_document, {"amount": -1}, "amount"),
    (K.REDEMPTION, sold, {"captured": 9}, "captured"),
    (K.REDEMPTION, sold, {"captured": 10**15}, "captured"),
    (K.REDEMPTION, sold, {"refunded": 1}, "refunded"),
    (K.REDEMPTION, sold, {"lines": 2}, "lines"),
    (K.REDEMPTION, sold, {"state": R.VOIDED}, "state"),
    (K.REDEMPTION, sold, {"state": R.UNKNOWN}, "pending"),
    (K.REDEMPTION, sold, {"state": R.PARTIALLY_CAPTURED}, "state"),
    (K.REDEMPTION, sold, {"state": R.REVERSED}, "refunded"),
    (K.REDEMPTION, sold, {"merchant_ref": "another"}, "merchant_ref"),
    (K.REDEMPTION, sold, {"fingerprint": ""}, "fingerprint"),
    (K.REDEMPTION, sold, {"business_date": ""}, "business_date"),
    (K.REDEMPTION, sold, {"method": Method.VOUCHER}, "vouchers"),
    (K.REDEMPTION, lambda one: one.done and not one.redeems, {"done": ()}, "captured"),
    (K.REDEMPTION, sold, {"amount": 11}, "captured"),
    (K.REDEMPTION, lambda one: one.state is R.AUTHORIZED, {"state": R.CAPTURED}, "state"),
    (K.LINE, any_document, {"points": 0}, "points"),
    (K.LINE, any_document, {"kind": "REFUND"}, "kind"),
    (K.LINE, any_document, {"redemption_id": "shop/other"}, "redemption_id"),
    (K.BATCH, any_document, {"line_count": 1}, "line_count"),
    (K.BATCH, any_document, {"redeemed_points": 1}, "redeemed_points"),
    (K.BATCH, any_document, {"refunded_points": 1}, "refunded_points"),
    (K.BATCH, any_document, {"redeemed_minutes": 1}, "redeemed_minutes"),
    (K.BATCH, any_document, {"net_points": 1}, "net_points"),
    (K.BATCH, any_document, {"net_fen": 1}, "net_fen"),
    (K.BATCH, any_document, {"adjusted_fen": 1}, "adjusted_fen"),
    (K.BATCH, any_document, {"remainders": ()}, "remainders"),
    (K.BATCH, any_document, {"rate": 101}, "file_sha256"),
    (K.BATCH, any_document, {"rate": -1}, "rate"),
    (K.BATCH, any_document, {"file_sha256": "0" * 64}, "file_sha256"),
    (K.BATCH, any_document, {"previous_file_sha256": "0" * 64}, "previous_file_sha256"),
    (K.BATCH, any_document, {"jws": "e30..AAAA"}, "jws"),
    (K.BATCH, any_document, {"entry": ""}, "entry"),
    (K.BATCH, any_document, {"paid_fen": 1}, "paid_fen"),
    (K.BATCH, any_document, {"state": "LOST"}, "state"),
    (K.BATCH, any_document, {"sequence": 9}, "batch_id"),
    (K.MERCHANT, any_document, {"batches": 7}, "batches"),
    (K.MERCHANT, any_document, {"last_file_sha256": "0" * 64}, "last_file_sha256"),
    (K.MERCHANT, any_document, {"last_closed_date": "2026-03-09"}, "last_closed_date"),
    (K.MERCHANT, any_document, {"open_batch": "shop/2026-03-09-1"}, "open_batch"),
    (K.VOUCHER, lambda one: one.state == 2, {"state": 4}, "state"),
    (K.VOUCHER, lambda one: one.state == 2, {"state": 1}, "collected_by"),
    (K.VOUCHER, any_document, {"offer": "other/coffee"}, "offer"),
    (K.VOUCHER, any_document, {"member_id": "zhao"}, "member_id"),
    (K.SPENDING, any_document, {"approver": "operator/op"}, "approver"),
    (K.SPENDING, any_document, {"entry": ""}, "state"),
]


@pytest.mark.parametrize(
    ("kind", "fits", "values", "figure"),
    CHANGES,
    ids=[f"{change[0].name}-{'-'.join(map(str, change[2].items()))[:60]}" for change in CHANGES],
)
async def test_a_changed_figure_is_found_with_its_document(
    hand: Hand, kind: K, fits: Fits, values: dict[str, object], figure: str
) -> None:
    document = hand.one(kind, fits)
    hand.write(document._replace(**values))
    assert (kind.name.lower(), document[0], figure) in found_in(await hand.audit())


ELSEWHERE: list[tuple[K, Fits, dict[str, object], tuple[str, str]]] = [
    (K.REDEMPTION, sold, {"quantity": 9}, ("offer", "pieces taken of stock")),
    (K.REDEMPTION, sold, {"counters": ()}, ("counter", "amount")),
    (K.REDEMPTION, sold, {"fen_per_hundred_points": 50}, ("budget", "spent_fen")),
    (K.LINE, any_document, {"points": 11}, ("redemption", "taken by lines")),
    (K.LINE, any_document, {"batch": "2026-03-02-1"}, ("batch", "line_count")),
    (K.LINE, any_document, {"merchant_ref": "other"}, ("batch", "file_sha256")),
    (K.LINE, any_document, {"budget": "c"}, ("budget", "spent by lines")),
    (K.LINE, any_document, {"spent_fen": 3}, ("budget", "adjusted_fen")),
    (K.VOUCHER, any_document, {"redemption_id": "shop/none"}, ("redemption", "vouchers")),
    (K.INCOME, any_document, {"reference": "other"}, ("income_reference", "incomes")),
    (K.INCOME_REFERENCE, any_document, {"income_id": "i9"}, ("income", "references")),
]


@pytest.mark.parametrize(("kind", "fits", "values", "found"), ELSEWHERE)
async def test_what_a_changed_document_adds_to_others_is_found_there(
    hand: Hand, kind: K, fits: Fits, values: dict[str, object], found: tuple[str, str]
) -> None:
    hand.write(hand.one(kind, fits)._replace(**values))
    figures = {(table, figure) for table, _, figure in found_in(await hand.audit())}
    assert found in figures


@pytest.mark.parametrize(
    "kind",
    [K.MERCHANT, K.OFFER, K.COUNTER, K.REDEMPTION, K.LINE, K.BATCH, K.BUDGET, K.INCOME],
)
async def test_a_document_that_is_gone_is_missed(hand: Hand, kind: K) -> None:
    used = {K.REDEMPTION: sold, K.COUNTER: lambda one: one.times}.get(kind, any_document)
    own = hand.one(kind, used)[0]
    hand.run("DELETE FROM merchant_documents WHERE kind = ? AND document_id = ?", int(kind), own)
    assert not (await hand.audit()).ok


async def test_who_has_no_key_of_the_deployment_signs_no_file(hand: Hand) -> None:
    strange = await hand.audit(vkey="timebank/settlement+00000000+AAAA")
    assert {figure for _, _, figure in found_in(strange)} == {"jws"}
    assert (await hand.audit(vkey="")).ok


async def test_a_capture_that_the_ledger_does_not_know_is_found(hand: Hand) -> None:
    one = hand.one(K.REDEMPTION, sold)
    [capture] = one.captures
    hand.write(one._replace(captures=(capture._replace(entry="ledgers/weihai/entries/1"),)))
    report = await hand.audit()
    index = capture.entry.rpartition("/")[2]
    assert ("redemption", one.redemption_id, f"paid by entry {index}") in found_in(report)
    assert ("redemption", one.redemption_id, "paid by entry 1") in found_in(report)
    assert (await hand.audit(with_ledger=False)).ok


async def test_a_refund_that_the_ledger_does_not_know_is_found(hand: Hand) -> None:
    one = hand.one(K.REDEMPTION, lambda found: found.state is R.CAPTURED and found.refunded)
    captures = (one.captures[0]._replace(refunded=one.refunded + 1),)
    hand.write(one._replace(refunded=one.refunded + 1, captures=captures))
    index = captures[0].entry.rpartition("/")[2]
    wanted = ("redemption", one.redemption_id, f"given back of entry {index}")
    assert wanted in found_in(await hand.audit())


async def test_an_open_question_is_not_compared_with_the_ledger(hand: Hand) -> None:
    one = hand.one(K.REDEMPTION, lambda found: found.state is R.PARTIALLY_CAPTURED)
    pending = {
        "step": "CAPTURE",
        "request_id": "r",
        "op_ref": "c-10",
        "amount": 1,
        "final": False,
        "since_us": 1,
    }
    hand.set_body(one, pending=pending, captured=6)
    hand.run(
        "UPDATE merchant_documents SET due_us = 1 WHERE kind = ? AND document_id = ?",
        *(int(K.REDEMPTION), one.redemption_id),
    )
    assert (await hand.audit()).differences == []
