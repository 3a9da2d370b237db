"""The four units of account 计量单位 and the limits of a 64-bit amount."""

import enum

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1


class Unit(enum.IntEnum):
    """What an account counts; the numbers are those of the contract."""

    HOURS = 1
    TIME = 2
    POINTS = 3
    FUND = 4

    @property
    def name_zh(self) -> str:
        """Gives the Chinese name."""
        return _NAMES_ZH[self]

    @property
    def base(self) -> str:
        """Gives what an amount of 1 is: minutes, points or fen."""
        return _BASES[self]


_NAMES_ZH = {
    Unit.HOURS: "服务时长",
    Unit.TIME: "时间币",
    Unit.POINTS: "积分",
    Unit.FUND: "专项基金",
}
_BASES = {Unit.HOURS: "minutes", Unit.TIME: "minutes", Unit.POINTS: "points", Unit.FUND: "fen"}


def fits_int64(amount: int) -> bool:
    """Says whether an amount fits into 64 signed bits."""
    return INT64_MIN <= amount <= INT64_MAX
