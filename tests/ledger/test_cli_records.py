"""`timebank record`, `policy` of a ledger, and `import records` against a real server."""

import asyncio
import csv
import pathlib
from collections.abc import Iterator

import pytest

from tests.ledger.cities import done, new_city, policy_file, submission
from tests.ledger.terminal import Said, Terminal
from tests.support.processes import ServerProcess
from timebank.errors import Reason

HEADING = "编号,志愿者,活动,组织,开始,结束,时长,证据"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("record-server"), {}) as process:
        asyncio.run(process.serving())
        yield process


@pytest.fixture
def city(server: ServerProcess, tmp_path: pathlib.Path) -> Terminal:
    """A ledger in which `wang` and `li` are members."""
    return new_city(server, tmp_path)


def test_a_record_is_submitted_once_and_shown(city: Terminal) -> None:
    more = ["--beneficiary", "li", "--place", "12栋", "--content", "送降压药", "--urgent"]
    more += ["--external-id", "zyh-1", "--external-id", "zyh-2", "--recorder", "grid-7"]
    made = done(city.run(*submission("r-1", "wang", *more)))
    for words in ("POSTED 已入账", "2h 00m", "zyh-1, zyh-2", "送降压药", "2024-03-01 09:00"):
        assert words in made
    assert done(city.run(*submission("r-1", "wang", *more))) == made
    assert done(city.run("record", "show", "r-1")) == made
    assert city.run(*submission("r-1")).reason is Reason.RECORD_EXISTS
    assert city.run("record", "show", "r-9").reason is Reason.RECORD_NOT_FOUND


def test_a_record_may_lack_its_end(city: Terminal) -> None:
    command = ["record", "submit", "r-1", "--volunteer", "wang", "--activity", "清雪"]
    command += ["--organizer", "community", "--start", "2024-03-01"]
    day = [*command, "--evidence", "D", "--date-only", "--minutes", "90", "--external-id", "z-1"]
    assert "1h 30m" in done(city.run(*day))
    assert city.run(*day, "--end", "2024-03-01 12:00").reason is Reason.VALIDATION_FAILED
    command[2] = "r-2"
    command[-1] = "2024-03-02 09:00"
    assert "2024-03-02 10:30" in done(city.run(*command, "--evidence", "A", "--minutes", "90"))
    command[2] = "r-3"
    command[-1] = "tomorrow"
    assert city.run(*command, "--evidence", "A").reason is Reason.VALIDATION_FAILED
    assert city.run(*command, "--evidence", "Z").exit_code == 2


def test_records_are_listed_by_volunteer_state_and_alarm(city: Terminal) -> None:
    done(city.run(*submission("r-1")))
    done(city.run(*submission("r-2", "li", "--beneficiary", "wang", evidence="B")))
    listed = done(city.run("record", "list", "--volunteer", "wang"))
    assert "r-1" in listed
    assert "r-2" not in listed
    assert "r-2" in done(city.run("record", "list", "--state", "CLAIMED"))
    assert "r-1" not in done(city.run("record", "list", "--alarm"))
    assert city.run("record", "list", "--volunteer", "x").reason is Reason.MEMBER_NOT_FOUND
    assert city.run("record", "list", "--state", "SOON").exit_code == 2


def test_a_claim_is_verified(city: Terminal) -> None:
    done(city.run(*submission("r-1", "wang", "--beneficiary", "li", evidence="B")))
    assert "POSTED 已入账" in done(city.run("record", "verify", "r-1", "--as", "members/li"))
    assert city.run("record", "verify", "r-1").reason is Reason.RECORD_STATE


