"""Certificates: signed, opened by the log's key alone, and masked."""

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.timebank.signed_certificates import (
    COMPACT,
    NOTE,
    ORIGIN,
    OTHER,
    SIGNER,
    WITNESS,
    certificate,
    line,
    pack,
    signed,
)
from tests.timebank.tlog.refusals import assert_refuses, damaged, only_refusals
from timebank.certificates import (
    CERTIFICATE_HEADER,
    COMPACT_CHARACTERS_MAX,
    COMPACT_HEADER,
    COMPACT_NOTE_BYTES_MAX,
    LINES_MAX,
    compact_note,
    compact_of,
    compact_text,
    format_certificate,
    mask_id_number,
    mask_name,
    open_certificate,
    open_compact,
    parse_certificate,
    parse_certificate_note,
    parse_compact,
    sign_certificate,
)
from timebank.errors import Reason, TimebankError
from timebank.tlog.note import Note, format_note, sign_text

BIDI, ZERO_WIDTH, HALF_PAIR = "\u202e", "\u200b", "\ud800"


def test_a_signed_certificate_opens_to_itself() -> None:
    assert NOTE.startswith(f"{CERTIFICATE_HEADER}\n{{")
    assert open_certificate(NOTE, [SIGNER.vkey]) == certificate()
    assert open_certificate(NOTE, [OTHER.vkey, SIGNER.vkey]) == certificate()


def test_the_text_is_canonical_json_on_one_line() -> None:
    text = format_certificate(certificate())
    assert text.endswith("}\n")
    assert text.count("\n") == 1
    assert "张三丰" in text
    data = json.loads(text)
    assert list(data) == sorted(data)
    assert data["period_from"] == "2026-01-01"
    assert data["lines"][0]["minutes"] == 30
    assert parse_certificate(text) == certificate()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"total_minutes":6000', '"total_minutes":9000'),
        ('"minutes":30', '"minutes":31'),
        ("张三丰", "张三风"),
        ("2026-11-30", "2026-11-29"),
        ("371000123456", "371000123457"),
        ("record-0", "record-9"),
        ("仅用于升学", ""),
    ],
)
def test_a_changed_hour_or_name_fails(old: str, new: str) -> None:
    assert old in NOTE
    assert_refuses(lambda: open_certificate(NOTE.replace(old, new, 1), [SIGNER.vkey]), "signature")


@pytest.mark.parametrize("vkeys", [[], [OTHER.vkey], [WITNESS.vkey]])
def test_a_certificate_opens_only_with_the_key_of_its_log(vkeys: list[str]) -> None:
    assert_refuses(lambda: open_certificate(NOTE, vkeys), ORIGIN)
    assert_refuses(lambda: open_compact(COMPACT, vkeys), ORIGIN)


def test_another_log_cannot_sign_in_the_name_of_this_one() -> None:
    assert_refuses(lambda: sign_certificate(certificate(), OTHER), "expected the key of that log")
    assert_refuses(lambda: compact_note(certificate(), OTHER), "expected the key of that log")
    text = f"{CERTIFICATE_HEADER}\n{format_certificate(certificate())}"
    forged = format_note(Note(text, (sign_text(text, OTHER),)))
    assert_refuses(lambda: open_certificate(forged, [OTHER.vkey, SIGNER.vkey]), "by the key of")


