"""Quarters of the calendar in a zone, and their sums."""

import pytest

from merchant.domain.business_days import from_us
from merchant.domain.documents import Income
from merchant.domain.fund_statements import Total, quarter_of, sum_up
from timebank.errors import Reason, TimebankError

QUARTERS = [
    (2026, 1, "2025-12-31T16:00:00+00:00", "2026-03-31T16:00:00+00:00"),
    (2026, 4, "2026-09-30T16:00:00+00:00", "2026-12-31T16:00:00+00:00"),
]


@pytest.mark.parametrize(("year", "quarter", "start", "end"), QUARTERS)
def test_a_quarter_lasts_from_midnight_to_midnight(
    year: int, quarter: int, start: str, end: str
) -> None:
    found = quarter_of(year, quarter, zone="Asia/Shanghai")
    assert (from_us(found.start_us).isoformat(), from_us(found.end_us).isoformat()) == (start, end)


@pytest.mark.parametrize(("year", "quarter"), [(1999, 1), (9999, 4), (2026, 0), (2026, 5)])
def test_what_is_no_quarter_is_refused(year: int, quarter: int) -> None:
    with pytest.raises(TimebankError) as refused:
        quarter_of(year, quarter, zone="Asia/Shanghai")
    assert refused.value.reason is Reason.VALIDATION_FAILED


def test_incomes_are_summed_by_source() -> None:
    incomes = [Income(f"i{n}", n % 2, 10 + n, "", f"r{n}", "e", 0) for n in range(3)]
    assert sum_up(incomes, []) == ((Total(0, 22, 2), Total(1, 11, 1)), ())
