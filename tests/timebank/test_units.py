"""Units: the numbers of the contract, names in both languages, and the limits of an amount."""

import pytest

from timebank.ledger.v1 import account_pb2
from timebank.units import INT64_MAX, INT64_MIN, Unit, fits_int64


def test_the_units_are_those_of_the_contract() -> None:
    descriptor = account_pb2.DESCRIPTOR.pool.FindEnumTypeByName("timebank.ledger.v1.Unit")
    contract = {value.name: value.number for value in descriptor.values if value.number}
    assert {f"UNIT_{unit.name}": unit.value for unit in Unit} == contract


def test_every_unit_has_a_chinese_name_of_its_own_and_a_base() -> None:
    assert len({unit.name_zh for unit in Unit}) == len(Unit)
    assert {unit: unit.base for unit in Unit} == {
        Unit.HOURS: "minutes",
        Unit.TIME: "minutes",
        Unit.POINTS: "points",
        Unit.FUND: "fen",
    }


@pytest.mark.parametrize(
    ("amount", "fits"),
    [
        (0, True),
        (INT64_MAX, True),
        (INT64_MIN, True),
        (INT64_MAX + 1, False),
        (INT64_MIN - 1, False),
    ],
)
def test_an_amount_fits_into_64_signed_bits_or_not(amount: int, fits: bool) -> None:
    assert fits_int64(amount) is fits
    assert (INT64_MIN, INT64_MAX) == (-(2**63), 2**63 - 1)
