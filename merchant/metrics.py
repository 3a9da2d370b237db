"""What the merchant service shows to Prometheus."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from merchant.domain.documents import (
    Batch,
    Budget,
    Code,
    Comparison,
    Document,
    Item,
    Redemption,
    Tries,
)
from merchant.domain.payment_codes import WRONG_TRIES_MAX
from merchant.domain.places import Key
from merchant.domain.reconciliation_rules import Outcome
from merchant.domain.settlement_rules import BatchState
from merchant.domain.states import RedemptionState
from timebank.errors import Reason

BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
SECONDS_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
QUESTIONS_MAX = 200
"""Open questions that a sweep sees."""
OTHER = "OTHER"
"""Stands for a reason that this program does not know, and for a fault that has none."""


class Committed(NamedTuple):
    """A batch of one writer: how many requests it had and how many wait by now, from taking it to
    its commit in seconds, and each document that it changed, before and after.
    """

    requests: int
    queued: int
    seconds: float
    changes: Iterable[tuple[Document | None, Document]]


class MerchantMetrics:
    """Metrics of one programme, labelled with its ledger."""

    def __init__(self, families: MerchantMetricFamilies, ledger_id: str) -> None:
        self._families = families
        self._ledger_id = ledger_id
        self._batch_requests = families.batch_requests.labels(ledger_id)
        self._commit_seconds = families.commit_seconds.labels(ledger_id)
        self._queue_requests = families.queue_requests.labels(ledger_id)
        self._codes_issued = families.codes_issued.labels(ledger_id)
        self._lockouts = families.lockouts.labels(ledger_id)
        self._batches_closed = families.batches_closed.labels(ledger_id)
        self._lines_settled = families.lines_settled.labels(ledger_id)
        self._open_questions = families.open_questions.labels(ledger_id)
        self._oldest_question_seconds = families.oldest_question_seconds.labels(ledger_id)
        self._budget_left_fen = families.budget_left_fen.labels(ledger_id)
        self._sweeps = families.sweeps.labels(ledger_id)

    def committed(self, batch: Committed) -> None:
        """Counts a batch whose commit is certain; one that is asked about again is not counted
        twice.
        """
        self._batch_requests.observe(batch.requests)
        self._commit_seconds.observe(batch.seconds)
        self._queue_requests.set(batch.queued)
        moves: collections.Counter[tuple[str, str]] = collections.Counter()
        for before, after in batch.changes:
            if isinstance(after, Redemption):
                self._count_redemption(before, after, moves)
            else:
                self._count_change(before, after)
        for move, count in moves.items():
            self._count_move(move, count)

    def swept(self, questions: Sequence[int], now_us: int, budgets: Iterable[Budget]) -> None:
        """Takes in what a sweep has seen: since when questions are open, and the budgets."""
        self._sweeps.inc()
        self._open_questions.set(len(questions))
        age_us = max(now_us - min(questions, default=now_us), 0)
        self._oldest_question_seconds.set(age_us / 1_000_000)
        self._budget_left_fen.set(sum(_left_fen(budget, now_us) for budget in budgets))

    def _count_change(self, before: Document | None, after: Document) -> None:
        if isinstance(after, Code):
            if before is None:
                self._codes_issued.inc()
        elif isinstance(after, Tries):
            wrong_before = before.wrong if isinstance(before, Tries) else 0
            if wrong_before < WRONG_TRIES_MAX <= after.wrong:
                self._lockouts.inc()
        elif isinstance(after, Batch):
            self._count_batch(before, after)
        elif before is None and isinstance(after, Item):
            self._count_items(after.outcome, 1)
        elif before is None and isinstance(after, Comparison):
            self._count_items(Outcome.MATCHED, after.matched_count)

    def _count_redemption(
        self,
        before: Document | None,
        after: Redemption,
        moves: collections.Counter[tuple[str, str]],
    ) -> None:
        if isinstance(before, Redemption) and before.state is after.state:
            return
        declined = after.state is RedemptionState.DECLINED
        moves[after.state.name, _known_reason(after.reason) if declined else ""] += 1
        if after.state is RedemptionState.REVERSED:
            self._families.reversals.labels(self._ledger_id, _what_was_reversed(after)).inc()

    def _count_move(self, move: tuple[str, str], count: int) -> None:
        self._families.redemptions.labels(self._ledger_id, *move).inc(count)

    def _count_batch(self, before: Document | None, after: Batch) -> None:
        stood = before.state if isinstance(before, Batch) else ""
        if after.state == BatchState.CLOSED and stood != BatchState.CLOSED:
            self._batches_closed.inc()
            self._lines_settled.inc(after.line_count)

    def _count_items(self, outcome: str, count: int) -> None:
        known = outcome if outcome in Outcome.__members__ else OTHER
        self._families.reconciliations.labels(self._ledger_id, known).inc(count)


def changes_of(
    before: Mapping[Key, Document | None], after: Mapping[Key, Document]
) -> list[tuple[Document | None, Document]]:
    """Pairs what a batch changed with what was there before."""
    return [(before.get(key), document) for key, document in after.items()]


def _left_fen(budget: Budget, now_us: int) -> int:
    """Gives the fen that new redemptions may still reserve; a budget that is over has none."""
    if budget.valid_until_us and budget.valid_until_us <= now_us:
        return 0
    return max(budget.limit_fen - budget.reserved_fen - budget.spent_fen, 0)


def _what_was_reversed(redemption: Redemption) -> str:
    if not redemption.fingerprint:
        return "NOTHING"
    return "CAPTURED" if redemption.captured else "HELD"


def _known_reason(reason: str) -> str:
    return reason if reason in Reason.__members__ else OTHER


class MerchantMetricFamilies:
    """The metric families, registered once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        ledger = ("ledger",)

        def counter(name: str, text: str, labels: Sequence[str] = ledger) -> Counter:
            return Counter(f"timebank_merchant_{name}_total", text, labels, registry=registry)

        def gauge(name: str, text: str, mode: Literal["livesum", "livemax"]) -> Gauge:
            name = f"timebank_merchant_{name}"
            return Gauge(name, text, ledger, registry=registry, multiprocess_mode=mode)

        def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
            name = f"timebank_merchant_{name}"
            return Histogram(name, text, ledger, registry=registry, buckets=buckets)

        self.batch_requests = histogram(
            "batch_requests", "Requests carried out together", BATCH_BUCKETS
        )
        self.commit_seconds = histogram(
            "commit_seconds", "From taking a batch to its commit", SECONDS_BUCKETS
        )
        self.queue_requests = gauge(
            "queue_requests", "Requests that waited for the next commit at the last one", "livesum"
        )
        self.redemptions = counter(
            "redemptions",
            "Redemptions that came to stand so; why, when they were declined",
            ("ledger", "state", "reason"),
        )
        self.reversals = counter(
            "reversals",
            "Redemptions that were reversed, by what there was of them",
            ("ledger", "reversed"),
        )
        self.open_questions = gauge(
            "open_questions",
            f"Redemptions whose ledger has not answered, as last swept, at most {QUESTIONS_MAX}",
            "livemax",
        )
        self.oldest_question_seconds = gauge(
            "oldest_question_seconds", "Age of the oldest of them, 0 without any", "livemax"
        )
        self.sweeps = counter("sweeps", "Rounds of the sweeper")
        self.budget_left_fen = gauge(
            "budget_left_fen", "Fen that new redemptions may reserve in all budgets", "livemax"
        )
        self.codes_issued = counter("payment_codes_issued", "Payment codes that were issued")
        self.codes_refused = counter(
            "payment_codes_refused",
            "Payment codes and cards that did not pay, by cause",
            ("ledger", "cause"),
        )
        self.lockouts = counter(
            "till_lockouts", "Tills locked for a minute after too many wrong codes"
        )
        self.batches_closed = counter("batches_closed", "Settlement batches that were closed")
        self.lines_settled = counter("lines_settled", "Lines of the batches that were closed")
        self.closings_failed = counter(
            "closings_failed",
            "What a round of the closer could not close or finish, by cause",
            ("ledger", "reason"),
        )
        self.reconciliations = counter(
            "reconciliations",
            "Rows of journals and payout advices that were compared, by outcome",
            ("ledger", "outcome"),
        )

    def of(self, ledger_id: str) -> MerchantMetrics:
        """Gives the metrics of a programme."""
        return MerchantMetrics(self, ledger_id)

    def count_refused_code(self, ledger_id: str, cause: str) -> None:
        """Counts a code or card that did not pay; the ledger is one that exists."""
        self.codes_refused.labels(ledger_id, cause).inc()

    def count_failed_closing(self, ledger_id: str, reason: str) -> None:
        """Counts what a round of the closer could not end; the ledger is one that exists."""
        self.closings_failed.labels(ledger_id, reason).inc()
