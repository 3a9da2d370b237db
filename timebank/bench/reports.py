"""How the figures are told: a table for people, one JSON object for programs.

Owns: ratios. Rules: a ratio compares with the case `empty` of the same run and database; a figure
without one is absent, not zero.
"""

import dataclasses
import json
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from timebank.bench.cases import EMPTY, Figure
from timebank.bench.machine import Machine

ROUNDED_DIGITS = 3


def ratio_to_empty(figure: Figure, figures: Sequence[Figure]) -> float | None:
    """Gives the rate as a share of the empty call's; None without one."""
    for other in figures:
        if (other.case, other.database) == (EMPTY, figure.database) and other.rate_per_s:
            return figure.rate_per_s / other.rate_per_s
    return None


def as_json(machine: Machine, seconds: float, figures: Sequence[Figure]) -> str:
    """Gives everything as one JSON object."""
    cases = [
        dataclasses.asdict(figure) | {"ratio_to_empty": ratio_to_empty(figure, figures)}
        for figure in figures
    ]
    rounded = [
        {
            key: round(value, ROUNDED_DIGITS) if isinstance(value, float) else value
            for key, value in row.items()
        }
        for row in cases
    ]
    document = {"machine": dataclasses.asdict(machine), "seconds": seconds, "cases": rounded}
    return json.dumps(document, ensure_ascii=False, indent=2)


def show(console: Console, machine: Machine, seconds: float, figures: Sequence[Figure]) -> None:
    """Prints the table."""
    table = Table(title_justify="left", caption_justify="left")
    table.title = f"timebank bench, {seconds:g} s a case: {machine}"
    table.caption = (
        "Rates are acknowledged entries (reads: answers) a second; ratios compare with `empty` of "
        "the same run; batch is the mean number of requests in a commit; processors in cores. "
        "Durability is on throughout."
    )
    table.add_column("Case 项目", no_wrap=True)
    table.add_column("Database", no_wrap=True)
    for heading in ("per s", "ratio", "p50 ms", "p99 ms", "batch", "CPU server/load/db"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("Log exact")
    table.add_column("Audit 审计")
    for figure in figures:
        table.add_row(*_row(figure, figures))
    console.print(table)
    for figure in figures:
        notes = [note for note in (figure.note, figure.warning) if note]
        notes += [f"{count:,} x {what}" for what, count in (figure.failures or {}).items()]
        if notes:
            console.print(f"{figure.case} on {figure.database}: {'; '.join(notes)}")


def _row(figure: Figure, figures: Sequence[Figure]) -> list[str]:
    ratio = ratio_to_empty(figure, figures)
    processors = (figure.server_cpu, figure.generator_cpu, figure.database_cpu)
    return [
        figure.case,
        figure.database,
        f"{figure.rate_per_s:,.0f}",
        _number(ratio, ".2f"),
        _number(figure.p50_ms, ",.1f"),
        _number(figure.p99_ms, ",.1f"),
        _number(figure.batch_items_mean, ",.0f"),
        " / ".join(_number(cores, ".2f") for cores in processors),
        _verdict(figure.log_grew_exactly),
        _verdict(figure.audit_passed),
    ]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _verdict(good: bool | None) -> str:
    if good is None:
        return "–"
    return "yes" if good else "NO 否"
