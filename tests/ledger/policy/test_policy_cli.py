"""`timebank policy` as somebody in a city office uses it."""

import csv
import json
import pathlib

import pytest
from typer.testing import CliRunner

from ledger.cli import app
from ledger.cli_policy import policy_app
from ledger.policies import load_preset, preset_names
from tests.ledger.policy.services import document
from tests.support.command_line import Shell, assert_refused
from timebank.errors import Reason, TimebankError

HEADING = "志愿者,开始时间,结束时间,分钟,证据等级\n"
ROWS = HEADING + (
    "张三,2026-03-01 09:00,2026-03-01 11:00,110,A\n"
    "李四,2026-03-01 23:00,2026-03-02 01:00,120,a\n"
    "李四,2026年3月5日,,60,C\n"
)


@pytest.fixture
def shell(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Shell:
    monkeypatch.setenv("COLUMNS", "160")
    return Shell(tmp_path, monkeypatch, capsys)


def write(shell: Shell, text: str, name: str = "记录.csv", encoding: str = "utf-8") -> str:
    (shell.folder / name).write_text(text, encoding=encoding)
    return name


def test_the_app_is_part_of_the_command() -> None:
    result = CliRunner().invoke(app, ["policy", "--help"])
    assert result.exit_code == 0
    for command in ("list", "show", "check", "simulate"):
        assert command in result.output


@pytest.mark.parametrize("command", ["list", "show", "check", "simulate"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    result = CliRunner().invoke(policy_app, [command, "--help"], env={"COLUMNS": "160"})
    assert "Example" in result.output
    assert f"timebank policy {command}" in result.output


def test_presets_are_listed(shell: Shell) -> None:
    result = shell.run("policy", "list")
    assert result.code == 0
    for name in preset_names():
        assert name in result.out
    assert "1,500h 00m" in result.out


@pytest.mark.parametrize("name", preset_names())
def test_what_is_shown_can_be_saved_and_checked(shell: Shell, name: str) -> None:
    shown = shell.run("policy", "show", name)
    assert shown.out == load_preset(name)
    result = shell.run("policy", "check", write(shell, shown.out, "mine.json"))
    assert (result.code, result.error) == (0, "")
    assert f"{name}: no fault" in result.out


def test_an_unknown_preset_is_one_line() -> None:
    result = CliRunner().invoke(app, ["policy", "show", "weihia"])
    assert isinstance(result.exception, TimebankError)
    assert result.exception.reason is Reason.VALIDATION_FAILED


def test_check_says_every_fault_with_its_place(shell: Shell) -> None:
    text = document(verifications=9, earn={"rewrd": "TIME", "rounding": "floor"})
    result = shell.run("policy", "check", write(shell, text, "bad.json"))
    assert_refused(result, "3 faults", "VALIDATION_FAILED")
    for words in ("earn.rewrd", "did you mean 'reward'?", "earn.rounding", "verifications"):
        assert words in result.out


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_document_in_the_encodings_of_chinese_offices_is_read(
    shell: Shell, encoding: str
) -> None:
    text = json.dumps(json.loads(document(name="威海")), ensure_ascii=False)
    assert shell.run("policy", "check", write(shell, text, "m.json", encoding)).code == 0


def test_a_missing_file_is_one_line_that_says_what_would_do(shell: Shell) -> None:
    assert_refused(shell.run("policy", "check", "nothing.json"), "nothing.json", "weihai")
    assert_refused(shell.run("policy", "check", str(shell.folder)), "give a JSON file")


def test_a_file_beyond_the_limit_is_refused_without_being_read_whole(shell: Shell) -> None:
    result = shell.run("policy", "check", write(shell, " " * 1_000_000, "big.json"))
    assert_refused(result, "64 KiB")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_simulation_shows_each_member(shell: Shell, encoding: str) -> None:
    records = write(shell, ROWS, encoding=encoding)
    result = shell.run("policy", "simulate", "longquanyi", "--records", records)
    assert result.code == 0
    lines = [line for line in result.out.splitlines() if "李四" in line or "张三" in line]
    assert ["3h 00m" in lines[0], "20" in lines[0], "█" * 20 in lines[0]] == [True] * 3
    assert ["1h 50m" in lines[1], "18" in lines[1], "█" * 18 in lines[1]] == [True] * 3
    assert "4h 50m" in result.out


def test_wrong_rows_are_told_one_by_one_and_the_others_count(shell: Shell) -> None:
    wrong = [
        "王五,2026-03-01 09:00,2026-03-01 08:00,30,A",
        "赵六,2025-03-01 09:00,2025-03-01 12:00,180,B",
        ",2026-03-01,,5,A",
        "周七,yesterday,,5,A",
        "吴八,2026-03-01,,many,A",
        "郑九,2026-03-01,,5,F",
        '"孙十,2026-03-01,,5,A',
    ]
    records = write(shell, ROWS + "\n".join(wrong) + "\n")
    result = shell.run(
        "policy", "simulate", "hailin", "--records", records, "--errors", "wrong.csv"
    )
    assert result.code == 1
    with (shell.folder / "wrong.csv").open(encoding="utf-8-sig", newline="") as file:
        told = [(line["row"], line["column"]) for line in csv.DictReader(file)]
    assert sorted(told, key=lambda row: int(row[0])) == [
        *(("5", "ended"), ("6", "started"), ("7", "volunteer"), ("8", "started")),
        *(("9", "minutes"), ("10", "evidence"), ("11", "")),
    ]
    assert "members 人数 2 of 2" in result.out
    assert "no policy is in force at 2025-03-01 09:00" in result.out


def test_any_date_applies_the_policy_to_all_of_the_past(shell: Shell) -> None:
    old = write(shell, HEADING + "赵六,1999-03-01 09:00,1999-03-01 12:00,180,B\n")
    arguments = ("policy", "simulate", "hailin", "--records", old)
    assert shell.run(*arguments).code == 1
    result = shell.run(*arguments, "--any-date")
    assert result.code == 0
    assert "3h 00m" in result.out


def test_optional_columns_matter(shell: Shell) -> None:
    policy = document(
        earn={
            "reward": "MEMBER_CHOICE",
            "group": "DONATE_ONLY",
            "multipliers": {"urgent": 2, "need_type": {"助浴": 3}, "skill": {"护士": 5}},
            "quality_factor": [{"from_tenths": 40, "rate": 7}],
        }
    )
    heading = "volunteer,started,ended,minutes,evidence,need_type,skill,urgent,quality,group,reward"
    rows = [
        "甲,2026-03-01 09:00,2026-03-01 10:00,1,A,助浴,护士,是,45,,time",
        "乙,2026-03-01 09:00,2026-03-01 10:00,1,A,,,否,,yes,TIME",
        "丙,2026-03-01 09:00,2026-03-01 10:00,60,A,,,,,,POINTS",
        "丁,2026-03-01 09:00,2026-03-01 10:00,60,A,,,,,,",
        "戊,2026-03-01 09:00,2026-03-01 10:00,60,A,,,maybe,,,TIME",
    ]
    records = write(shell, "\n".join([heading, *rows]))
    result = shell.run("policy", "simulate", write(shell, policy, "p.json"), "--records", records)
    assert result.code == 1
    by_name = {line.split()[1]: line for line in result.out.splitlines() if "│" in line}
    assert "3h 30m" in by_name["甲"]
    assert by_name["乙"].count("0h 01m") == 2
    assert "reward" in result.out
    assert "expected yes or no" in result.out


def test_only_so_many_members_are_shown_and_the_sum_is_of_all(shell: Shell) -> None:
    rows = "".join(f"v{number},2026-03-01,,60,A\n" for number in range(30))
    result = shell.run(
        *("policy", "simulate", "weihai", "--records", write(shell, HEADING + rows)),
        *("--limit", "3"),
    )
    assert "members 人数 3 of 30" in result.out
    assert "30h 00m" in result.out


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b\n1,2\n", "no column volunteer"),
        ("志愿者,姓名,开始时间,分钟\n", "stands twice"),
        ("", "is empty"),
        (document(), "no column"),
        ('"volunteer,started\n', "row 1"),
    ],
)
def test_what_is_no_table_of_records_is_one_line(shell: Shell, text: str, words: str) -> None:
    result = shell.run("policy", "simulate", "weihai", "--records", write(shell, text))
    assert result.code == 1
    assert words in result.error


def test_an_unknown_zone_is_one_line(shell: Shell) -> None:
    records = write(shell, ROWS)
    result = shell.run("policy", "simulate", "weihai", "--records", records, "--zone", "Mars")
    assert_refused(result, "--zone", "Asia/Shanghai")


def test_a_policy_with_faults_is_not_simulated(shell: Shell) -> None:
    bad = write(shell, document(verifications=9), "bad.json")
    result = shell.run("policy", "simulate", bad, "--records", write(shell, ROWS))
    assert_refused(result, "verifications")
    assert "Simulation" not in result.out
