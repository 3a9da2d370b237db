"""`timebank verify` with certificates: the signed text, the QR code's text, and the PDF."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from tests.timebank.signed_certificates import (
    COMPACT,
    NOTE,
    OTHER,
    SIGNER,
    certificate,
    line,
    pack,
)
from tests.timebank.tlog.refusals import damaged
from timebank.certificate_pdf import certificate_pdf
from timebank.certificates import compact_note, sign_certificate
from timebank.verify_cli import NOT_VERIFIED, UNUSABLE, app

DOES_NOT_PROVE = "This does NOT prove"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty directory to work in, wide enough a terminal."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    return tmp_path


def verify(data: str | bytes, *arguments: str, vkey: str = SIGNER.vkey) -> Result:
    """Writes a file and verifies it; an exception that escapes fails the test."""
    raw = data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass")
    Path("given").write_bytes(raw)
    command = ["given", "--vkey", vkey, *arguments]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def assert_fails(result: Result, code: int, words: str) -> None:
    assert result.exit_code == code
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_certificate_is_recognised_and_told_in_both_languages() -> None:
    result = verify(NOTE)

    assert result.exit_code == 0
    for words in (
        "Certificate 志愿服务证明: VERIFIED 已验证",
        "ZM-2026-000123",
        "张三丰",
        "居民身份证 3710**********1234",
        "100 h 0 min (6000 minutes)",
        "2026-01-01 to 2026-11-30",
        "威海市志愿服务联合会",
        "record record-1, entry 1",
        "certified these hours for this person",
    ):
        assert words in result.stdout


def test_a_certificate_says_what_it_does_not_prove() -> None:
    unproved = verify(NOTE).stdout.partition(DOES_NOT_PROVE)[2]

    for words in (
        "That the hours were worked",
        "it may have been revoked",
        "不证明此后未被撤销或更正",
        "compare an identity document",
        "the receipt of its entry shows that",
    ):
        assert words in unproved


def test_a_certificate_without_lines_does_not_speak_of_them() -> None:
    result = verify(sign_certificate(certificate(lines=()), SIGNER))

    assert result.exit_code == 0
    assert "each service" not in result.stdout


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_the_text_of_a_scanned_code_is_recognised(end: str) -> None:
    result = verify(COMPACT + end)

    assert result.exit_code == 0
    assert "QR code of a certificate 志愿服务证明二维码: VERIFIED" in result.stdout
    assert "张**" in result.stdout
    assert "100 h 0 min" in result.stdout
    assert "That the paper around the code shows the same" in result.stdout


def test_a_pdf_is_checked_by_the_code_inside_it_and_its_pages_are_not_believed() -> None:
    result = verify(certificate_pdf(certificate(), COMPACT))

    assert result.exit_code == 0
    assert "张**" in result.stdout
    assert "That the pages of this PDF show the same" in result.stdout
    assert "请逐项核对" in result.stdout


@pytest.mark.parametrize(
    "data",
    [
        NOTE.replace('"total_minutes":6000', '"total_minutes":9000'),
        NOTE.replace("张三丰", "张三风"),
        pack(compact_note(certificate(), SIGNER).replace("6000", "9000").encode()),
        certificate_pdf(
            certificate(), pack(compact_note(certificate(), SIGNER).replace("张", "李").encode())
        ),
    ],
)
def test_a_changed_certificate_is_not_verified(data: str | bytes) -> None:
    assert_fails(verify(data), NOT_VERIFIED, "signature")


@pytest.mark.parametrize("data", [NOTE, COMPACT, certificate_pdf(certificate(), COMPACT)])
def test_the_key_of_another_log_verifies_nothing(data: str | bytes) -> None:
    assert_fails(verify(data, vkey=OTHER.vkey), NOT_VERIFIED, "certificate of timebank.example")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (NOTE.replace('":', '": ', 1), "one spelling"),
        (NOTE.partition("\n\n")[0] + "\n", "note"),
        (NOTE.encode() + b"\xff", "UTF-8"),
        ("TBC1.", "base64url"),
        (COMPACT[:-9], "certificate"),
        (COMPACT + "\n" * 101, "at most 100 line ends"),
        (b"%PDF-1.4\n", "got 0"),
        (b"%PDF-1.4\nTBC1.AAAA TBC1.BBBB", "got 2"),
        (b"%PDF-1.4\nTBC1.AAAA", "deflated"),
    ],
)
def test_a_malformed_certificate_cannot_be_used(data: str | bytes, words: str) -> None:
    assert_fails(verify(data), UNUSABLE, words)


@pytest.mark.parametrize("option", ["--checkpoint", "--proof"])
def test_a_certificate_is_compared_with_no_checkpoint(option: str) -> None:
    Path("other").write_text("x")

    assert_fails(verify(NOTE, option, "other"), UNUSABLE, "leave them out")


def test_a_bad_key_cannot_be_used_with_a_certificate_either() -> None:
    assert_fails(verify(NOTE, vkey="missing.vkey"), UNUSABLE, "expected a verifier key or a file")


def test_a_key_file_works_for_certificates() -> None:
    Path("log.vkey").write_text(f"{SIGNER.vkey}\n")

    assert verify(COMPACT, vkey="log.vkey").exit_code == 0


def test_a_certificate_with_thousands_of_lines_is_cut_on_the_terminal() -> None:
    many = certificate(total_minutes=60_000, log_size=3_000, lines=tuple(map(line, range(2_000))))

    result = verify(sign_certificate(many, SIGNER))

    assert result.exit_code == 0
    assert "lines are not shown" in result.stdout
    assert result.stdout.count("\n") < 300


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.one_of(damaged(NOTE), damaged(COMPACT), st.binary().map(lambda raw: b"%PDF-" + raw)))
def test_hostile_certificates_end_in_an_exit_code_and_one_line(data: str | bytes) -> None:
    result = verify(data)

    assert result.exit_code in (0, NOT_VERIFIED, UNUSABLE)
    assert result.stderr.count("\n") == (result.exit_code != 0)
    assert "Traceback" not in result.output