def test_the_compact_note_is_no_certificate_and_the_certificate_no_compact_note() -> None:
    assert_refuses(lambda: open_certificate(compact_note(certificate(), SIGNER), [SIGNER.vkey]))
    assert_refuses(lambda: open_compact(pack(NOTE.encode()), [SIGNER.vkey]), COMPACT_HEADER)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace('":', '": ', 1),
        lambda text: text.replace("{", '{"zzz":1,', 1),
        lambda text: text.replace('"note"', '"note":"x","note"', 1),
        lambda text: text.replace("2026-01-01", "20260101", 1),
        lambda text: text.replace("张", "\\u5f20", 1),
        lambda text: text.replace('"handler":"王五",', "", 1),
        lambda text: text.replace("6000", "6000.0", 1),
        lambda text: text.replace("6000", "true", 1),
        lambda text: text.replace("6000", "9" * 5_000, 1),
        lambda text: text.replace('"王五"', "5", 1),
        lambda text: text.replace('"lines":[', '"lines":[7,', 1),
        lambda text: text.replace('"lines":[', '"lines":{"a":[', 1).replace("],", "]},", 1),
        lambda text: text.replace("2026-01-01", "2026-02-30", 1),
        lambda text: text + "\n",
        lambda text: "[]\n",
        lambda text: "[" * 100_000,
    ],
)
def test_a_signed_text_in_another_spelling_is_refused(change: Any) -> None:
    note = signed(f"{CERTIFICATE_HEADER}\n{change(format_certificate(certificate())).rstrip()}\n\n")
    assert_refuses(lambda: open_certificate(note, [SIGNER.vkey]))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number": ""}, "number"),
        ({"number": "x" * 65}, "number"),
        ({"name": ""}, "name"),
        ({"name": " 张三"}, "name"),
        ({"name": f"张{BIDI}三"}, "name"),
        ({"name": f"张{ZERO_WIDTH}三"}, "name"),
        ({"name": HALF_PAIR}, "name"),
        ({"note": "a\nb"}, "note"),
        ({"note": "x" * 501}, "note"),
        ({"issuer": ""}, "issuer"),
        ({"person_in_charge": ""}, "person_in_charge"),
        ({"handler": ""}, "handler"),
        ({"contact": ""}, "contact"),
        ({"id_number_masked": "371002199001011234"}, "id_number_masked"),
        ({"id_number_masked": "37100219900101123*"}, "id_number_masked"),
        ({"period_to": date(2025, 12, 31), "lines": ()}, "period_to"),
        ({"total_minutes": 0, "lines": ()}, "total_minutes"),
        ({"total_minutes": 59}, "total_minutes"),
        ({"total_minutes": 2**63}, "total_minutes"),
        ({"log_size": 0, "lines": ()}, "log_size"),
        ({"log_size": 1}, "lines.log_index"),
        ({"log_root_hex": "AB" * 32}, "log_root_hex"),
        ({"log_root_hex": "ab" * 31}, "log_root_hex"),
        ({"period_from": date(2026, 3, 2)}, "lines.served_on"),
        ({"period_to": date(2026, 2, 28)}, "lines.served_on"),
        ({"lines": (line(),) * (LINES_MAX + 1)}, "lines"),
    ],
)
def test_one_wrong_field_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(TimebankError) as caught:
        certificate(**changes)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert caught.value.metadata["field"] == field
    assert [name for name, _ in caught.value.violations] == [field]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"activity": ""}, "lines.activity"),
        ({"activity": "x" * 201}, "lines.activity"),
        ({"place": "\t"}, "lines.place"),
        ({"minutes": 0}, "lines.minutes"),
        ({"log_index": -1}, "lines.log_index"),
        ({"record_id": "x" * 129}, "lines.record_id"),
    ],
)
def test_one_wrong_field_of_a_line_is_refused_by_name(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(TimebankError) as caught:
        line(**changes)
    assert caught.value.metadata["field"] == field


def test_an_origin_is_a_key_name() -> None:
    assert_refuses(lambda: certificate(origin="a b"), "key name")


def test_lines_may_be_fewer_than_the_total_and_the_rest_is_known() -> None:
    assert certificate().unlisted_minutes == 5_940
    assert certificate(total_minutes=60).unlisted_minutes == 0


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        ("371002199001011234", "3710**********1234"),
        ("37100219900101123X", "3710**********123X"),
        ("371002900101123", "371*********123"),
        ("E12345678", "E1*****78"),
        ("1234", "1**4"),
        ("123", "***"),
        ("", ""),
    ],
)
def test_identity_numbers_are_masked_by_at_least_half(number: str, masked: str) -> None:
    assert mask_id_number(number) == masked
    assert certificate(id_number_masked=masked).id_number_masked == masked


@pytest.mark.parametrize(
    ("name", "masked"),
    [("张三丰", "张**"), ("张三", "张*"), ("张", "*"), ("欧阳娜娜", "欧***"), ("", "")],
)
def test_names_keep_their_first_character(name: str, masked: str) -> None:
    assert mask_name(name) == masked


@given(number=st.text(alphabet="0123456789X", max_size=40))
def test_masking_keeps_the_length_and_shows_at_most_half(number: str) -> None:
    masked = mask_id_number(number)
    assert len(masked) == len(number)
    assert 2 * masked.count("*") >= len(number)


