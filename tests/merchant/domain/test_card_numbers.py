"""Card numbers: no payment code, no bank card, and kept as a digest."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant.domain import payment_codes
from merchant.domain.card_numbers import (
    NUMBER_LENGTH,
    PREFIX_DEFAULT,
    check_card_prefix,
    digest_of,
    is_well_formed,
    make_number,
    normalise,
)
from merchant.domain.payment_codes import RANDOM_BYTES, WORD_BYTES
from timebank.errors import Reason, TimebankError

KEY = bytes(range(32))
LEDGER = "ledgers/weihai"


@given(st.integers(min_value=0, max_value=2**64 // 10**13 * 10**13 - 1))
def test_a_number_is_sixteen_digits_of_its_scheme_and_no_payment_code(word: int) -> None:
    number = make_number(PREFIX_DEFAULT, word.to_bytes(WORD_BYTES, "big").ljust(RANDOM_BYTES))
    assert len(number) == NUMBER_LENGTH
    assert number[2:-1] == f"{word % 10**13:013d}"
    assert is_well_formed(number, PREFIX_DEFAULT)
    assert not payment_codes.is_well_formed(number, PREFIX_DEFAULT)


def test_an_elder_reads_it_out_in_fours() -> None:
    assert normalise("8012 3456 7890 1230") == "8012345678901230"
    assert is_well_formed("8012345678901230", PREFIX_DEFAULT)


@pytest.mark.parametrize(
    "number",
    ["", "801234567890123", "80123456789012300", "8012345678901231", "8112345678901230", "８" * 16],
)
def test_anything_else_is_no_card_number(number: str) -> None:
    assert not is_well_formed(number, PREFIX_DEFAULT)


@pytest.mark.parametrize(
    "prefix",
    ["", "8", "801", "8a", "８０", "10", "15", "20", "25", "30", "34", "45", "51", "62", "69"],
)
def test_a_prefix_of_bank_cards_or_other_schemes_is_refused(prefix: str) -> None:
    with pytest.raises(TimebankError) as made:
        make_number(prefix, bytes(RANDOM_BYTES))
    with pytest.raises(TimebankError) as checked:
        check_card_prefix(prefix, "70")
    assert made.value.reason is checked.value.reason is Reason.VALIDATION_FAILED


@pytest.mark.parametrize("prefix", ["00", "09", "16", "19", "70", "80", "99"])
def test_other_prefixes_are_taken(prefix: str) -> None:
    check_card_prefix(prefix, "71")
    assert is_well_formed(make_number(prefix, bytes(RANDOM_BYTES)), prefix)


def test_cards_and_payment_codes_have_different_prefixes() -> None:
    with pytest.raises(TimebankError, match="payment codes"):
        check_card_prefix("70", "70")


def test_a_digest_tells_keys_ledgers_and_numbers_apart() -> None:
    first, second = "8012345678901230", make_number("80", bytes(RANDOM_BYTES))
    digests = {
        digest_of(KEY, LEDGER, first),
        digest_of(KEY, LEDGER, second),
        digest_of(KEY, "ledgers/hailin", first),
        digest_of(KEY[::-1], LEDGER, first),
        payment_codes.keyed_digest(KEY, "payment-code", LEDGER, first),
    }
    assert len(digests) == 5


@pytest.mark.parametrize("number", ["", "8012 3456 7890 1230", "８" * 16, "8" * 15, "8" * 18])
def test_a_number_that_was_not_normalised_has_no_digest(number: str) -> None:
    with pytest.raises(TimebankError) as caught:
        digest_of(KEY, LEDGER, number)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert not number or number not in caught.value.message
