"""Hostile configurations: a file or variable of any content is a configuration or refused."""

import pathlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.timebank.fuzz.mutations import accepted, damaged_bytes, damaged_text
from timebank.config import Config, load_config
from timebank.settings import known_keys, variable

ROOT = pathlib.Path(__file__).parents[3]
SAMPLES = [path.read_bytes() for path in sorted((ROOT / "deploy" / "config").glob("*.toml"))]
VALUES = ["4", "127.0.0.1:50051", "sqlite:///data/ledger.db", "postgresql://user@host/db", "token"]
VARIABLES = [variable(key) for key in known_keys(Config)]
SHARED_FOLDER = [HealthCheck.function_scoped_fixture]


@settings(max_examples=150, deadline=None, suppress_health_check=SHARED_FOLDER)
@given(data=st.sampled_from(SAMPLES).flatmap(damaged_bytes))
def test_hostile_files_are_only_ever_refused(tmp_path: pathlib.Path, data: bytes) -> None:
    path = tmp_path / "timebank.toml"
    path.write_bytes(data)
    config = accepted(lambda: load_config(path, {}))
    assert config is None or Config.model_validate(config.model_dump()) == config


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a = " + "[" * 100_000,
        "a = " + "{b=" * 50_000,
        ".".join("a" * 2_000) + " = 1",
        "[server]\nworkers = 0x" + "f" * 6_000,
        "[server]\nworkers = " + "9" * 6_000,
        "[server]\ngrpc_address = '127.0.0.1:" + "9" * 6_000 + "'",
        "[server]\nworkers = nan\nhttp_address = 2026-03-01T00:00:00Z",
        "server = [1, 2]\n[database]\nurl = {a = {b = 1}}",
        '"" = 1\n"server.workers" = 2\n"a.b.c" = 3',
        "[database]\nurl = 'postgresql://['",
        "data_directory = '\\u0000'\nservices = ['']",
    ],
)
def test_extreme_files_are_refused_in_time(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / "timebank.toml"
    path.write_text(text, encoding="utf-8")
    accepted(lambda: load_config(path, {}))


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(VARIABLES) | st.sampled_from(VARIABLES).flatmap(damaged_text),
        st.sampled_from(VALUES).flatmap(damaged_text) | st.text(max_size=12),
        max_size=4,
    )
)
def test_hostile_variables_are_only_ever_refused(environment: dict[str, str]) -> None:
    accepted(lambda: load_config(None, environment))


@pytest.mark.parametrize("text", ["--5", "-", "- 5", "9" * 5_000, "٣", "²", "1_000", "0x10", ""])
def test_a_variable_that_is_no_number_is_refused(text: str) -> None:
    config = accepted(lambda: load_config(None, {"TIMEBANK_SERVER__DRAIN_SECONDS": text}))
    assert config is None or config.server.drain_seconds == 3
