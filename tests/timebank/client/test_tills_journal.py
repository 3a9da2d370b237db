"""The till's journal: what survives a crash, and what is refused."""

import json
import os
import pathlib
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.timebank.client.till_fakes import DATE, TERMINAL
from timebank.client.merchant_views import RedemptionState, RedemptionView
from timebank.client.till_journal import TillJournal
from timebank.client.till_records import Action, Intent, Verdict
from timebank.clock import ManualClock
from timebank.errors import Reason, TimebankError
from timebank.units import Unit

NOON = ManualClock(int(datetime(2026, 11, 30, 4, tzinfo=UTC).timestamp()) * 1_000_000)


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "till" / "journal.jsonl"


@pytest.fixture
def journal(path: pathlib.Path) -> Iterator[TillJournal]:
    with opened(path) as journal:
        yield journal


def opened(path: pathlib.Path, terminal: str = TERMINAL) -> TillJournal:
    return TillJournal.open(path, terminal, clock=NOON)


def sell(journal: TillJournal) -> Intent:
    return journal.intend(
        Action.REDEEM,
        merchant_ref=journal.next_ref(),
        request_id=f"id-{journal.size}",
        offer="coffee",
        quantity=1,
        amount=10,
    )


def view(ref: str, state: RedemptionState, **changed: int) -> RedemptionView:
    amounts = {"captured_amount": 10, "refunded_amount": 0, "held_amount": 0} | changed
    return RedemptionView(
        name=f"redemptions/{ref}",
        merchant_ref=ref,
        state=state,
        unit=Unit.POINTS,
        amount=10,
        cash_fen=0,
        **amounts,
        offer="coffee",
        quantity=1,
        pin_required=False,
        decline_reason="",
        decline_message="",
        expire_time=None,
        business_date=DATE,
        replayed=False,
    )


def captured(journal: TillJournal) -> str:
    intent = sell(journal)
    known = view(intent.merchant_ref, RedemptionState.CAPTURED)
    journal.conclude(intent, Verdict.ANSWERED, view=known)
    return intent.merchant_ref


def refused_reason(path: pathlib.Path, terminal: str = TERMINAL) -> TimebankError:
    with pytest.raises(TimebankError) as refused, opened(path, terminal):
        pass
    return refused.value


def test_references_are_numbered_without_a_gap_also_after_a_restart(path: pathlib.Path) -> None:
    with opened(path) as journal:
        assert captured(journal) == "t1-20261130-000001"
        assert captured(journal) == "t1-20261130-000002"
    with opened(path) as journal:
        assert journal.next_ref() == "t1-20261130-000003"


def test_an_intent_is_on_the_disk_before_the_call(journal: TillJournal, path: pathlib.Path) -> None:
    sell(journal)
    last = json.loads(path.read_bytes().splitlines()[-1])
    assert last["kind"] == "INTENT"
    assert (last["seq"], last["merchant_ref"]) == (2, "t1-20261130-000001")


def test_lines_are_numbered_without_a_gap(journal: TillJournal, path: pathlib.Path) -> None:
    for _ in range(3):
        captured(journal)
    numbers = [json.loads(line)["seq"] for line in path.read_bytes().splitlines()]
    assert numbers == list(range(1, 8))


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_a_torn_last_line_is_cut_off_and_its_number_given_again(
    path: pathlib.Path, cut: int
) -> None:
    with opened(path) as journal:
        ref = captured(journal)
        torn = sell(journal)
    os.truncate(path, path.stat().st_size - cut)
    with opened(path) as journal:
        assert [sale.merchant_ref for sale in journal.sales()] == [ref]
        assert journal.next_ref() == torn.merchant_ref
        assert sell(journal).seq == torn.seq
    with opened(path) as journal:
        assert [sale.merchant_ref for sale in journal.to_ask()] == [torn.merchant_ref]


