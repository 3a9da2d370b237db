"""Policy documents: what is read, what is refused and where, and the text that is stored."""

import contextlib
import json
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.domain.policy import (
    Band,
    CreditExportKind,
    DayWindow,
    ExpiryKind,
    Overflow,
    PointsExpiry,
    Policy,
    Reward,
    Rounding,
    RoundingBasis,
    SelfService,
    TransferTo,
)
from ledger.domain.policy_fields import Json
from ledger.domain.policy_text import TEXT_BYTES_MAX, parse_policy, policy_to_text
from tests.ledger.policy.faults import EARN_FAULTS, FAULTS
from tests.ledger.policy.services import document
from timebank.errors import Reason, TimebankError

FULL: dict[str, Json] = {
    "name": "威海 2026",
    "effective_to": "2027-01-01",
    "earn": {
        "time_per_minute": "3/2",
        "points_per_hour": 2,
        "bands": [{"upto_minutes": 600, "rate": 1}, {"upto_minutes": None, "rate": "1/2"}],
        "band_basis": "LIFETIME",
        "multipliers": {
            "need_type": {"助浴": "3/2"},
            "skill": {"nurse": 2},
            "urgent": "5/4",
            "time_of_day": [{"from": "22:00", "to": "06:00", "rate": "2"}],
        },
        "quality_factor": [{"from_tenths": 0, "rate": "1/2"}, {"from_tenths": 40, "rate": 1}],
        "quality_failed": 0,
        "caps": {"activity_minutes": 240, "day_minutes": 480, "store_minutes": 90000},
        "overflow": "DROP",
        "reward": "BOTH",
        "evidence_floor": "C",
        "back_entry_points": True,
        "group": "DONATE_ONLY",
        "bonus": {"referral_points": 5, "team_lead_points": 2},
        "expiry": {"points": {"months": 24}},
        "rounding": "HALF_EVEN",
        "rounding_basis": "DAY",
    },
    "transfers": ["POOL", "FRIENDS"],
    "time_payer": "POOL",
    "time_to_goods": True,
    "self_service": "REFUSE",
    "reserve_ratio": "1/5",
    "elder_issue_minutes": 600,
    "publicity_days": 0,
    "verifications": 2,
    "stars": {"scope": "YEAR", "levels": [{"star": 1, "hours": 100}]},
    "credit_export": {"kind": "STARS", "stars": [1, 2, 3, 4, 5]},
    "minors": {"redeem": True},
    "death": {"time": "POOL", "points": "KEEP"},
}


def faults_of(text: str) -> dict[str, str]:
    """Place -> what is wrong there."""
    with pytest.raises(TimebankError) as refused:
        parse_policy(text)
    assert refused.value.reason is Reason.VALIDATION_FAILED
    assert refused.value.metadata["field"] == refused.value.violations[0][0]
    return dict(refused.value.violations)


def test_only_the_id_and_the_first_day_are_needed() -> None:
    policy = parse_policy('{"policy_id": "weihai", "effective_from": "2026-01-01"}')
    assert policy == Policy("weihai", date(2026, 1, 1))
    assert policy.earn.reward is Reward.TIME
    assert policy.earn.rounding_basis is RoundingBasis.CUMULATIVE
    assert policy.self_service is SelfService.HONOUR_ONLY
    assert policy.earn.points_evidence == "ABD"
    defaults = (policy.publicity_days, policy.verifications, policy.back_entry_minutes_per_day)
    assert defaults == (3, 1, 480)
    percents = (policy.back_entry_alarm_percent, policy.spot_check_percent, policy.presence_percent)
    assert percents == (20, 5, 60)


def test_a_full_document_is_read() -> None:
    policy = parse_policy(document(**FULL))
    earn = policy.earn
    assert policy.effective_to == date(2027, 1, 1)
    assert earn.time_per_minute == Fraction(3, 2)
    assert earn.bands == (Band(600, Fraction(1)), Band(None, Fraction(1, 2)))
    assert earn.need_types == (("助浴", Fraction(3, 2)),)
    assert earn.time_of_day == (DayWindow(22 * 60, 6 * 60, Fraction(2)),)
    assert earn.caps == (240, 480, None, 90_000)
    assert earn.overflow is Overflow.DROP
    assert earn.points_expiry == PointsExpiry(ExpiryKind.MONTHS, 24)
    assert earn.rounding is Rounding.HALF_EVEN
    assert earn.points_evidence == "ABC"
    assert policy.transfers == (TransferTo.FRIENDS, TransferTo.POOL)
    assert policy.credit_export is not None
    assert policy.credit_export.kind is CreditExportKind.STARS
    assert json.loads(policy.stars_json) == FULL["stars"]


@pytest.mark.parametrize("keys", [{}, FULL])
def test_the_stored_text_says_the_same_and_is_the_only_one(keys: dict[str, Json]) -> None:
    policy = parse_policy(document(**keys))
    text = policy_to_text(policy)
    assert parse_policy(text) == policy
    assert policy_to_text(parse_policy(text)) == text
    assert text == json.dumps(
        json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )


def test_the_stored_text_says_defaults_so_that_they_cannot_change_the_past() -> None:
    stored = json.loads(policy_to_text(parse_policy(document())))
    assert stored["earn"]["rounding_basis"] == "CUMULATIVE"
    assert stored["publicity_days"] == 3


