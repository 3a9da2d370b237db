"""What the ledger shows to Prometheus."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ledger.domain.entry import Entry
from ledger.domain.facts import Evidence, Record

BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)
SECONDS_BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class LedgerMetrics:
    """Metrics of one ledger, labelled with its id."""

    def __init__(self, families: "LedgerMetricFamilies", ledger_id: str) -> None:
        self.batch_items = families.batch_items.labels(ledger_id)
        self.commit_seconds = families.commit_seconds.labels(ledger_id)
        self.queue_items = families.queue_items.labels(ledger_id)
        self.log_entries = families.log_entries.labels(ledger_id)
        self.sweeps = families.sweeps.labels(ledger_id)
        self.sweep_lag_seconds = families.sweep_lag_seconds.labels(ledger_id)
        self.families = families
        self.ledger_id = ledger_id
        self.recorded_minutes = families.recorded_minutes.labels(ledger_id)
        self.back_entry_minutes = families.back_entry_minutes.labels(ledger_id)
        self.back_entry_alarms = families.back_entry_alarms.labels(ledger_id)

    def count_records(self, entries: Iterable[Entry]) -> None:
        """Counts the service records that entries are about, and what their officers entered
        afterwards.
        """
        for entry in entries:
            for fact in entry.facts:
                if type(fact) is Record:
                    self.families.records.labels(self.ledger_id, fact.state.name).inc()
                    if entry.natural_key and fact.recorder:
                        self._count_recorded(fact)

    def _count_recorded(self, record: Record) -> None:
        self.recorded_minutes.inc(record.minutes)
        if record.evidence is Evidence.C:
            self.back_entry_minutes.inc(record.minutes)
        if record.alarm:
            self.back_entry_alarms.inc()


class LedgerMetricFamilies:
    """The metric families, registered once."""

    def __init__(self, registry: CollectorRegistry) -> None:
        ledger = ("ledger",)
        self.batch_items = Histogram(
            "timebank_ledger_batch_items",
            "Requests committed together",
            ledger,
            buckets=BATCH_BUCKETS,
            registry=registry,
        )
        self.commit_seconds = Histogram(
            "timebank_ledger_commit_seconds",
            "From taking a batch to its commit",
            ledger,
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self.queue_items = Gauge(
            "timebank_ledger_queue_items",
            "Requests that wait for the next commit",
            ledger,
            registry=registry,
            multiprocess_mode="livesum",
        )
        self.log_entries = Gauge(
            "timebank_ledger_log_entries",
            "Entries in the log as last seen",
            ledger,
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.sweeps = Counter(
            "timebank_ledger_sweeps_total",
            "Rounds of the expiry sweeper",
            ledger,
            registry=registry,
        )
        self.sweep_lag_seconds = Gauge(
            "timebank_ledger_sweep_lag_seconds",
            "Age of the oldest expiry that was due at the last sweep",
            ledger,
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.records = Counter(
            "timebank_ledger_records_total",
            "Service records that came to stand so",
            ("ledger", "state"),
            registry=registry,
        )
        self.recorded_minutes = Counter(
            "timebank_ledger_recorded_minutes_total",
            "Minutes of service that officers and services recorded",
            ledger,
            registry=registry,
        )
        self.back_entry_minutes = Counter(
            "timebank_ledger_back_entry_minutes_total",
            "Minutes of them that were entered afterwards (class C)",
            ledger,
            registry=registry,
        )
        self.back_entry_alarms = Counter(
            "timebank_ledger_back_entry_alarms_total",
            "Records that pushed an officer's share of back-entries above the policy's alarm",
            ledger,
            registry=registry,
        )
