"""`timebank pos`: orders as a cashier types them, against a merchant service that fails at will."""

import pathlib
from collections.abc import Iterator

import grpc
import pytest
from typer.testing import CliRunner

from merchant import cli_pos
from merchant.cli import app
from merchant.cli_pos_orders import FORMS, ORDERS, Order, parse, usage_of
from merchant.cli_pos_terminal import Background
from tests.timebank.client.fakes import Pauses
from tests.timebank.client.till_fakes import (
    CARD,
    CODE,
    DATE,
    ENROLMENT_CODE,
    PIN,
    TERMINAL,
    FakeMerchant,
    Lost,
    merchant_served,
)
from timebank.client.calls import Repetition
from timebank.client.till_recipes import LOOKUPS_MAX
from timebank.errors import Reason, TimebankError

REF = "t1-"
SECRETS = (CODE, CARD, PIN)


class Till:
    """A till whose server runs in a thread of this process."""

    def __init__(self, folder: pathlib.Path, address: str, merchant: FakeMerchant) -> None:
        self.folder = folder
        self.merchant = merchant
        self._options = ["--terminal", TERMINAL, "--server", address, "--dir", str(folder)]

    def pipe(self, *lines: str) -> tuple[int, str]:
        """Types lines through a pipe; gives the exit code and what was said."""
        text = "".join(f"{line}\n" for line in lines)
        result = CliRunner().invoke(app, ["pos", *self._options], input=text)
        return self._read(result.exception, result.exit_code, result.output)

    def once(self, line: str, *answers: str) -> tuple[int, str]:
        text = "".join(f"{answer}\n" for answer in answers)
        command = ["pos", *self._options, "--once", line]
        result = CliRunner().invoke(app, command, input=text)
        return self._read(result.exception, result.exit_code, result.output)

    def _read(self, error: BaseException | None, code: int, out: str) -> tuple[int, str]:
        if error is not None and not isinstance(error, SystemExit):
            raise error
        journal = (self.folder / "journal.jsonl").read_text(encoding="utf-8")
        for secret in SECRETS:
            assert secret not in out
            assert secret not in journal
        return code, " ".join(out.split())


