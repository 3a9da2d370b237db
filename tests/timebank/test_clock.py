"""Clocks: microseconds since 1970, and a clock that a test moves."""

import time

from timebank.clock import Clock, ManualClock, SystemClock


def test_the_system_clock_gives_microseconds_of_now() -> None:
    before_us = time.time_ns() // 1_000
    now_us = SystemClock().now_us()
    after_us = time.time_ns() // 1_000
    assert before_us <= now_us <= after_us


def test_a_manual_clock_stands_still_until_it_is_moved() -> None:
    clock = ManualClock(1_000)
    assert [clock.now_us(), clock.now_us()] == [1_000, 1_000]
    clock.advance(seconds=2, us=5)
    assert clock.now_us() == 2_001_005
    clock.advance(us=-5)
    assert clock.now_us() == 2_001_000


def test_both_clocks_are_clocks() -> None:
    clocks: list[Clock] = [SystemClock(), ManualClock(7)]
    assert [type(clock.now_us()) for clock in clocks] == [int, int]
