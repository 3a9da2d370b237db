"""The configuration: every setting, its default, and the rules between settings.

Owns: the names, types, limits and defaults of all settings. Refuses: where values come from (see
settings.py) and secrets themselves: they are named as files.
Rules: a configuration never changes after it was read; unknown keys are refused with the nearest
known one; every problem is told at once.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from timebank.settings import build, known_keys, read_settings

PORT_MAX = 65_535
WORKERS_MAX = 64
MESSAGE_BYTES_MAX = 64 * 1024 * 1024
SQLITE_SCHEMES = ("sqlite", "sqlite+aiosqlite", "sqlite+pysqlite")
POSTGRESQL_SCHEMES = ("postgresql", "postgresql+asyncpg", "postgres")


def _address(text: str) -> str:
    """Checks `host:port`; an IPv6 host stands in brackets."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    good = colon and bare and (":" not in bare or host != bare) and not set(bare) & set("[]/ ")
    if not good or not (port.isascii() and port.isdigit()) or int(port) > PORT_MAX:
        raise ValueError(f"expected host:port such as 127.0.0.1:50051 or [::1]:50051, got {text!r}")
    return text


_SECRETS = frozenset({"password", "passfile", "sslpassword"})
"""Parameters of a database url that may not stand in a configuration."""


def _database_url(text: str) -> str:
    """Checks the kind of a database url, and that no secret stands in it."""
    scheme, _, rest = text.partition("://")
    if scheme not in SQLITE_SCHEMES + POSTGRESQL_SCHEMES:
        raise ValueError(
            "expected sqlite:///path/to/ledger.db or postgresql://user@host:5432/database"
        )
    if scheme in SQLITE_SCHEMES:
        if not rest.startswith("/") or len(rest) < 2 or rest == "/:memory:" or "?" in rest:
            raise ValueError("expected a file: sqlite:///path or, from the root, sqlite:////path")
        return text
    parts = urlsplit(text)
    if parts.password is not None or _SECRETS.intersection(parse_qs(parts.query)):
        raise ValueError(
            "expected a url without a password; write the password into a file "
            "and set database.password_file"
        )
    return text


def _service(text: str) -> str:
    if not text.isidentifier() or not text.islower():
        raise ValueError(f"expected the lower-case name of a service, such as ledger, got {text!r}")
    return text


Address = Annotated[str, AfterValidator(_address)]
Service = Annotated[str, AfterValidator(_service)]
File = Annotated[Path | None, BeforeValidator(lambda value: None if value == "" else value)]
"""A file that may be left out, also by an empty text."""
Amount = Annotated[int, Field(strict=True, ge=1)]
"""A positive whole number; the unit ends the name of the setting."""


class Section(BaseModel):
    """What all sections have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ServerConfig(Section):
    """Where the server listens and what it allows a connection."""

    grpc_address: Address = "127.0.0.1:50051"
    http_address: Address = "127.0.0.1:9464"
    workers: Annotated[int, Field(strict=True, ge=1, le=WORKERS_MAX)] = 1
    drain_seconds: Annotated[int, Field(strict=True, ge=0)] = 30
    message_bytes_max: Annotated[int, Field(strict=True, ge=65_536, le=MESSAGE_BYTES_MAX)] = (
        16 * 1024 * 1024
    )
    deadline_default_seconds: Amount = 10
    deadline_seconds_max: Amount = 60
    max_connection_age_seconds: Amount = 1_800

    @model_validator(mode="after")
    def _check_deadlines(self) -> Self:
        if self.deadline_default_seconds > self.deadline_seconds_max:
            raise ValueError(
                f"deadline_default_seconds: expected at most deadline_seconds_max "
                f"({self.deadline_seconds_max}), got {self.deadline_default_seconds}"
            )
        return self


class DatabaseConfig(Section):
    """Which database holds the truth, and whether `serve` may change its tables."""

    url: Annotated[str, AfterValidator(_database_url)] = "sqlite:///data/ledger.db"
    password_file: File = None
    migrate: Literal["auto", "never"] = "auto"
    connections_max: Annotated[int, Field(strict=True, ge=2, le=1_000)] = 10
    statement_seconds_max: Amount = 30
    idle_transaction_seconds_max: Amount = 5
    connect_seconds_max: Amount = 5

    @property
    def is_sqlite(self) -> bool:
        """Tells whether the database is a SQLite file."""
        return self.url.partition("://")[0] in SQLITE_SCHEMES


class MerchantDatabaseConfig(DatabaseConfig):
    """The merchant service's own database: a SQLite file beside the ledger's, or PostgreSQL."""

    url: Annotated[str, AfterValidator(_database_url)] = "sqlite:///data/merchant.db"


class IdentityConfig(Section):
    """How callers show who they are; `development` makes everybody without a token an operator."""

    mode: Literal["none", "development", "token"] = "none"
    issuer: str = ""
    audience: str = ""
    jwks_file: File = None
    tls_certificate_file: File = None
    tls_key_file: File = None
    client_ca_file: File = None
    trust_domain: str = ""

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        if self.mode == "token" and not (self.jwks_file or self.client_ca_file):
            raise ValueError(
                'mode: expected jwks_file or client_ca_file with mode = "token", got neither'
            )
        if self.jwks_file and not (self.issuer and self.audience):
            raise ValueError("jwks_file: expected issuer and audience to be set too")
        if bool(self.tls_certificate_file) != bool(self.tls_key_file):
            raise ValueError("tls_certificate_file, tls_key_file: expected both or neither")
        if self.client_ca_file and not self.tls_certificate_file:
            raise ValueError(
                "client_ca_file: expected tls_certificate_file and tls_key_file to be set too"
            )
        if self.client_ca_file and not self.trust_domain:
            raise ValueError(
                "client_ca_file: expected trust_domain to be set too, the <domain> of the "
                "certificates' spiffe://<domain>/<kind>/<id>"
            )
        return self


class KeysConfig(Section):
    """Where the keys lie that sign logs."""

    directory: Path = Path("data/keys")


class LedgerConfig(Section):
    """Limits of the ledger's writer."""

    queue_items_max: Amount = 64_000
    batch_items_max: Annotated[int, Field(strict=True, ge=1, le=8_000)] = 8_000
    batch_postings_max: Annotated[int, Field(strict=True, ge=1, le=32_000)] = 32_000
    lock_seconds: Amount = 5
    clock_skew_seconds: Amount = 2
    sweeper_seconds: Amount = 10
    accounts_cached_max: Amount = 200_000
    holidays_directory: Path | None = None
    sample_city: bool = False
    """Makes the ledger `huancui` with a made-up city in it; for a developer's machine only."""

    @model_validator(mode="after")
    def _check_queue(self) -> Self:
        if self.batch_items_max > self.queue_items_max:
            raise ValueError(
                f"batch_items_max: expected at most queue_items_max ({self.queue_items_max}), "
                f"got {self.batch_items_max}"
            )
        return self