def test_every_cut_of_a_journal_opens(path: pathlib.Path) -> None:
    with opened(path) as journal:
        captured(journal)
        sell(journal)
    whole = path.read_bytes()
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        with opened(path) as journal:
            lines = whole[:size].count(b"\n")
            assert journal.size == max(1, lines)


def test_zeros_at_the_end_are_a_torn_line(path: pathlib.Path) -> None:
    with opened(path) as journal:
        ref = captured(journal)
    with path.open("ab") as file:
        file.write(bytes(100))
    with opened(path) as journal:
        assert [sale.merchant_ref for sale in journal.sales()] == [ref]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: [lines[0], b"{}\n", *lines[2:]],
        lambda lines: [lines[0], *lines[2:]],
        lambda lines: [lines[0], lines[1], lines[1], *lines[2:]],
        lambda lines: [lines[1], *lines],
    ],
    ids=["changed", "left out", "twice", "no head"],
)
def test_any_other_damage_is_refused_and_nothing_is_changed(
    path: pathlib.Path, spoil: object
) -> None:
    with opened(path) as journal:
        captured(journal)
        captured(journal)
    assert callable(spoil)
    spoiled = b"".join(spoil(path.read_bytes().splitlines(keepends=True)))
    path.write_bytes(spoiled)
    assert refused_reason(path).reason is Reason.VALIDATION_FAILED
    assert path.read_bytes() == spoiled


def test_a_journal_is_one_tills(journal: TillJournal, path: pathlib.Path) -> None:
    assert "another process" in refused_reason(path).message
    journal.close()
    assert "t2" in refused_reason(path, TERMINAL.replace("t1", "t2")).message


def test_after_a_failed_write_nothing_more_is_written(
    journal: TillJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(descriptor: int) -> None:
        raise OSError(5, "as the test says")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="as the test says"):
        sell(journal)
    monkeypatch.undo()
    with pytest.raises(TimebankError, match="open the till again"):
        sell(journal)


def test_a_reversal_waits_until_it_is_answered(path: pathlib.Path) -> None:
    with opened(path) as journal:
        intent = sell(journal)
        ref = intent.merchant_ref
        journal.conclude(intent, Verdict.UNKNOWN)
        assert [sale.merchant_ref for sale in journal.to_ask()] == [ref]
        journal.intend(Action.REVERSE, merchant_ref=ref, request_id="id-r")
    with opened(path) as journal:
        (waiting,) = journal.to_send()
        assert (waiting.merchant_ref, waiting.request_id) == (ref, "id-r")
        assert journal.to_ask() == ()
        journal.conclude(waiting, Verdict.UNKNOWN)
        assert journal.to_send() == (waiting,)
        undone = view(ref, RedemptionState.REVERSED, refunded_amount=10)
        journal.conclude(waiting, Verdict.ANSWERED, view=undone)
        assert journal.to_send() == ()
    with opened(path) as journal:
        assert journal.to_send() == ()
        sale = journal.sale(ref)
        assert sale is not None
        assert sale.state is RedemptionState.REVERSED


def test_a_day_is_exported_as_the_contract_wants_it(journal: TillJournal) -> None:
    done, refused, unknown = sell(journal), sell(journal), sell(journal)
    known = view(done.merchant_ref, RedemptionState.CAPTURED, refunded_amount=3)
    journal.conclude(done, Verdict.ANSWERED, view=known)
    error = TimebankError(Reason.INSUFFICIENT_BALANCE, "not enough")
    journal.conclude(refused, Verdict.REFUSED, error=error)
    journal.conclude(unknown, Verdict.UNKNOWN)
    assert journal.export(DATE).decode() == (
        "merchant_ref,business_date,state,captured_amount,refunded_amount\r\n"
        f"t1-20261130-000001,{DATE},CAPTURED,10,3\r\n"
        f"t1-20261130-000003,{DATE},UNKNOWN,0,0\r\n"
    )
    assert journal.export("2026-12-01").count(b"\n") == 1
