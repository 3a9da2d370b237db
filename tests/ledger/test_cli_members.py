"""`timebank member`, `stars` and `certificate` against a real server."""

import asyncio
import pathlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ledger.cli_stars import star_lines
from tests.ledger.cities import WORDING, done, new_city, submission
from tests.ledger.terminal import Terminal
from tests.support.processes import ServerProcess
from timebank.client import StarView
from timebank.errors import Reason

MEMBER_COMMANDS = (
    *("register", "show", "list", "update", "suspend", "reinstate", "merge", "unmerge"),
    *("family", "no-show", "evaluate", "death", "export", "give", "grant"),
)
ID_NUMBER = "371002199001011234"
STAR = StarView(
    name="ledgers/weihai/members/wang/star",
    star=2,
    under_review=False,
    kept=False,
    hours_minutes=562 * 60,
    points_earned=90,
    quality_tenths=46,
    missing_minutes=38 * 60,
    missing_points=10,
    reasons=("562 hours",),
    reasons_zh=("562 小时",),
    medals=("GOLD",),
    policy_version="weihai@1",
    display_name=None,
    pending_points=3,
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("member-server"), {}) as process:
        asyncio.run(process.serving())
        yield process


@pytest.fixture
def city(server: ServerProcess, tmp_path: pathlib.Path) -> Terminal:
    """A ledger in which `wang` and `li` are members."""
    return new_city(server, tmp_path)


def test_a_member_is_registered_and_shown_with_its_balances(city: Terminal) -> None:
    made = done(city.run("member", "register", "m-1", "--unit", "huancui/7", "--publish-name"))
    shown = done(city.run("member", "show", "m-1"))
    assert made == shown
    for words in ("ACTIVE 正常", "huancui/7", "HOURS 服务时长", "0h 00m", "POINTS 积分"):
        assert words in shown
    assert city.run("member", "register", "m-1").reason is Reason.MEMBER_EXISTS


def test_words_that_are_no_text_are_refused(city: Terminal) -> None:
    assert city.run("member", "show", "wang\udcff").reason is Reason.VALIDATION_FAILED


def test_a_minor_has_a_guardian_until_of_age(city: Terminal) -> None:
    minor = ("member", "register", "child", "--adult-from", "2090-05-01")
    assert city.run(*minor).reason is Reason.VALIDATION_FAILED
    done(city.run(*minor, "--guardian", "wang", "--guardian-consent"))
    assert "2090-05-01" in done(city.run("member", "show", "child"))
    grown = done(city.run("member", "update", "child", "--of-age", "--guardian", ""))
    assert "2090" not in grown
    assert city.run("member", "update", "child").reason is Reason.VALIDATION_FAILED


def test_members_are_listed_by_unit(city: Terminal) -> None:
    done(city.run("member", "register", "far", "--unit", "wendeng"))
    listed = done(city.run("member", "list", "--unit", "huancui", "--limit", "1"))
    assert "li" in listed
    assert "wang" not in listed
    assert "far" in done(city.run("member", "list"))
    assert city.run("member", "list", "--ledger", "nowhere").reason is Reason.LEDGER_NOT_FOUND


def test_a_registration_is_suspended_and_reinstated(city: Terminal) -> None:
    assert "SUSPENDED 暂停" in done(city.run("member", "suspend", "wang", "--memo", "核查"))
    assert city.run("member", "suspend", "wang").reason is Reason.MEMBER_NOT_ACTIVE
    assert "ACTIVE 正常" in done(city.run("member", "reinstate", "wang"))
    assert city.run("member", "reinstate", "nobody").reason is Reason.MEMBER_NOT_FOUND


def test_a_duplicate_is_merged_and_taken_apart(city: Terminal) -> None:
    done(city.run("member", "register", "wang-2"))
    assert "MERGED 已合并" in done(city.run("member", "merge", "wang-2", "--into", "wang"))
    assert "ACTIVE 正常" in done(city.run("member", "unmerge", "wang-2"))
    assert city.run("member", "merge", "li", "--into", "nobody").reason is Reason.MEMBER_NOT_FOUND
    assert city.run("member", "unmerge", "li").reason is not None