def test_a_compact_text_opens_to_what_identifies_and_shows_no_more() -> None:
    compact = open_compact(COMPACT, [SIGNER.vkey])
    assert compact == compact_of(certificate())
    assert (compact.name_masked, compact.total_minutes) == ("张**", 6_000)
    note = compact_note(certificate(), SIGNER)
    assert note.startswith(f"{COMPACT_HEADER}\n")
    for hidden in ("张三丰", "3710*", "李四", "record-0"):
        assert hidden not in note


@pytest.mark.parametrize(
    ("old", "new"), [('"total_minutes":6000', '"total_minutes":9000'), ("张**", "李**")]
)
def test_a_compact_text_with_a_changed_hour_or_name_fails(old: str, new: str) -> None:
    note = compact_note(certificate(), SIGNER)
    assert old in note
    forged = pack(note.replace(old, new, 1).encode())
    assert_refuses(lambda: open_compact(forged, [SIGNER.vkey]), "signature")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected TBC1."),
        ("TBC2.AAAA", "expected TBC1."),
        ("TBC1.", "base64url"),
        ("TBC1.a+b/", "base64url"),
        ("TBC1.AAA=", "base64url"),
        ("TBC1.AAAAA", "base64"),
        ("TBC1.AAAA", "deflated"),
        ("TBC1." + "A" * COMPACT_CHARACTERS_MAX, "at most"),
        (pack(b"a" * (COMPACT_NOTE_BYTES_MAX + 1)), "one deflated note"),
        (pack(b"\xff\xfe"), "UTF-8"),
        (pack(b""), "note"),
        (COMPACT[:-8], "deflated note"),
        (pack(signed(f"{COMPACT_HEADER}\n{{}}\n").encode()), "expected a text"),
        (pack(signed(f"{COMPACT_HEADER}\n[]\n").encode()), "JSON object"),
    ],
)
def test_a_malformed_compact_text_is_refused(text: str, words: str) -> None:
    assert_refuses(lambda: open_compact(text, [SIGNER.vkey]), words)


def test_a_compact_text_must_have_one_spelling_and_a_masked_name() -> None:
    body = compact_note(certificate(), SIGNER).split("\n")[1]
    spaced, unmasked = (
        pack(signed(f"{COMPACT_HEADER}\n{changed}\n").encode())
        for changed in (body.replace('":', '": ', 1), body.replace("张**", "张三丰"))
    )
    assert_refuses(lambda: open_compact(spaced, [SIGNER.vkey]), "one spelling")
    assert_refuses(lambda: open_compact(unmasked, [SIGNER.vkey]), "masked with *")


def test_a_bomb_is_not_inflated() -> None:
    bomb = pack(b"\0" * 1_000_000)
    assert len(bomb) < COMPACT_CHARACTERS_MAX
    assert_refuses(lambda: open_compact(bomb, [SIGNER.vkey]), "one deflated note")


@settings(max_examples=300)
@given(text=st.one_of(st.text(), damaged(NOTE), damaged(format_certificate(certificate()))))
def test_hostile_certificates_raise_only_refusals(text: str) -> None:
    only_refusals(lambda: open_certificate(text, [SIGNER.vkey]))
    only_refusals(lambda: parse_certificate_note(text))
    only_refusals(lambda: parse_certificate(text))


@settings(max_examples=300)
@given(
    text=st.one_of(
        st.text(),
        damaged(COMPACT),
        st.binary().map(pack),
        damaged(compact_note(certificate(), SIGNER)).map(
            lambda note: pack(note.encode("utf-8", "surrogatepass"))
        ),
    )
)
def test_hostile_compact_texts_raise_only_refusals(text: str) -> None:
    only_refusals(lambda: open_compact(text, [SIGNER.vkey]))
    only_refusals(lambda: parse_compact(text))


@settings(max_examples=200)
@given(name=st.text(min_size=1, max_size=100), note=st.text(max_size=50))
def test_every_name_that_is_taken_is_signed_and_read_back(name: str, note: str) -> None:
    try:
        made = certificate(name=name, note=note)
    except TimebankError:
        return
    assert open_certificate(sign_certificate(made, SIGNER), [SIGNER.vkey]) == made
    assert open_compact(compact_text(made, SIGNER), [SIGNER.vkey]) == compact_of(made)