@pytest.fixture
def till(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Till]:
    """A till that is enrolled, with a fake service of its own."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(cli_pos, "REPETITION", Repetition(attempts_max=4, sleep=Pauses()))
    merchant = FakeMerchant()  # type: ignore[abstract]  # what it leaves out is UNIMPLEMENTED
    background = Background()
    served = merchant_served(merchant)
    address = background(served.__aenter__())
    try:
        till = Till(tmp_path / "till", address, merchant)
        assert till.once(f"enrol {ENROLMENT_CODE}")[0] == 0
        merchant.calls.clear()
        yield till
    finally:
        background(served.__aexit__(None, None, None))
        background.close()


def lost(merchant: FakeMerchant, count: int = 4) -> None:
    """Lets a sale be made, its answers get lost, and nobody be there to ask."""
    away = [grpc.StatusCode.UNAVAILABLE] * (count - 1)
    merchant.failures["RedeemPoints"] = [Lost(grpc.StatusCode.UNAVAILABLE), *away]
    merchant.failures["LookupRedemption"] = [grpc.StatusCode.UNAVAILABLE] * LOOKUPS_MAX


@pytest.mark.parametrize("order", list(Order))
def test_every_order_has_a_chinese_word(order: Order) -> None:
    chinese = [word for word in FORMS[order].words if not word.isascii()]
    assert chinese
    assert ORDERS[chinese[0]] is ORDERS[order.value] is order
    assert usage_of(order).startswith(order.value)


def test_a_line_is_read_as_words_and_options() -> None:
    typed = parse("兑换　coffee 2 --code '7000 0000' --pin=123456 --qr # a remark")
    assert typed is not None
    assert typed.order is Order.REDEEM
    assert typed.arguments == ("coffee", "2")
    assert typed.options == {"code": "7000 0000", "pin": "123456", "qr": "yes"}
    assert parse("  # only a remark") is None
    assert "7000" not in repr(typed)


@pytest.mark.parametrize(
    "line",
    [
        "sell coffee",
        CODE,
        "redeem",
        "redeem a 1 2",
        "redeem coffee --colour red",
        "redeem coffee --code",
        "refund x --code 7",
        "redeem 'coffee",
        "refund t1-1",
        "x" * 3_000,
    ],
)
def test_what_is_no_order_is_refused_without_repeating_a_code(line: str) -> None:
    with pytest.raises(TimebankError) as refused:
        parse(line)
    assert refused.value.reason is Reason.VALIDATION_FAILED
    assert CODE not in refused.value.message


def test_a_sale_with_a_code_that_is_scanned(till: Till) -> None:
    code, said = till.pipe("redeem coffee 2", CODE, "流水")
    assert code == 0
    assert "2 × 咖啡: 20 points 积分 + ¥3.00 cash 现金" in said
    assert "DONE 成功 REDEEM 兑换 t1-" in said
    assert "CAPTURED 已完成" in said


def test_an_order_by_itself_takes_the_code_as_an_option(till: Till) -> None:
    code, said = till.once(f"redeem coffee 1 --code {CODE}")
    assert (code, "DONE 成功" in said) == (0, True)
    code, said = till.once("redeem coffee 1 --code 700000000000000009")
    assert (code, "PAYMENT_CODE_INVALID" in said) == (1, True)


def test_the_member_types_a_pin_when_it_is_asked_for(till: Till) -> None:
    till.merchant.waits_for_pin = True
    code, said = till.pipe("redeem coffee", CODE, "000000", PIN)
    assert code == 0
    assert "Wrong PIN 密码错误; 2 tries left" in said
    assert "DONE 成功 CONFIRM 确认" in said


def test_no_pin_gives_the_points_free(till: Till) -> None:
    till.merchant.waits_for_pin = True
    _, said = till.pipe("redeem coffee", CODE, "")
    assert "VOIDED 已撤销" in said
    _, said = till.pipe("redeem coffee", CODE)  # the input ends where the PIN is asked for
    assert "VOIDED 已撤销" in said


def test_a_card_is_taken_with_its_pin(till: Till) -> None:
    code, said = till.pipe("redeem coffee", CARD, PIN)
    assert (code, "DONE 成功" in said) == (0, True)
    request = till.merchant.requests[-1]
    assert (request.card_number, request.pin) == (CARD, PIN)


def test_an_offer_without_a_price_asks_for_the_amount(till: Till) -> None:
    till.merchant.offer_price = 0
    code, said = till.pipe("redeem coffee", "35", CODE)
    assert code == 0
    assert "35 points 积分" in said


def test_no_code_begins_nothing(till: Till) -> None:
    code, said = till.pipe("redeem coffee", "")
    assert (code, "CANCELLED 已取消" in said) == (1, True)
    assert till.merchant.count("RedeemPoints") == 0


def test_unknown_is_said_while_the_server_is_away_and_the_truth_at_the_next_start(
    till: Till,
) -> None:
    lost(till.merchant)
    code, said = till.once(f"redeem coffee 1 --code {CODE}")
    assert code == 3
    assert "UNKNOWN 结果未知" in said
    assert "请勿交付" in said
    code, said = till.once("pending")
    assert code == 0
    assert "DONE 成功 REDEEM 兑换 t1-" in said
    assert "Nothing is pending" in said


def test_an_unknown_sale_is_asked_again_with_its_code(till: Till) -> None:
    till.merchant.failures["RedeemPoints"] = [grpc.StatusCode.UNAVAILABLE] * 4
    code, said = till.pipe("redeem coffee", CODE, "again 1")
    assert code == 3
    assert "the server has not got it 服务器未收到" in said
    assert "DONE 成功 REDEEM 兑换" in said
    assert len(till.merchant.redemptions) == 1


def test_a_reversal_is_queued_and_sent_when_the_line_is_back(till: Till) -> None:
    lost(till.merchant)
    till.merchant.failures["ReverseRedemption"] = [grpc.StatusCode.UNAVAILABLE] * 4
    code, said = till.pipe("redeem coffee", CODE, "冲正 1")
    assert code == 3
    assert "PENDING 待发 REVERSE 冲正" in said
    assert "DONE 成功 REVERSE 冲正" in said
    (redemption,) = till.merchant.redemptions.values()
    assert redemption.refunded_amount == 10


def test_a_number_that_was_never_given_reverses_nothing(till: Till) -> None:
    code, said = till.once("reverse 7")
    assert (code, "no sale number 7" in said) == (1, True)
    assert till.merchant.count("ReverseRedemption") == 0


def test_without_a_connection_nothing_is_begun(till: Till) -> None:
    till.merchant.is_away = True
    code, said = till.once(f"redeem coffee 1 --code {CODE}")
    assert code == 3
    assert "NO CONNECTION 网络中断: nothing was asked for" in said
    assert till.merchant.count("RedeemPoints") == 0
    assert "t1-" not in said


def test_refund_lookup_and_export(till: Till) -> None:
    till.pipe("redeem coffee 2", CODE)
    code, said = till.pipe(
        "refund 1 5", "查询 1", "refund 1 99", f"export {DATE} {till.folder}/day.csv"
    )
    assert code == 1
    assert "DONE 成功 REFUND 退款" in said
    assert "20 points 积分, refunded 已退 5" in said
    assert "REFUND_EXCEEDS_CAPTURE" in said
    rows = (till.folder / "day.csv").read_text(encoding="utf-8").splitlines()
    assert rows[0] == "merchant_ref,business_date,state,captured_amount,refunded_amount"
    (ref,) = till.merchant.redemptions
    assert rows[1:] == [f"{ref},{DATE},CAPTURED,20,5"]


def test_an_export_finds_the_truth_out_first(till: Till) -> None:
    lost(till.merchant)
    till.once(f"redeem coffee 1 --code {CODE}")
    code, said = till.once(f"export {DATE}")
    assert code == 0
    assert f",{DATE},CAPTURED,10,0" in said
    assert "UNKNOWN" not in said


def test_offers_help_and_quit(till: Till) -> None:
    code, said = till.pipe("商品", "help", "quit", "redeem never")
    assert code == 0
    assert "咖啡" in said
    assert "兑换" in said
    assert "never" not in said


def test_a_key_without_its_journal_is_refused(till: Till) -> None:
    (till.folder / "journal.jsonl").unlink()
    with pytest.raises(TimebankError, match="numbers would be given twice"):
        till.once("pending")


def test_a_till_without_a_key_says_that_it_must_be_enrolled(
    till: Till, tmp_path: pathlib.Path
) -> None:
    till.folder = tmp_path / "other"
    till._options[-1] = str(till.folder)
    code, said = till.pipe("redeem coffee", CODE)
    assert code == 1
    assert "SIGNING_KEY_MISSING" in said
    assert till.merchant.count("RedeemPoints") == 0