def test_time_is_given_to_the_family_and_the_pool(city: Terminal) -> None:
    done(city.run(*submission("r-1")))
    give = ("member", "give", "wang", "--minutes", "30")
    assert city.run(*give, "--to", "li").reason is Reason.FAMILY_LINK_MISSING
    assert city.run(*give).reason is Reason.VALIDATION_FAILED
    assert city.run(*give, "--to", "li", "--pool").reason is Reason.VALIDATION_FAILED
    link = ("member", "family", "wang", "--relative", "li", "--relation", "PARENT")
    assert "已登记亲属" in done(city.run(*link))
    assert "已转赠" in done(city.run(*give, "--to", "li"))
    assert "公共时间池" in done(city.run(*give, "--pool"))
    assert "1h 00m" in done(city.run("member", "show", "wang"))
    assert "已解除" in done(city.run(*link, "--ended"))
    assert city.run("member", "give", "wang", "--minutes", "0", "--pool").exit_code == 2
    assert (
        city.run("member", "family", "wang", "--relative", "li", "--relation", "X").exit_code == 2
    )
    assert city.run(
        "member", "family", "wang", "--relative", "x", "--relation", "CHILD"
    ).reason is (Reason.MEMBER_NOT_FOUND)


def test_a_grant_needs_a_policy_that_gives(city: Terminal) -> None:
    said = city.run("member", "grant", "li", "--minutes", "30")
    assert said.reason is Reason.MOVEMENT_NOT_ALLOWED


def test_a_no_show_is_reported_once(city: Terminal) -> None:
    report = ("member", "no-show", "wang", "--activity", "送药", "--day", "2024-03-01")
    assert "已登记爽约" in done(city.run(*report))
    assert city.run(*report).reason is Reason.NO_SHOW_EXISTS
    said = city.run("member", "no-show", "wang", "--activity", "送药", "--day", "yesterday")
    assert said.reason is Reason.VALIDATION_FAILED


def test_a_volunteer_is_evaluated(city: Terminal) -> None:
    rate = ("member", "evaluate", "wang", "--role", "COMMUNITY", "--rater", "zhao", "--score", "5")
    assert "已评价" in done(city.run(*rate))
    assert city.run(*rate).reason is Reason.EVALUATION_EXISTS


def test_a_death_needs_a_yes_and_leaves_the_time(city: Terminal) -> None:
    assert city.run("member", "death", "wang", answer="n\n").exit_code == 1
    assert city.run("member", "death", "wang", "--heir", "li", "--yes").reason is (
        Reason.FAMILY_LINK_MISSING
    )
    assert "DECEASED 已身故" in done(city.run("member", "death", "wang", answer="y\n"))