class MerchantConfig(Section):
    """Where the merchant service finds the ledger, and when members are asked for their PIN.

    Without `ledger_address` the ledger is in the same process. The points are those of a day that
    the central bank's tiers A to D allow, and of one payment without a PIN.
    """

    ledger_address: Annotated[str, AfterValidator(lambda text: text and _address(text))] = ""
    ledger_token_file: File = None
    ledger_ca_file: File = None
    ledger_certificate_file: File = None
    ledger_key_file: File = None
    sweeper_seconds: Amount = 2
    day_points_a: Amount = 20_000
    day_points_b: Amount = 5_000
    day_points_c: Amount = 1_000
    day_points_d: Amount = 500
    payment_points_without_pin: Amount = 200


class LogConfig(Section):
    """What is written about the process, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "console"] = "json"


class Config(Section):
    """The whole configuration; without a file it is the embedded default on SQLite and loopback."""

    data_directory: Path = Path("data")
    services: Annotated[tuple[Service, ...], Field(min_length=1)] = ("ledger",)
    server: ServerConfig = ServerConfig()
    database: DatabaseConfig = DatabaseConfig()
    identity: IdentityConfig = IdentityConfig()
    keys: KeysConfig = KeysConfig()
    ledger: LedgerConfig = LedgerConfig()
    merchant: MerchantConfig = MerchantConfig()
    merchant_database: MerchantDatabaseConfig = MerchantDatabaseConfig()
    log: LogConfig = LogConfig()

    @model_validator(mode="before")
    @classmethod
    def _follow_data_directory(cls, values: object) -> object:
        """Puts what has no place of its own into the data directory."""
        if not isinstance(values, dict) or not isinstance(values.get("data_directory"), str | Path):
            return values
        data = values["data_directory"]
        homes = {
            "database": ("url", f"sqlite:///{Path(data) / 'ledger.db'}"),
            "merchant_database": ("url", f"sqlite:///{Path(data) / 'merchant.db'}"),
            "keys": ("directory", Path(data) / "keys"),
        }
        for section, (key, home) in homes.items():
            given = values.get(section, {})
            if isinstance(given, dict) and key not in given:
                values = {**values, section: {**given, key: home}}
        return values

    @model_validator(mode="after")
    def _check_sections(self) -> Self:
        if len(set(self.services)) != len(self.services):
            raise ValueError(
                f"services: expected each service once, got {', '.join(self.services)}"
            )
        if self.ledger.sample_city and self.identity.mode != "development":
            raise ValueError(
                'ledger.sample_city: expected false unless identity.mode = "development", got true'
            )
        alone = any(self.database_of(service).is_sqlite for service in self.services)
        if self.server.workers > 1 and alone:
            raise ValueError(
                "server.workers: expected 1 with SQLite, which one process writes, "
                f"got {self.server.workers}; set database.url to a PostgreSQL database"
            )
        apart = "merchant" in self.services and "ledger" not in self.services
        if apart and not self.merchant.ledger_address:
            raise ValueError(
                "merchant.ledger_address: expected host:port of the ledger, which is not among "
                "this process's services, got nothing"
            )
        return self

    def database_of(self, service: str) -> DatabaseConfig:
        """Gives the database of a service: each that writes has one of its own."""
        return self.merchant_database if service == "merchant" else self.database


def load_config(
    path: Path | None,
    environment: Mapping[str, str],
    overrides: Mapping[str, object] | None = None,
) -> Config:
    """Reads the configuration from a TOML file, the environment (TIMEBANK_SECTION__KEY) and the
    command line.

    `overrides` are the command line's values by `section.key`; None means not given. Raises:
    VALIDATION_FAILED with every problem at once.
    """
    return build(Config, read_settings(Config, path, environment, overrides or {}))


def show_config(path: Path | None, environment: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Gives every setting as (`section.key`, value, where it came from).

    Raises: VALIDATION_FAILED like `load_config`.
    """
    settings = read_settings(Config, path, environment, {})
    values = build(Config, settings).model_dump(mode="json")
    rows = []
    for key in known_keys(Config):
        section, _, name = key.rpartition(".")
        value = values[section][name] if section else values[name]
        shown = ", ".join(value) if isinstance(value, list) else str("" if value is None else value)
        rows.append((key, shown, settings.origin(key)))
    return rows
