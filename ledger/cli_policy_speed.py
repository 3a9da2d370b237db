"""`timebank policy measure`: how many records a second this machine puts through a policy."""

from __future__ import annotations

import datetime
import time
from typing import Annotated

import typer
from rich.console import Console

from ledger.domain.calendar import to_us
from ledger.domain.earning import Service, earn, tally_keys
from ledger.domain.policy_text import parse_policy
from ledger.domain.service_split import policy_version
from ledger.policies import load_preset

ZONE = "Asia/Shanghai"
RECORDS = 100_000
MINUTES = 60


def measure(
    preset: Annotated[str, typer.Argument(help="A preset 预设, see `timebank policy list`.")] = (
        "hailin"
    ),
    records: Annotated[int, typer.Option(help="Records to evaluate.", min=1)] = RECORDS,
) -> None:
    """Measures the policy engine in one core, without a database. 政策计算速度."""
    version = policy_version("measured@1", parse_policy(load_preset(preset)), ZONE)
    timeline = (version,)
    start_us = to_us(datetime.datetime(2026, 3, 2, 9, tzinfo=datetime.UTC))
    sums: dict[tuple[str, str], int] = {}
    earned = 0
    started_s = time.perf_counter()
    for number in range(records):
        begin_us = start_us + (number % 300) * 86_400_000_000
        service = Service(begin_us, begin_us + MINUTES * 60_000_000, MINUTES, "A")
        known = {key: sums.get(key, 0) for key in tally_keys(timeline, service, ZONE)}
        credit = earn(timeline, service, zone=ZONE, tallies=known, stored_time=0)
        for key, amount in credit.tallies:
            sums[key] = sums.get(key, 0) + amount
        earned += credit.hours
    elapsed_s = time.perf_counter() - started_s
    rate = f"{records / elapsed_s:,.0f} records a second"
    Console().print(f"{preset}: {rate} ({records:,} records, {earned:,} minutes)")
