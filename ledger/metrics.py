"""What the ledger shows to Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

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