def test_a_dispute_is_resolved_both_ways_by_another_person(
    city: Terminal, server: ServerProcess
) -> None:
    officer = (server.folder / "data/development/officer.token").read_text().strip()
    for record, end in (("r-1", "--stands"), ("r-2", "--void")):
        day = 1 if end == "--stands" else 2
        claim = submission(record, "wang", "--recorder", "grid-7", day=day, evidence="C")
        done(city.run(*claim))
        dispute = ("record", "dispute", record, "--token", officer)
        assert "DISPUTED 有异议" in done(city.run(*dispute, "--memo", "时间"))
        assert city.run("record", "dispute", record).reason is Reason.RECORD_STATE
        state = "POSTED 已入账" if end == "--stands" else "VOIDED 已作废"
        assert state in done(city.run("record", "resolve", record, end))
        assert city.run("record", "resolve", record, end).reason is Reason.RECORD_STATE


def test_a_record_is_voided_after_a_yes(city: Terminal) -> None:
    done(city.run(*submission("r-1")))
    assert city.run("record", "void", "r-1", answer="n\n").exit_code == 1
    assert "VOIDED 已作废" in done(city.run("record", "void", "r-1", "--memo", "重复", "--yes"))
    assert city.run("record", "void", "r-1", "--yes").reason is Reason.RECORD_STATE


def test_a_drawn_back_entry_is_spot_checked(city: Terminal, tmp_path: pathlib.Path) -> None:
    drawn = policy_file(tmp_path, spot_check_percent=100, effective_from="2020-01-02")
    done(city.run("policy", "adopt", drawn))
    for day, flag, state in ((1, "--passed", "POSTED"), (2, "--failed", "VOIDED")):
        record = f"r-{day}"
        more = ("--recorder", "grid-7", "--verifier", "zhao")
        said = done(city.run(*submission(record, "wang", *more, day=day, evidence="C")))
        assert "PENDING 待抽查" in said
        assert state in done(city.run("record", "spot-check", record, flag))
        assert city.run("record", "spot-check", record, flag).reason is Reason.RECORD_STATE


def test_policies_are_adopted_listed_and_replayed(city: Terminal, tmp_path: pathlib.Path) -> None:
    done(city.run(*submission("r-1")))
    again = policy_file(tmp_path, earn={"reward": "TIME"}, policy_id="again")
    assert "again@2" in done(city.run("policy", "adopt", again, "--replay"))
    assert "1 records looked at 已查, 1 corrected" in done(city.run("policy", "replay", "again@2"))
    assert city.run("policy", "replay", "test@1").reason is Reason.VALIDATION_FAILED
    listed = done(city.run("policy", "versions"))
    assert "test@1" in listed
    assert "again@2" in listed
    assert '"policy_id":"again"' in done(city.run("policy", "versions", "again@2"))
    assert city.run("policy", "versions", "again@9").reason is Reason.POLICY_NOT_FOUND
    assert "weihai@3" in done(city.run("policy", "adopt", "weihai"))
    assert city.run("policy", "adopt", "nowhere.json").reason is Reason.VALIDATION_FAILED
    faulty = city.run("policy", "adopt", policy_file(tmp_path, publicity_days=-1))
    assert faulty.exit_code == 1
    assert "publicity_days" in faulty.out


def write(folder: pathlib.Path, *rows: str, encoding: str = "utf-8-sig") -> str:
    path = folder / "服务记录.csv"
    path.write_text("\n".join([HEADING, *rows]) + "\n", encoding)
    return str(path)


def row(number: int, volunteer: str = "wang", evidence: str = "A") -> str:
    start = f"2024-03-{number:02} 09:00"
    return f"r-{number},{volunteer},送药上门,community,{start},2024/3/{number} 10:30,,{evidence}"


def shown(said: Said, label: str) -> int:
    """Gives the number beside a label of the last table; 0 when it is not there."""
    line = next((line for line in said.out.splitlines() if label in line), "│ 0 │")
    return int(line.split("│")[-2].strip().replace(",", ""))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_a_file_is_imported_once_however_often(
    city: Terminal, tmp_path: pathlib.Path, encoding: str
) -> None:
    path = write(tmp_path, row(1), row(2), row(3, "li"), row(3, "li"), encoding=encoding)
    dry = city.run("import", "records", path, "--dry-run")
    assert shown(dry, "would be sent 将提交") == 3
    assert city.run("record", "show", "r-1").reason is Reason.RECORD_NOT_FOUND
    said = city.run("import", "records", path)
    assert said.exit_code == 0
    assert (shown(said, "credited 已入账"), shown(said, "said twice")) == (3, 1)
    assert "4h 30m" in said.out
    again = city.run("import", "records", path)
    assert (again.exit_code, shown(again, "there before")) == (0, 3)
    assert shown(again, "credited 已入账") == 0
    assert "3h 00m" in done(city.run("member", "show", "wang"))


