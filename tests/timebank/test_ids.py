"""Ids: the alphabet of resource ids, and what counts as the UUID of a request."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timebank.errors import Reason, TimebankError
from timebank.ids import ALPHABET, ID_BYTES, ID_LENGTH, id_from_bytes, uuid_bytes

GOOD = "4df14000-8000-4000-8000-00000000000a"


def test_the_alphabet_has_32_characters_that_nobody_mistakes() -> None:
    assert len(set(ALPHABET)) == 32
    assert not set("ilou") & set(ALPHABET)
    assert list(ALPHABET) == sorted(ALPHABET)


@given(st.binary(min_size=ID_BYTES, max_size=ID_BYTES))
def test_an_id_holds_all_its_random_bits(data: bytes) -> None:
    text = id_from_bytes(data)
    assert len(text) == ID_LENGTH
    number = 0
    for character in text:
        number = number * 32 + ALPHABET.index(character)
    assert number.to_bytes(ID_BYTES, "big") == data


@given(st.uuids().filter(lambda found: found.int != 0))
def test_every_uuid_is_taken_in_either_case(found: uuid.UUID) -> None:
    assert uuid_bytes(str(found)) == found.bytes
    assert uuid_bytes(str(found).upper()) == found.bytes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        GOOD.replace("-", ""),
        f"{{{GOOD}}}",
        f"urn:uuid:{GOOD}",
        f" {GOOD}",
        f"{GOOD} ",
        GOOD[:-1],
        GOOD[:-1] + "g",
        GOOD[:-1] + "１",
        GOOD[:-1] + "-",
        GOOD[:-1] + " ",
        GOOD.replace("-", "_"),
        "4df14-000-8000-4000-8000-0000000000a",
        str(uuid.UUID(int=0)),
    ],
)
def test_anything_but_the_36_characters_of_a_uuid_is_refused(text: str) -> None:
    with pytest.raises(TimebankError) as caught:
        uuid_bytes(text)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert caught.value.metadata["field"] == "request_id"


def test_a_long_request_id_is_not_repeated_in_full() -> None:
    with pytest.raises(TimebankError) as caught:
        uuid_bytes("x" * 10_000)
    assert len(caught.value.message) < 300


def test_the_example_in_the_message_is_a_request_id() -> None:
    with pytest.raises(TimebankError) as caught:
        uuid_bytes("")
    example = caught.value.message.split("such as ")[1].split(",")[0]
    assert len(uuid_bytes(example)) == 16
