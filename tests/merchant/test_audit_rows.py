"""The audit reports whatever stands in a row of the merchant's database, and raises nothing."""

import json

import pytest

from merchant.domain.states import DocumentKind
from merchant.store.bodies import body_of
from tests.merchant.audited import Hand, found_in, sold

K = DocumentKind


HOSTILE: list[object] = [
    *(b"", b"\xff\xfe", b"{", b"[]", b"null", b"1", b'"text"', b"[" * 100_000, b"{}"),
    *("a text", "", 7, 1.5, b"\x00" * 10_000, b'{"redemption_id":1e999}', b"NaN"),
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body)[:30])
async def test_a_body_that_cannot_be_read_is_reported(hand: Hand, body: object) -> None:
    own = hand.one(K.REDEMPTION, sold).redemption_id
    hand.set_bytes(K.REDEMPTION, own, body)
    assert ("redemption", own, "body") in found_in(await hand.audit())


@pytest.mark.parametrize("more", [b"x", b"{}", b",", b" \x00", b"[" * 100_000], ids=len)
async def test_whatever_stands_after_a_body_is_reported(hand: Hand, more: bytes) -> None:
    one = hand.one(K.REDEMPTION, sold)
    hand.set_bytes(K.REDEMPTION, one.redemption_id, body_of(one) + more)
    assert ("redemption", one.redemption_id, "body") in found_in(await hand.audit())


async def test_a_body_with_its_fields_in_another_order_is_the_same(hand: Hand) -> None:
    one = hand.one(K.REDEMPTION, sold)
    fields = json.loads(body_of(one))
    turned = json.dumps(dict(reversed(fields.items())), indent=1).encode()
    hand.set_bytes(K.REDEMPTION, one.redemption_id, turned)
    assert (await hand.audit()).ok


@pytest.mark.parametrize(
    "values",
    [
        *({"captured": "ten"}, {"captured": 1.5}, {"captured": True}, {"captured": 2**70}),
        *({"captures": 7}, {"captures": [[1]]}, {"captures": [{"entry": 1}]}, {"pending": []}),
        *({"state": 99}, {"state": None}, {"counters": "abc"}, {"counters": [1]}, {"odd": 1}),
        *({"merchant_ref": "\ud800"}, {"member_id": None}, {"done": [{"step": "NONE"}]}),
        *({"lines": -(2**63)}, {"amount": 2**63 - 1}, {"counters": {"a": 1}}),
    ],
    ids=repr,
)
async def test_values_of_any_type_are_reported_and_raise_nothing(
    hand: Hand, values: dict[str, object]
) -> None:
    one = hand.one(K.REDEMPTION, sold)
    hand.set_body(one, **values)
    found = found_in(await hand.audit())
    assert one.redemption_id in {own for _, own, _ in found}


@pytest.mark.parametrize("kind", list(K), ids=lambda kind: kind.name)
async def test_hostile_numbers_and_texts_in_any_document_raise_nothing(hand: Hand, kind: K) -> None:
    rows = hand.run(
        "SELECT document_id, body FROM merchant_documents WHERE kind = ? LIMIT 1", int(kind)
    )
    for own, body in rows:
        for name, value in json.loads(body).items():
            hostile = 2**62 if isinstance(value, int) else "\x1b[31m"
            changed = json.dumps(json.loads(body) | {name: hostile}).encode()
            hand.set_bytes(kind, own, changed)
            report = await hand.audit()
            shown = "".join(f"{one.key}{one.expected}{one.got}" for one in report.differences)
            assert shown.isprintable()
    assert rows or kind in (K.CONTROLS, K.ITEM, K.COMPARISON, K.TRIES)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("parent = '8/other'", ("redemption", "parent")),
        ("due_us = 17", ("redemption", "due_us")),
        ("sequence = 100000", ("redemption", "sequence")),
        ("sequence = -1", ("redemption", "sequence")),
        (
            "sequence = (SELECT min(sequence) FROM merchant_documents)",
            ("merchant_documents", "sequence"),
        ),
        ("document_id = 'shop/other'", ("redemption", "document_id")),
        ("document_id = x'ff00'", ("redemption", "document_id")),
        ("kind = 77", ("unknown", "kind")),
        ("kind = 12", ("spending", "body")),
        ("sequence = x'00'", ("redemption", "sequence")),
    ],
)
async def test_what_stands_beside_a_body_is_compared_with_it(
    hand: Hand, change: str, found: tuple[str, str]
) -> None:
    own = hand.one(K.REDEMPTION, sold).redemption_id
    hand.run(
        f"UPDATE merchant_documents SET {change} WHERE kind = 8 AND document_id = ?",
        own,
    )
    assert found in {(table, figure) for table, _, figure in found_in(await hand.audit())}


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("UPDATE merchant_requests SET error = x'ffff' WHERE error IS NOT NULL", "error"),
        ("UPDATE merchant_requests SET error = 'text' WHERE error IS NOT NULL", "error"),
        ("UPDATE merchant_requests SET document_id = 'gone' WHERE error IS NULL", "document_id"),
        ("UPDATE merchant_requests SET ledger_no = 9", "(row)"),
        ("UPDATE merchant_documents SET ledger_no = 9 WHERE kind = 1", "(row)"),
    ],
)
async def test_rows_beside_the_documents_are_checked(hand: Hand, sql: str, found: str) -> None:
    hand.run(sql)
    assert found in {figure for _, _, figure in found_in(await hand.audit())}


async def test_an_audit_of_rubble_ends_and_says_that_there_is_more(hand: Hand) -> None:
    hand.run("UPDATE merchant_documents SET body = x'00', parent = 'x', sequence = 0")
    hand.run(
        "INSERT INTO merchant_documents SELECT ledger_no, kind, document_id || '-2', parent,"
        " sequence, due_us, body FROM merchant_documents"
    )
    report = await hand.audit()
    assert len(report.differences) == 100
    assert "There are more" in report.notes[0]