def test_who_moves_away_takes_a_statement_along(city: Terminal, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "statement.txt"
    assert city.run("member", "export", "li", "--to", " ", "--yes").reason is (
        Reason.VALIDATION_FAILED
    )
    unwritable = city.run("member", "export", "li", "--to", "烟台", "--yes", "--out", "/dev/full")
    assert unwritable.error is not None
    request_id = unwritable.error.message.rpartition("--request-id ")[2].split()[0]
    again = ("member", "export", "li", "--to", "烟台", "--yes", "--request-id", request_id)
    assert "已迁出" in done(city.run(*again, "--out", str(path)))
    assert "— timebank.example/" in path.read_text(encoding="utf-8")
    assert path.read_text(encoding="utf-8") == done(city.run(*again))


def test_personal_data_is_kept_shown_and_erased(city: Terminal) -> None:
    put = ("member", "person", "put", "wang", "--name", "王阿姨", "--id-type", "居民身份证")
    kept = city.run(*put, "--ask-id-number", answer=f"{ID_NUMBER}\n")
    assert "已保存" in done(kept)
    assert ID_NUMBER not in kept.out
    assert ID_NUMBER in done(city.run("member", "person", "show", "wang"))
    assert city.run("member", "person", "put", "wang", "--name", "x" * 61).reason is (
        Reason.VALIDATION_FAILED
    )
    assert city.run("member", "person", "erase", "wang", answer="n\n").exit_code == 1
    assert "已删除" in done(city.run("member", "person", "erase", "wang", "--yes"))
    assert city.run("member", "person", "show", "wang").reason is Reason.PERSONAL_DATA_ERASED


def test_a_star_is_shown_and_listed_with_its_reasons(city: Terminal) -> None:
    done(city.run("policy", "adopt", "national"))
    shown = done(city.run("stars", "show", "wang"))
    for words in ("☆☆☆☆☆ wang", "to go 距一星还差", "Policy 政策"):
        assert words in shown
    assert "Stars 星级" in done(city.run("stars", "list", "--min", "1"))
    assert city.run("stars", "list", "--min", "6").exit_code == 2
    assert city.run("stars", "show", "nobody").reason is Reason.MEMBER_NOT_FOUND


@pytest.mark.parametrize(
    "command",
    [("select", "wang"), ("close-review", "wang", "--keep"), ("close-review", "li", "--lower")],
)
def test_reviews_and_selections_need_their_state(city: Terminal, command: tuple[str, ...]) -> None:
    assert city.run("stars", *command).reason is Reason.STAR_STATE


def test_a_certificate_is_issued_written_checked_and_revoked(
    city: Terminal, tmp_path: pathlib.Path
) -> None:
    issue = ("certificate", "issue", "wang", *WORDING)
    assert city.run(*issue).reason is Reason.CERTIFICATE_EMPTY
    done(city.run(*submission("r-1")))
    page, document = tmp_path / "wang.pdf", tmp_path / "wang.txt"
    made = done(city.run(*issue, "--pdf", str(page), "--out", str(document)))
    number = next(word for word in made.split() if word.startswith("zm-"))
    assert page.read_bytes().startswith(b"%PDF")
    assert "王阿姨" in document.read_text(encoding="utf-8")
    assert "ISSUED 有效" in done(city.run("certificate", "check", number))
    assert number in done(city.run("certificate", "list", "wang"))
    assert "2h 00m" in done(city.run("certificate", "show", number))
    unwritable = city.run("certificate", "show", number, "--out", "/dev/full")
    assert unwritable.error is not None
    assert number in unwritable.error.message
    assert "REVOKED 已撤销" in done(city.run("certificate", "revoke", number, "--memo", "有误"))
    assert city.run("certificate", "revoke", number).reason is Reason.CERTIFICATE_STATE
    assert city.run("certificate", "check", number).exit_code == 1
    for command in ("check", "show", "revoke"):
        assert city.run("certificate", command, "zm-0").reason is Reason.CERTIFICATE_NOT_FOUND
    assert city.run("certificate", "list", "nobody").reason is Reason.MEMBER_NOT_FOUND


def test_the_way_to_the_next_star_is_drawn() -> None:
    lines = list(star_lines(STAR))
    assert lines[0] == "★★☆☆☆ wang 二星"
    assert "██████████████████░░ 38 h to go 距三星还差 38 小时" in lines
    assert "██████████████████░░ 10 points to go 距三星还差 10 分" in lines
    assert "• 562 hours" in lines
    assert "• 562 小时" in lines
    top = replace(STAR, star=5, missing_minutes=0, missing_points=0, under_review=True, kept=True)
    lines = list(star_lines(top))
    assert lines[0] == "★★★★★ wang 五星 under review 复核中 kept 保留"
    assert "highest star 已是最高星级" in lines


@pytest.mark.parametrize(
    "command",
    [
        *(("member", name) for name in MEMBER_COMMANDS),
        *(("member", "person", name) for name in ("show", "put", "erase")),
        *(("stars", name) for name in ("show", "list", "close-review", "select")),
        *(("certificate", name) for name in ("issue", "show", "list", "revoke", "check")),
    ],
)
def test_every_command_has_help_with_an_example_in_two_languages(command: tuple[str, ...]) -> None:
    said = Terminal().run(*command, "--help")
    assert said.exit_code == 0
    assert "Example" in said.out
    assert any("\u4e00" <= letter <= "\u9fff" for letter in said.out)