def test_good_rows_are_sent_and_bad_rows_listed(city: Terminal, tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, row(1), row(2, "王阿姨"), row(1, "li"), row(4, evidence="D"), '"r-5,x')
    errors = tmp_path / "errors.csv"
    said = city.run("import", "records", path, "--errors", str(errors))
    assert said.exit_code == 1
    assert shown(said, "credited 已入账") == 1
    assert shown(said, "not imported, see above") == 4
    with errors.open(encoding="utf-8-sig", newline="") as file:
        found = {int(line["row"]): line for line in csv.DictReader(file)}
    assert sorted(found) == [3, 4, 5, 6]
    assert (found[3]["column"], found[4]["column"]) == ("志愿者", "编号")
    assert "EVIDENCE_TOO_WEAK" in found[5]["problem"]
    assert all(line["advice"] for line in found.values())


def test_volunteers_are_registered_when_asked_for(city: Terminal, tmp_path: pathlib.Path) -> None:
    path = write(tmp_path, row(1), row(2, "m-1"), row(3, "m-1"), row(4, "m-2"))
    first = city.run("import", "records", path)
    assert (first.exit_code, shown(first, "credited 已入账")) == (1, 1)
    assert "Not registered 未登记 2: m-1, m-2" in first.out
    assert "--register" in first.out
    second = city.run("import", "records", path, "--register", "--unit", "huancui/3")
    assert (second.exit_code, shown(second, "members registered")) == (0, 2)
    assert (shown(second, "credited 已入账"), shown(second, "there before")) == (3, 1)
    assert "huancui/3" in done(city.run("member", "show", "m-2"))
    third = city.run("import", "records", path, "--register")
    assert (third.exit_code, shown(third, "there before")) == (0, 4)


def test_options_fill_in_what_the_file_leaves_out(city: Terminal, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("编号;志愿者;日期;时长\nr-1;wang;2024-03-01;90\n", "utf-8")
    assert city.run("import", "records", str(path)).reason is Reason.VALIDATION_FAILED
    command = ("import", "records", str(path), "--activity", "清雪", "--organizer", "community")
    said = city.run(*command, "--evidence", "D")
    assert said.exit_code == 1
    assert "external" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("nothing.csv",),
        (__file__,),
        (__file__, "--zone", "Mars/Base"),
        (__file__, "--encoding", "klingon"),
    ],
)
def test_what_cannot_be_imported_is_refused_in_one_line(arguments: tuple[str, ...]) -> None:
    said = Terminal().run("import", "records", *arguments)
    assert said.error is not None
    assert said.reason is Reason.VALIDATION_FAILED
    assert "\n" not in said.error.message


def test_no_server_is_told_with_how_to_go_on(tmp_path: pathlib.Path) -> None:
    said = Terminal().run("import", "records", write(tmp_path, row(1)), "--server", "127.0.0.1:1")
    assert said.reason is Reason.DATABASE_UNAVAILABLE
    assert "run the same command again" in said.out


@pytest.mark.parametrize(
    "command",
    [
        *(("record", name) for name in ("submit", "show", "list", "verify", "dispute", "resolve")),
        *(("record", "void"), ("record", "spot-check"), ("import", "records")),
        *(("policy", name) for name in ("adopt", "versions", "replay")),
    ],
)
def test_every_command_has_help_with_an_example_in_two_languages(command: tuple[str, ...]) -> None:
    said = Terminal().run(*command, "--help")
    assert said.exit_code == 0
    assert "Example" in said.out
    assert any("\u4e00" <= letter <= "\u9fff" for letter in said.out)
