"""Payment codes: how they are made, read, judged and counted."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from merchant.domain.payment_codes import (
    CODE_LENGTH,
    CODE_LIFE_US,
    ISSUE_WINDOW_US,
    ISSUES_MAX,
    PREFIX_DEFAULT,
    RANDOM_BYTES,
    SECOND_US,
    SKEW_US,
    TYPED_CHARACTERS_MAX,
    WRONG_TRIES_MAX,
    WRONG_TRY_WINDOW_US,
    CodeVerdict,
    PaymentCode,
    WindowCount,
    after_issue,
    after_wrong_try,
    check_digit,
    check_prefix,
    counts_as_wrong_try,
    digest_of,
    drawn_digits,
    has_check_digit,
    is_locked,
    is_well_formed,
    judge,
    keyed_digest,
    locked_until_us,
    make_code,
    may_issue,
    normalise,
    number_below,
)
from timebank.errors import Reason, TimebankError

KEY = bytes(range(32))
LEDGER = "ledgers/weihai"
NOW_US = 1_767_225_600_000_000
GOOD = PaymentCode(b"digest", "member-1", "phone-1", issued_us=NOW_US)
RANDOM = st.binary(min_size=RANDOM_BYTES, max_size=RANDOM_BYTES)
REFUSED_WORD = b"\xff" * 8


def words(*numbers: int) -> bytes:
    """Random bytes made of 64-bit words, the rest of them refused."""
    return b"".join(number.to_bytes(8, "big") for number in numbers).ljust(RANDOM_BYTES, b"\xff")


@given(RANDOM)
def test_a_code_is_eighteen_digits_with_the_prefix_and_a_check_digit(random: bytes) -> None:
    assume(random != REFUSED_WORD * 4)
    code = make_code(PREFIX_DEFAULT, random)
    assert len(code) == CODE_LENGTH
    assert is_well_formed(code, PREFIX_DEFAULT)
    assert not is_well_formed(code, "71")


@pytest.mark.parametrize("limit", [1, 2, 10**13, 10**15, 30**8, 2**63, 2**63 + 1])
def test_each_number_is_drawn_by_the_same_count_of_words(limit: int) -> None:
    accepted = 2**64 // limit * limit
    assert number_below(words(accepted - 1), limit) == limit - 1
    assert number_below(words(0), limit) == 0
    if accepted < 2**64:
        assert number_below(words(accepted, 5 % limit), limit) == 5 % limit
        assert number_below(words(2**64 - 1, 2**64 - 1, accepted, 7 % limit), limit) == 7 % limit


@given(RANDOM, st.integers(min_value=1, max_value=2**32))
def test_a_drawn_number_is_below_its_limit(random: bytes, limit: int) -> None:
    assume(random[:8] != REFUSED_WORD)
    assert 0 <= number_below(random, limit) < limit


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_every_fifteen_digits_can_be_drawn(number: int) -> None:
    assert drawn_digits(words(number), 15) == str(number).rjust(15, "0")


@pytest.mark.parametrize("random", [b"", bytes(31), bytes(33), b"\xff" * RANDOM_BYTES])
def test_a_broken_source_of_randomness_is_a_programmer_error(random: bytes) -> None:
    with pytest.raises(ValueError, match="random bytes"):
        make_code(PREFIX_DEFAULT, random)


@pytest.mark.parametrize(
    ("prefix", "owner"),
    [
        *((str(number), "WeChat Pay") for number in range(10, 16)),
        *((str(number), "Alipay") for number in range(25, 31)),
        ("62", "UnionPay"),
    ],
)
def test_a_prefix_of_another_scheme_is_refused_by_its_name(prefix: str, owner: str) -> None:
    with pytest.raises(TimebankError, match=owner) as caught:
        make_code(prefix, bytes(RANDOM_BYTES))
    assert caught.value.reason is Reason.VALIDATION_FAILED


@pytest.mark.parametrize("prefix", ["00", "09", "16", "24", "31", "61", "63", "99"])
def test_a_prefix_beside_those_of_others_is_taken(prefix: str) -> None:
    check_prefix(prefix)
    assert is_well_formed(make_code(prefix, bytes(RANDOM_BYTES)), prefix)


@pytest.mark.parametrize("prefix", ["", "7", "700", "7a", " 7", "７０", "٧٠", "7\n", "²0", "-7"])
def test_a_prefix_that_is_not_two_digits_is_refused(prefix: str) -> None:
    with pytest.raises(TimebankError, match="two digits") as caught:
        check_prefix(prefix)
    assert caught.value.reason is Reason.VALIDATION_FAILED


@pytest.mark.parametrize(
    "number", ["79927398713", "4539578763621486", "49927398716", "18", "0000000000000000"]
)
def test_luhn_agrees_with_published_numbers(number: str) -> None:
    assert has_check_digit(number)


@given(st.text("0123456789", min_size=1, max_size=17), st.data())
def test_luhn_finds_every_wrong_digit(body: str, data: st.DataObject) -> None:
    number = body + check_digit(body)
    index = data.draw(st.integers(min_value=0, max_value=len(number) - 1))
    for other in "0123456789":
        changed = number[:index] + other + number[index + 1 :]
        assert has_check_digit(changed) is (changed == number)


@given(st.text("0123456789", min_size=1, max_size=17))
def test_luhn_finds_every_swap_of_neighbours_but_0_and_9(body: str) -> None:
    number = body + check_digit(body)
    for index in range(len(number) - 1):
        pair = number[index : index + 2]
        swapped = number[:index] + pair[::-1] + number[index + 2 :]
        assert has_check_digit(swapped) is (pair in ("09", "90") or pair[0] == pair[1])


@pytest.mark.parametrize(
    "typed",
    [
        "701234567890123457",
        "7012 3456 7890 1234 57",
        " 7012-3456-7890-1234-57\r\n",
        "７０１２３４５６７８９０１２３４５７",
        "７０１２　３４５６－７８９０–1234\u00a057\t",
    ],
)
def test_what_a_scanner_or_a_cashier_types_is_one_code(typed: str) -> None:
    assert normalise(typed) == "701234567890123457"


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "70123456789012345",
        "7012345678901234577",
        "701234567890123458",
        "70123456789012345O",
        "7０1234567890123457x",
        "٧٠١٢٣٤٥٦٧٨٩٠١٢٣٤٥٧",
        "70123456789012345⑦",
        "70123456789012345²",
        "7012345678901234\u200b57",
        "7012345678901234\x0057",
        "\ud800" * 18,
        "'; DROP TABLE --",
        "+701234567890123457",
        "134567890123456789",
    ],
)
def test_hostile_text_is_no_code(typed: str) -> None:
    assert not is_well_formed(normalise(typed), PREFIX_DEFAULT)


@given(st.text(max_size=TYPED_CHARACTERS_MAX))
def test_normalising_twice_changes_nothing(typed: str) -> None:
    assert normalise(normalise(typed)) == normalise(typed)


def test_an_endless_text_is_refused_and_not_repeated() -> None:
    normalise("7" * TYPED_CHARACTERS_MAX)
    with pytest.raises(TimebankError) as caught:
        normalise("7" * (TYPED_CHARACTERS_MAX + 1))
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert "777" not in caught.value.message


def test_a_digest_tells_keys_ledgers_and_codes_apart() -> None:
    code, other = make_code("70", words(1)), make_code("70", words(2))
    digests = {
        digest_of(KEY, LEDGER, code),
        digest_of(KEY[::-1], LEDGER, code),
        digest_of(KEY, LEDGER + "2", code),
        digest_of(KEY, LEDGER, other),
        keyed_digest(KEY, "card-number", LEDGER, code),
        keyed_digest(KEY, "payment-code", LEDGER + code[0], code[1:]),
    }
    assert len(digests) == 6
    assert {len(digest) for digest in digests} == {32}


def test_a_digest_never_changes() -> None:
    assert digest_of(KEY, LEDGER, "701234567890123457").hex() == (
        "2ac505742a3cb602da6da797cf49d243a6d628af67441c83643e937a159bbd68"
    )


@pytest.mark.parametrize("code", ["", "7012 3456 7890 1234 57", "７" * 18, "7" * 17, "7" * 19])
def test_a_code_that_was_not_normalised_has_no_digest(code: str) -> None:
    with pytest.raises(TimebankError) as caught:
        digest_of(KEY, LEDGER, code)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    assert not code or code not in caught.value.message


def test_a_short_key_is_a_programmer_error() -> None:
    with pytest.raises(ValueError, match="at least 32"):
        digest_of(KEY[:31], LEDGER, "7" * 18)


@pytest.mark.parametrize(
    ("age_us", "verdict"),
    [
        (-SKEW_US - 1, CodeVerdict.EXPIRED),
        (-SKEW_US, CodeVerdict.GOOD),
        (0, CodeVerdict.GOOD),
        (60 * SECOND_US, CodeVerdict.GOOD),
        (65 * SECOND_US, CodeVerdict.GOOD),
        (65 * SECOND_US + 1, CodeVerdict.EXPIRED),
    ],
)
def test_a_code_lives_a_minute_and_five_seconds(age_us: int, verdict: CodeVerdict) -> None:
    assert judge(GOOD, NOW_US + age_us) is verdict


def test_a_code_that_nobody_knows_is_unknown() -> None:
    assert judge(None, NOW_US) is CodeVerdict.UNKNOWN


@pytest.mark.parametrize("age_us", [1, CODE_LIFE_US + SKEW_US + 1, 10 * ISSUE_WINDOW_US])
def test_a_used_code_stays_used(age_us: int) -> None:
    used = GOOD._replace(used_us=NOW_US + 1, replaced_us=NOW_US + 1)
    assert judge(used, NOW_US + age_us) is CodeVerdict.USED


def test_a_newer_code_replaces_the_older() -> None:
    assert judge(GOOD._replace(replaced_us=NOW_US + 1), NOW_US + 1) is CodeVerdict.REPLACED


def test_an_old_code_of_a_screen_left_on_is_expired_and_not_replaced() -> None:
    old = GOOD._replace(replaced_us=NOW_US + CODE_LIFE_US)
    assert judge(old, NOW_US + CODE_LIFE_US + SKEW_US + 1) is CodeVerdict.EXPIRED


def test_only_guessed_and_used_codes_count_as_wrong_tries() -> None:
    counting = {verdict for verdict in CodeVerdict if counts_as_wrong_try(verdict)}
    assert counting == {CodeVerdict.UNKNOWN, CodeVerdict.USED}


def issued(count: int, *, step_us: int) -> WindowCount:
    """The counter of a device that got a code at NOW_US and so on."""
    issues = WindowCount()
    for index in range(count):
        issues = after_issue(issues, NOW_US + index * step_us)
    return issues


def test_a_device_gets_ninety_codes_an_hour() -> None:
    step_us = 30 * SECOND_US
    assert may_issue(WindowCount(), NOW_US)
    assert may_issue(issued(ISSUES_MAX - 1, step_us=step_us), NOW_US + 45 * 60 * SECOND_US)
    full = issued(ISSUES_MAX, step_us=step_us)
    assert full == WindowCount(NOW_US, 90)
    assert not may_issue(full, NOW_US + 45 * 60 * SECOND_US)
    assert not may_issue(full, NOW_US + ISSUE_WINDOW_US - 1)
    assert may_issue(full, NOW_US + ISSUE_WINDOW_US)


def test_a_screen_left_on_renews_each_minute_for_ever() -> None:
    issues = WindowCount()
    for minute in range(600):
        now_us = NOW_US + minute * CODE_LIFE_US
        assert may_issue(issues, now_us)
        issues = after_issue(issues, now_us)


def tried(count: int, start_us: int = NOW_US) -> WindowCount:
    """The counter of a till after wrong tries a second apart."""
    tries = WindowCount()
    for index in range(count):
        tries = after_wrong_try(tries, start_us + index * SECOND_US)
    return tries


def test_the_tenth_wrong_try_is_read_and_the_eleventh_is_locked_out() -> None:
    assert not is_locked(WindowCount(), NOW_US)
    assert not is_locked(tried(9), NOW_US + 9 * SECOND_US)
    assert is_locked(tried(10), NOW_US + 10 * SECOND_US)


def test_a_lock_lasts_a_minute_from_the_tenth_try() -> None:
    tries = tried(WRONG_TRIES_MAX)
    tenth_us = NOW_US + 9 * SECOND_US
    assert locked_until_us(tries) == tenth_us + WRONG_TRY_WINDOW_US
    assert is_locked(tries, locked_until_us(tries) - 1)
    assert not is_locked(tries, locked_until_us(tries))


def test_tries_that_were_on_the_way_do_not_lengthen_a_lock() -> None:
    tries = tried(WRONG_TRIES_MAX)
    later = after_wrong_try(tries, NOW_US + 20 * SECOND_US)
    assert later.times == 11
    assert locked_until_us(later) == locked_until_us(tries)


def test_after_a_quiet_minute_tries_are_counted_from_one() -> None:
    assert after_wrong_try(tried(9), NOW_US + WRONG_TRY_WINDOW_US) == WindowCount(
        NOW_US + WRONG_TRY_WINDOW_US, 1
    )
    assert after_wrong_try(tried(8), NOW_US + WRONG_TRY_WINDOW_US - 1).times == 9


def test_a_clock_that_is_a_little_behind_frees_nobody() -> None:
    assert is_locked(tried(10), NOW_US)
    assert after_wrong_try(tried(5), NOW_US - SECOND_US).times == 6


def test_a_clock_that_was_far_ahead_locks_nobody_for_ever() -> None:
    ahead = tried(10, NOW_US + 24 * ISSUE_WINDOW_US)
    assert not is_locked(ahead, NOW_US)
