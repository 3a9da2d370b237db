"""The deployment's secret is made once and never shown, and what is sealed under it stays so."""

import os
import pathlib
import secrets
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from timebank.errors import Reason, TimebankError
from timebank.sealing import KEY_BYTES, seal, unseal
from timebank.secret_keys import SECRET_FILE, SecretKeys

KEY = bytes(KEY_BYTES)


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path: pathlib.Path) -> None:
    first = SecretKeys.open(tmp_path / "keys").key("a use")
    assert SecretKeys.open(tmp_path / "keys").key("a use") == first
    mode = stat.S_IMODE(os.stat(tmp_path / "keys" / SECRET_FILE).st_mode)
    assert mode == 0o600
    assert os.listdir(tmp_path / "keys") == [SECRET_FILE]


def test_each_use_and_each_deployment_has_a_key_of_its_own(tmp_path: pathlib.Path) -> None:
    here, there = SecretKeys.open(tmp_path / "here"), SecretKeys.open(tmp_path / "there")
    keys = {here.key("a"), here.key("b"), there.key("a")}
    assert len(keys) == 3
    assert all(len(key) == KEY_BYTES for key in keys)


def test_processes_that_start_together_agree_on_one_secret(tmp_path: pathlib.Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: SecretKeys.open(tmp_path).key("a"), range(64)))
    assert len(set(found)) == 1
    assert os.listdir(tmp_path) == [SECRET_FILE]


def test_the_secret_is_in_no_representation(tmp_path: pathlib.Path) -> None:
    keys = SecretKeys.open(tmp_path)
    assert repr(keys) == "SecretKeys()"
    assert (tmp_path / SECRET_FILE).read_text().strip() not in repr(keys)


@pytest.mark.parametrize("text", ["", "no digits", "abcd", "00" * 31])
def test_a_file_that_holds_no_secret_is_refused(tmp_path: pathlib.Path, text: str) -> None:
    path = tmp_path / SECRET_FILE
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(TimebankError) as refused:
        SecretKeys.open(tmp_path)
    assert refused.value.reason is Reason.SIGNER_UNAVAILABLE


def test_a_file_that_others_may_read_is_refused(tmp_path: pathlib.Path) -> None:
    SecretKeys.open(tmp_path)
    (tmp_path / SECRET_FILE).chmod(0o644)
    with pytest.raises(TimebankError, match="0600"):
        SecretKeys.open(tmp_path)


def test_what_is_sealed_opens_in_its_place_and_under_its_key_alone() -> None:
    sealed = seal(KEY, "王阿姨".encode(), "weihai/wang", random_bytes=secrets.token_bytes)
    assert unseal(KEY, sealed, "weihai/wang").decode() == "王阿姨"
    assert "王阿姨".encode() not in sealed
    moved, other = (KEY, sealed, "weihai/li"), (b"\1" * KEY_BYTES, sealed, "weihai/wang")
    for key, data, place in (moved, other, (KEY, sealed[:-1], "weihai/wang"), (KEY, b"", "x")):
        with pytest.raises(TimebankError) as refused:
            unseal(key, data, place)
        assert refused.value.reason is Reason.SIGNER_UNAVAILABLE
