"""The configuration: sources and their order, strictness, and every problem at once."""

import pathlib
import tomllib

import pytest
from pydantic import ValidationError

from timebank.config import Config, DatabaseConfig, load_config, show_config
from timebank.errors import Reason, TimebankError
from timebank.settings import FILE_BYTES_MAX, known_keys, variable

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEPLOYED = sorted((ROOT / "deploy" / "config").glob("*.toml"))


@pytest.fixture
def file(tmp_path: pathlib.Path) -> pathlib.Path:
    return tmp_path / "timebank.toml"


def problems(path: pathlib.Path | None, environment: dict[str, str]) -> dict[str, str]:
    """The problems by key; there must be some."""
    with pytest.raises(TimebankError) as caught:
        load_config(path, environment)
    assert caught.value.reason is Reason.VALIDATION_FAILED
    return dict(caught.value.violations)


def test_without_any_source_the_embedded_default_is_complete() -> None:
    config = load_config(None, {})
    assert config == Config()
    assert config.server.grpc_address == "127.0.0.1:50051"
    assert config.server.http_address == "127.0.0.1:9464"
    assert config.database.url == "sqlite:///data/ledger.db"
    assert config.identity.mode == "none"
    assert config.services == ("ledger",)


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    file: pathlib.Path,
) -> None:
    file.write_text("[server]\ndrain_seconds = 1\nworkers = 1\ndeadline_default_seconds = 1\n")
    environment = {
        "TIMEBANK_SERVER__DRAIN_SECONDS": "2",
        "TIMEBANK_SERVER__DEADLINE_DEFAULT_SECONDS": "2",
    }
    server = load_config(file, environment, {"server.drain_seconds": 3}).server
    assert (server.drain_seconds, server.deadline_default_seconds, server.workers) == (3, 2, 1)


def test_an_option_that_was_not_given_leaves_the_value_alone() -> None:
    environment = {"TIMEBANK_SERVER__DRAIN_SECONDS": "2"}
    config = load_config(None, environment, {"server.drain_seconds": None})
    assert config.server.drain_seconds == 2


@pytest.mark.parametrize("key", sorted(known_keys(Config)))
def test_every_setting_has_a_variable(key: str) -> None:
    default = {row[0]: row[1] for row in show_config(None, {})}[key]
    values = {"identity.mode": "development", "database.migrate": "never", "log.level": "debug"}
    values["merchant.ledger_address"] = "ledger.internal:50051"
    text = values.get(key, default or "given")
    if key.startswith("identity.") and key.endswith("_file"):
        text = ""  # A file of identity alone would break a rule.
    rows = show_config(None, {variable(key): text})
    assert {row[0]: row[2] for row in rows}[key] == f"environment {variable(key)}"


def test_a_list_in_a_variable_is_separated_by_commas() -> None:
    config = load_config(None, {"TIMEBANK_SERVICES": "ledger, matching"})
    assert config.services == ("ledger", "matching")


def test_what_has_no_place_of_its_own_lies_in_the_data_directory() -> None:
    environment = {
        "TIMEBANK_DATA_DIRECTORY": "/srv/timebank",
        "TIMEBANK_KEYS__DIRECTORY": "/srv/keys",
    }
    config = load_config(None, environment)
    assert config.database.url == "sqlite:////srv/timebank/ledger.db"
    assert config.keys.directory == pathlib.Path("/srv/keys")


def test_an_empty_file_name_is_none() -> None:
    config = load_config(None, {"TIMEBANK_IDENTITY__JWKS_FILE": ""})
    assert config.identity.jwks_file is None


def test_the_data_directory_may_be_the_working_directory() -> None:
    config = load_config(None, {"TIMEBANK_DATA_DIRECTORY": ""})
    assert config.database.url == "sqlite:///ledger.db"


def test_every_problem_is_told_at_once_with_its_source(file: pathlib.Path) -> None:
    file.write_text(
        'log = 3\n[server]\nworkers = true\nhttp_address = "9464"\n[ledger]\nlock_seconds = 0\n'
    )
    environment = {"TIMEBANK_LOG__LEVL": "info", "TIMEBANK_DATABASE__MIGRATE": "maybe"}
    with pytest.raises(TimebankError) as caught:
        load_config(file, environment)
    assert {key for key, _ in caught.value.violations} == {
        "log",
        "server.workers",
        "server.http_address",
        "ledger.lock_seconds",
        "database.migrate",
        "TIMEBANK_LOG__LEVL",
    }
    assert f"server.workers ({file}): expected a valid integer, got True" in caught.value.message
    assert "database.migrate (environment TIMEBANK_DATABASE__MIGRATE)" in caught.value.message


