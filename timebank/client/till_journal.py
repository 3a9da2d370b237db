"""The journal of a till: one file that is only appended to, and that a crash cannot confuse.

Owns: the file, its sequence, and what it says of sales and of what is still to be sent. Refuses:
talking to a server (see till_recipes.py). Rules: what the till is about to ask is on the disk
(fsync) before the call goes out, and what came of it is on the disk before anybody is told. Lines
are numbered from 1 without a gap; the first names the till. A last line that is torn, as a power
cut leaves one, is cut off: its call never went out. Any other damage is refused. One process at a
time holds a journal, so that no number is given twice.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from zoneinfo import ZoneInfo

from timebank.client.merchant_views import RedemptionView
from timebank.client.till_records import (
    SALES,
    SENT_AGAIN,
    Action,
    Intent,
    Outcome,
    Sale,
    Verdict,
    after_outcome,
    begun,
    from_cells,
    said_of,
    to_line,
)
from timebank.client.times import time_from_us
from timebank.clock import Clock, SystemClock
from timebank.errors import Reason, TimebankError

LINE_BYTES_MAX = 16_384
FILE_MODE = 0o600
DIRECTORY_MODE = 0o700
COLUMNS = ("merchant_ref", "business_date", "state", "captured_amount", "refunded_amount")
ZONE = "Asia/Shanghai"


class TillJournal:
    """What one till asked and was answered."""

    def __init__(self, path: Path, terminal: str, *, clock: Clock, zone: tzinfo) -> None:
        """Use `open`."""
        self._path = path
        self._terminal = terminal
        self._clock = clock
        self._zone = zone
        self._seq = 0
        self._broken = False
        self._intents: dict[int, Intent] = {}
        self._waiting: dict[int, Intent] = {}
        self._sales: dict[str, Sale] = {}
        self._file: BinaryIO | None = None

    @classmethod
    def open(
        cls,
        path: Path,
        terminal: str,
        *,
        clock: Clock | None = None,
        zone: tzinfo | None = None,
    ) -> Self:
        """Opens the journal of a till, by its resource name, and makes it when there is none.

        Raises VALIDATION_FAILED when another process holds it, when it is another till's, and when
        a line other than the last is damaged; OSError when it cannot be read or written.
        """
        journal = cls(path, terminal, clock=clock or SystemClock(), zone=zone or ZoneInfo(ZONE))
        journal._open()
        return journal

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Lets the file go, for another process to hold."""
        if self._file is not None:
            self._file.close()
            self._file = None

    @property
    def size(self) -> int:
        """Gives the number of the last line."""
        return self._seq

    @property
    def today(self) -> str:
        """Gives the till's date, YYYY-MM-DD."""
        return f"{self._now().astimezone(self._zone):%Y-%m-%d}"

    def next_ref(self) -> str:
        """Gives the merchant's reference of the next sale, such as `t1-20261130-000007`.

        Sales are numbered from 1 without a gap, whatever the day.
        """
        number = len(self._sales) + 1
        return f"{self._terminal.rpartition('/')[2]}-{self.today.replace('-', '')}-{number:06}"

    def next_op_ref(self) -> str:
        """Gives the merchant's reference of the next capture or refund: the number of its line."""
        return f"{self._terminal.rpartition('/')[2]}-{self._seq + 1:06}"

    def intend(
        self,
        action: Action,
        *,
        merchant_ref: str,
        request_id: str,
        name: str = "",
        op_ref: str = "",
        offer: str = "",
        quantity: int = 0,
        amount: int = 0,
        final: bool = False,
    ) -> Intent:
        """Writes down what is asked next; only then may the call go out.

        Raises OSError when it cannot be written, and VALIDATION_FAILED after an earlier such
        failure: the till must be opened again.
        """
        intent = Intent(
            seq=self._seq + 1,
            time=self._time(),
            date=self.today,
            action=action,
            merchant_ref=merchant_ref,
            request_id=request_id,
            name=name,
            op_ref=op_ref,
            offer=offer,
            quantity=quantity,
            amount=amount,
            final=final,
        )
        self._append(to_line(intent))
        self._take_intent(intent)
        return intent

    def conclude(
        self,
        intent: Intent,
        verdict: Verdict,
        *,
        view: RedemptionView | None = None,
        error: TimebankError | None = None,
    ) -> Outcome:
        """Writes down what came of an intent, also a second time when the truth comes later.

        Raises as `intend`.
        """
        outcome = Outcome(
            seq=self._seq + 1,
            time=self._time(),
            of=intent.seq,
            verdict=verdict,
            **said_of(view, error),
        )
        self._append(to_line(outcome))
        self._take_outcome(outcome)
        return outcome

    def sale(self, merchant_ref: str) -> Sale | None:
        """Gives a sale of this till."""
        return self._sales.get(merchant_ref)

    def sales(self, date: str = "") -> tuple[Sale, ...]:
        """Gives the sales of a business date in order; of no date: all."""
        return tuple(sale for sale in self._sales.values() if not date or sale.day == date)

    def to_send(self) -> tuple[Intent, ...]:
        """Gives what is to be sent until it is answered, oldest first: reversals, refunds, voids
        and captures.
        """
        return tuple(self._waiting.values())

    def to_ask(self) -> tuple[Sale, ...]:
        """Gives the sales whose truth is to be looked up; not those that are being reversed."""
        found = (sale for sale in self._sales.values() if sale.is_open)
        return tuple(sale for sale in found if not sale.reversal_waits)

    def intent_of(self, merchant_ref: str) -> Intent | None:
        """Gives the intent that began a sale."""
        return next(
            (
                intent
                for intent in self._intents.values()
                if intent.merchant_ref == merchant_ref and intent.action in SALES
            ),
            None,
        )

    def export(self, date: str) -> bytes:
        """Gives the sales of a business date as the CSV that SubmitMerchantJournal takes.

        What the server refused is left out: it made no redemption. What is not known yet stands in
        it as UNKNOWN, for the comparison to find.
        """
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerow(COLUMNS)
        for sale in self.sales(date):
            if not sale.refused:
                writer.writerow(
                    (
                        sale.merchant_ref,
                        sale.day,
                        sale.state.value,
                        sale.captured_amount,
                        sale.refunded_amount,
                    )
                )
        return text.getvalue().encode("utf-8")

    def _open(self) -> None:
        self._path.parent.mkdir(mode=DIRECTORY_MODE, parents=True, exist_ok=True)
        is_new = not self._path.exists()
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, FILE_MODE)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._read(self._file)
            if not self._seq:
                head = {"kind": "JOURNAL", "seq": 1, "terminal": self._terminal}
                self._append(json.dumps(head, ensure_ascii=False).encode("utf-8") + b"\n")
        except BlockingIOError as error:
            self.close()
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"journal {self._path}: another process holds it; one till, one process",
            ) from error
        except BaseException:
            self.close()
            raise
        if is_new:
            _sync_directory(self._path.parent)

    def _read(self, file: BinaryIO) -> None:
        """Reads every line and cuts a torn last one off."""
        good_bytes = 0
        with open(self._path, "rb") as lines:
            while line := lines.readline(LINE_BYTES_MAX + 1):
                try:
                    self._take_line(line)
                except (ValueError, RecursionError) as error:
                    if lines.read(1):
                        raise TimebankError(
                            Reason.VALIDATION_FAILED,
                            f"journal {self._path}: line {self._seq + 1} is damaged ({error}); "
                            "keep the file as it is and restore it, or begin in a new directory",
                        ) from error
                    file.truncate(good_bytes)
                    os.fsync(file.fileno())
                    return
                good_bytes += len(line)

    def _take_line(self, line: bytes) -> None:
        if not line.endswith(b"\n"):
            raise ValueError("it does not end")
        cells = json.loads(line)
        if not isinstance(cells, dict) or cells.get("seq") != self._seq + 1:
            raise ValueError(f"expected the line with seq {self._seq + 1}")
        if not self._seq:
            self._check_head(cells)
        else:
            record = from_cells(cells)
            if isinstance(record, Intent):
                self._take_intent(record)
            elif record.of in self._intents:
                self._take_outcome(record)
            else:
                raise ValueError(f"it is about line {record.of}, which is no intent")
        self._seq += 1

    def _check_head(self, cells: dict[str, object]) -> None:
        if cells.get("kind") != "JOURNAL":
            raise ValueError("expected the line that names the till")
        if cells.get("terminal") != self._terminal:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"journal {self._path}: expected that of {self._terminal}, "
                f"got that of {str(cells.get('terminal'))[:200]}; give each till its directory",
            )

    def _take_intent(self, intent: Intent) -> None:
        self._intents[intent.seq] = intent
        ref = intent.merchant_ref
        if intent.action in SALES:
            self._sales[ref] = begun(intent)
        if intent.action in SENT_AGAIN:
            self._waiting[intent.seq] = intent
        if intent.action is Action.REVERSE and ref in self._sales:
            self._sales[ref] = replace(self._sales[ref], reversal_waits=True)

    def _take_outcome(self, outcome: Outcome) -> None:
        intent = self._intents[outcome.of]
        ref = intent.merchant_ref
        if outcome.verdict is not Verdict.UNKNOWN:
            self._waiting.pop(intent.seq, None)
        if ref not in self._sales:
            return
        sale = after_outcome(self._sales[ref], intent, outcome)
        reversal_waits = any(
            one.action is Action.REVERSE and one.merchant_ref == ref
            for one in self._waiting.values()
        )
        self._sales[ref] = replace(sale, reversal_waits=reversal_waits)

    def _append(self, line: bytes) -> None:
        if self._file is None or self._broken:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"journal {self._path}: it is closed, or could not be written before; "
                "open the till again",
            )
        if len(line) > LINE_BYTES_MAX:
            raise TimebankError(
                Reason.VALIDATION_FAILED,
                f"journal: expected a line of at most {LINE_BYTES_MAX} bytes, got {len(line)}",
            )
        try:
            if self._file.write(line) != len(line):
                raise OSError(f"journal {self._path}: the disk took a part of a line only")
            os.fsync(self._file.fileno())
        except OSError:
            self._broken = True
            raise
        self._seq += 1

    def _now(self) -> datetime:
        return time_from_us(self._clock.now_us())

    def _time(self) -> str:
        return f"{self._now():%Y-%m-%dT%H:%M:%S.%fZ}"


def _sync_directory(directory: Path) -> None:
    """Makes a new file's name durable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
