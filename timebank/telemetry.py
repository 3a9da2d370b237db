"""What the process tells: structured logs, and rate, errors and duration of every method.

Owns: the format of logs and the metrics of calls. Refuses: the default registry and global loggers.
Rules: a log line is one JSON object (or one readable line); secrets and request bodies are in none.
"""

import logging
from typing import NamedTuple, TextIO

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from structlog.typing import FilteringBoundLogger, Processor

SECONDS_BUCKETS = (
    *(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)


def open_logger(stream: TextIO, *, level: str, format: str) -> FilteringBoundLogger:
    """Makes the logger of a process: `level` is debug, info, warning or error, `format` json or
    console.
    """
    last: Processor = (
        # Not the default traceback: it shows local variables, and with them tokens.
        structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if format == "console"
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        last,
    ]
    if format == "console":
        processors.remove(structlog.processors.format_exc_info)
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream),
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        context_class=dict,
    )
    return logger


class LibraryLogs(logging.Handler):
    """Passes what libraries log on to the process's logger."""

    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Writes one record under the name of its library."""
        self._logger.log(
            record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info
        )


def take_library_logs(logger: FilteringBoundLogger, *, level: str) -> None:
    """Makes everything that libraries log in this process go through the logger."""
    root = logging.getLogger()
    root.handlers[:] = [LibraryLogs(logger)]
    root.setLevel(max(logging.getLevelName(level.upper()), logging.INFO))
    for name in ("uvicorn.access", "uvicorn.error"):
        logging.getLogger(name).setLevel(logging.WARNING)


class MethodMetrics(NamedTuple):
    """What is counted of one method; counters of failures are made when first needed."""

    service: str
    method: str
    seconds: Histogram
    succeeded: Counter


class RpcMetrics:
    """Rate, errors and duration of calls, by method."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "timebank_rpc_seconds",
            "Duration of a call in seconds.",
            ["service", "method"],
            buckets=SECONDS_BUCKETS,
            registry=registry,
        )
        self._calls = Counter(
            "timebank_rpc",
            "Calls that ended, by status code.",
            ["service", "method", "code"],
            registry=registry,
        )
        self.in_flight = Gauge(
            "timebank_rpc_in_flight",
            "Calls under way.",
            multiprocess_mode="livesum",
            registry=registry,
        )

    def method(self, path: str) -> MethodMetrics:
        """Gives the metrics of the method at `/service/method`."""
        service, _, method = path[1:].partition("/")
        return MethodMetrics(
            service,
            method,
            self._seconds.labels(service, method),
            self._calls.labels(service, method, "OK"),
        )

    def failed(self, method: MethodMetrics, code: str) -> None:
        """Counts a call that ended with another status than OK."""
        self._calls.labels(method.service, method.method, code).inc()