@pytest.mark.parametrize(
    ("toml", "key", "near"),
    [
        ('[server]\ngrpc_adress = "x"', "server.grpc_adress", "server.grpc_address"),
        ("[ledgr]\nlock_seconds = 1", "ledgr", "ledger"),
        ('servises = ["ledger"]', "servises", "services"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(
    file: pathlib.Path, toml: str, key: str, near: str
) -> None:
    file.write_text(toml)
    found = problems(file, {})
    assert f"did you mean {near}" in found[key] or near in found[key]


def test_an_unknown_key_like_no_other_is_refused_with_the_keys_of_its_section(
    file: pathlib.Path,
) -> None:
    file.write_text("[log]\nzzzzzzzz = 1")
    assert problems(file, {}) == {
        "log.zzzzzzzz": "unknown key; expected one of log.level, log.format"
    }


@pytest.mark.parametrize(
    "name",
    ["TIMEBANK_SERVER__WORKRES", "TIMEBANK_SERVER_WORKERS", "TIMEBANK_SERVR__WORKERS"],
)
def test_a_misspelt_variable_is_refused_with_the_right_one(name: str) -> None:
    assert "did you mean TIMEBANK_SERVER__WORKERS?" in problems(None, {name: "1"})[name]


def test_a_variable_of_no_section_is_refused() -> None:
    assert set(problems(None, {"TIMEBANK_OTHER__THING": "1"})) == {"TIMEBANK_OTHER__THING"}


def test_the_variables_of_the_command_line_are_no_settings() -> None:
    names = ("SERVER", "TOKEN", "LEDGER", "KEYS", "CONFIG")
    assert load_config(None, {f"TIMEBANK_{name}": "x" for name in names}) == Config()


@pytest.mark.parametrize(
    ("environment", "key"),
    [
        ({"TIMEBANK_SERVER__WORKERS": "2"}, "server.workers"),
        ({"TIMEBANK_SERVICES": "ledger,ledger"}, "services"),
        ({"TIMEBANK_SERVER__DEADLINE_DEFAULT_SECONDS": "61"}, "server.deadline_default_seconds"),
        ({"TIMEBANK_LEDGER__QUEUE_ITEMS_MAX": "7999"}, "ledger.batch_items_max"),
        ({"TIMEBANK_IDENTITY__MODE": "token"}, "identity.mode"),
        ({"TIMEBANK_IDENTITY__JWKS_FILE": "/k"}, "identity.jwks_file"),
        ({"TIMEBANK_IDENTITY__CLIENT_CA_FILE": "/c"}, "identity.client_ca_file"),
        (
            {"TIMEBANK_IDENTITY__TLS_KEY_FILE": "/k"},
            "identity.tls_certificate_file, tls_key_file",
        ),
    ],
)
def test_a_rule_between_settings_is_told_at_the_key_that_breaks_it(
    environment: dict[str, str], key: str
) -> None:
    assert set(problems(None, environment)) == {key}


@pytest.mark.parametrize(
    "address", ["50051", ":50051", "host", "host:", "host:x", "host:65536", "::1:1", "a/b:1"]
)
def test_an_address_that_is_not_host_and_port_is_refused(address: str) -> None:
    found = problems(None, {"TIMEBANK_SERVER__GRPC_ADDRESS": address})
    assert "expected host:port" in found["server.grpc_address"]


@pytest.mark.parametrize("address", ["127.0.0.1:0", "[::1]:50051", "timebank.internal:65535"])
def test_an_address_of_host_and_port_is_taken(address: str) -> None:
    config = load_config(None, {"TIMEBANK_SERVER__GRPC_ADDRESS": address})
    assert config.server.grpc_address == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mysql://host/db",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a?mode=ro",
        "ledger.db",
    ],
)
def test_a_database_of_another_kind_is_refused(url: str) -> None:
    assert "database.url" in problems(None, {"TIMEBANK_DATABASE__URL": url})


@pytest.mark.parametrize("url", ["me:sesame@host/db", "me@host/db?password=sesame"])
def test_a_password_in_the_database_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(TimebankError) as caught:
        load_config(None, {"TIMEBANK_DATABASE__URL": f"postgresql://{url}"})
    assert "password_file" in caught.value.message
    assert "sesame" not in str(caught.value)


def test_a_file_that_is_missing_or_no_toml_or_too_large_is_refused(file: pathlib.Path) -> None:
    with pytest.raises(TimebankError, match="cannot be read"):
        load_config(file, {})
    file.write_bytes(b"[server\n")
    with pytest.raises(TimebankError, match=r"expected TOML .*line 1"):
        load_config(file, {})
    file.write_bytes(b"a = '\xff'")
    with pytest.raises(TimebankError, match="expected TOML in UTF-8"):
        load_config(file, {})
    file.write_bytes(b"#" * (FILE_BYTES_MAX + 1))
    with pytest.raises(TimebankError, match="expected at most"):
        load_config(file, {})


def test_a_configuration_never_changes() -> None:
    config = Config()
    with pytest.raises(ValidationError):
        config.database = DatabaseConfig()  # type: ignore[misc]  # that it fails is the test
    with pytest.raises(ValidationError):
        config.server.workers = 2  # type: ignore[misc]  # that it fails is the test


@pytest.mark.parametrize("path", DEPLOYED, ids=lambda path: path.stem)
def test_every_deployed_configuration_is_valid(path: pathlib.Path) -> None:
    assert load_config(path, {}).services == ("ledger", "merchant")


def test_there_is_a_configuration_to_develop_and_one_to_produce_with() -> None:
    assert {path.stem for path in DEPLOYED} >= {"development", "production"}
    development = load_config(ROOT / "deploy" / "config" / "development.toml", {})
    production = load_config(ROOT / "deploy" / "config" / "production.toml", {})
    assert development.identity.mode == "development"
    assert development.database.is_sqlite
    assert production.identity.mode == "token"
    assert not production.database.is_sqlite


def test_what_config_show_gives_is_a_configuration_again(file: pathlib.Path) -> None:
    source = ROOT / "deploy" / "config" / "production.toml"
    rows = show_config(source, {})
    environment = {variable(key): value for key, value, _ in rows if value}
    assert load_config(None, environment) == load_config(source, {})
    given = {
        key
        for section in tomllib.loads(source.read_text()).values()
        if isinstance(section, dict)
        for key in section
    }
    assert {key.rpartition(".")[2] for key, _, origin in rows if origin == str(source)} >= given