@pytest.mark.parametrize("rate", ["2/4", "1/2", "0/1", 3, "3", "100"])
def test_equal_rates_are_stored_alike(rate: Json) -> None:
    policy = parse_policy(document(earn={"time_per_minute": rate}))
    assert policy.earn.time_per_minute == Fraction(str(rate))


def test_a_byte_order_mark_is_no_fault() -> None:
    assert parse_policy("\ufeff" + document()) == parse_policy(document())


@pytest.mark.parametrize(
    ("keys", "place", "words"),
    [*FAULTS, *(({"earn": earn}, place, words) for earn, place, words in EARN_FAULTS)],
)
def test_a_fault_is_told_at_its_place(keys: dict[str, Json], place: str, words: str) -> None:
    faults = faults_of(document(**keys))
    assert words in faults[place]
    assert len(faults) == 1


@pytest.mark.parametrize(
    ("ends", "place"),
    [([5, 5, None], 1), ([5, 4, None], 1), ([None, 5, None], 0), ([5, 6], 1)],
)
def test_bands_ascend_and_the_last_is_open(ends: list[int | None], place: int) -> None:
    bands: list[Json] = [{"upto_minutes": end, "rate": 1} for end in ends]
    faults = faults_of(document(earn={"reward": "BOTH", "bands": bands}))
    assert list(faults) == [f"earn.bands[{place}].upto_minutes"]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "line 1, column 1", "not JSON"),
        ("[]", "policy", "object in braces"),
        ('{"policy_id": "a",}', "line 1, column", "not JSON"),
        ('{"policy_id": "a", "effective_from": "2026-01-01", "verifications": 1.0}', "", "got 1.0"),
        ('{"policy_id": "a", "effective_from": "2026-01-01", "stars": {"a": NaN}}', "", "NaN"),
        ('{"policy_id": "a", "effective_from": "2026-01-01", "stars": {"a": 1e3}}', "", "1e3"),
        ('{"policy_id": "a", "policy_id": "b", "effective_from": "2026-01-01"}', "", "twice"),
        (
            '{"policy_id": "a", "effective_from": "2026-01-01", "stars": {"a": 1, "a": 1}}',
            "",
            "twice",
        ),
        (
            '{"policy_id": "a", "effective_from": "2026-01-01", "name": "\\ud800"}',
            "name",
            "no text",
        ),
        (
            '{"policy_id": "a", "effective_from": "2026-01-01", "stars": {"\\u0000": 1}}',
            "",
            "no text",
        ),
        ("[" * 60_000, "", "nested too deeply"),
        ('{"verifications": ' + "9" * 5_000 + "}", "verifications", "at most 18 digits"),
        (f'{{"name": "{"x" * TEXT_BYTES_MAX}"}}', "policy", "64 KiB"),
        (f'{{"name": "{"名" * (TEXT_BYTES_MAX // 3)}"}}', "policy", "64 KiB"),
    ],
    ids=range(14),
)
def test_what_json_cannot_say_here_is_refused(text: str, place: str, words: str) -> None:
    faults = faults_of(text)
    assert any(at.startswith(place) and words in told for at, told in faults.items())


def test_every_fault_is_told_at_once() -> None:
    text = """{"policy_id": "A", "verifications": 0, "earn": {"rewrd": "BOTH", "bands": [
        {"upto_minutes": 60, "rate": 0.5}, {"upto_minutes": null, "rate": "1/0"}]}}"""
    assert sorted(faults_of(text)) == [
        *("earn.bands[0].rate", "earn.bands[1].rate", "earn.rewrd", "effective_from"),
        *("policy_id", "verifications"),
    ]


def test_a_hundred_bands_are_the_most() -> None:
    bands: list[Json] = [{"upto_minutes": end, "rate": 1} for end in range(1, 100)]
    bands.append({"upto_minutes": None, "rate": 1})
    policy = parse_policy(document(earn={"reward": "BOTH", "bands": bands}))
    assert len(policy.earn.bands) == 100
    faults = faults_of(document(earn={"reward": "BOTH", "bands": [bands[0], *bands]}))
    assert "at most 100" in faults["earn.bands"]


def test_the_message_counts_the_faults_and_shows_the_first() -> None:
    with pytest.raises(TimebankError, match=r"2 faults: publicity_days: .*, and 1 more"):
        parse_policy(document(verifications=0, publicity_days=-1))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(sorted({*FULL, "policy_id"})), JSON_VALUES, max_size=4),
    st.dictionaries(st.sampled_from(sorted(dict(FULL["earn"]))), JSON_VALUES, max_size=4),  # type: ignore[arg-type]  # it is an object
)
def test_whatever_is_written_is_read_or_refused(
    top: dict[str, Json], earn: dict[str, Json]
) -> None:
    text = document(**{"earn": earn, **top})
    policy: Policy | None = None
    with contextlib.suppress(TimebankError):
        policy = parse_policy(text)
    assert policy is None or parse_policy(policy_to_text(policy)) == policy


@given(st.text())
def test_no_text_is_more_than_refused(text: str) -> None:
    assert faults_of(text)
