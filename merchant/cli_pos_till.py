"""The till at work: each order of a cashier, done and told.

Owns: the order of questions to the cashier and the member, and every sentence that the till says.
Refuses: reading the keyboard and the network, which it is given. Rules: goods go out on DONE alone;
UNKNOWN 结果未知 says what to do next, and is followed by the truth as soon as the server tells it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.text import Text

from merchant.cli_options import UNREACHED, date_of
from merchant.cli_pos_orders import (
    AMOUNT_MAX,
    FORMS,
    QUANTITY_MAX,
    Order,
    Typed,
    number_of,
    usage_of,
)
from merchant.cli_pos_terminal import Background, Keyboard
from merchant.cli_shown import (
    offers_table,
    pending_table,
    price_text,
    qr_text,
    sales_table,
    words,
)
from timebank.client.merchant_views import OfferView, RedemptionState, RedemptionView
from timebank.client.till_calls import OutcomeOpenError
from timebank.client.till_recipes import TillResult, TillVerdict
from timebank.client.till_records import SALES, Action
from timebank.client.till_requests import Purchase
from timebank.client.till_signatures import clean_code
from timebank.client.tills import TillClient
from timebank.errors import MEANINGS, Reason, TimebankError

CARD_DIGITS = 16
PIN_TRIES_MAX = 3
OFFERS_MAX = 1_000
KEPT_MAX = 100
"""Most purchases of unknown outcome whose codes stay in memory, for `again`."""
REF_DIGITS = 6


class Exit(enum.IntEnum):
    """How an order ended, as an exit code; 2 is the command line's own."""

    DONE = 0
    REFUSED = 1
    UNKNOWN = 3


class Counter:
    """A till with somebody in front of it."""

    def __init__(
        self, till: TillClient, run: Background, keyboard: Keyboard, console: Console
    ) -> None:
        self._till = till
        self._run = run
        self._keyboard = keyboard
        self._console = console
        self.is_busy = False
        """True while an order is done: what is found out meanwhile is its own to tell."""
        self._kept: dict[str, Purchase] = {}
        self._missing: set[str] = set()
        self._orders: dict[Order, Callable[[Typed], Exit]] = {
            Order.ENROL: self._enrol,
            Order.OFFERS: self._offers,
            Order.QUOTE: self._quote,
            Order.REDEEM: self._redeem,
            Order.AGAIN: self._again,
            Order.REFUND: self._refund,
            Order.VOID: lambda typed: self._tell(self._run(till.void_for_sure(self._ref(typed)))),
            Order.REVERSE: self._reverse,
            Order.LOOKUP: self._lookup,
            Order.JOURNAL: self._journal,
            Order.EXPORT: self._export,
            Order.PENDING: self._pending,
            Order.HELP: self._help,
        }

    def do(self, typed: Typed) -> Exit:
        """Does an order and tells how it ended; a refusal is told, not raised."""
        self.is_busy = True
        try:
            return self._orders[typed.order](typed)
        except OutcomeOpenError as error:
            # A question, not a sale: redeem_for_sure and its like never raise this.
            self.say(f"NO CONNECTION 网络中断: nothing was asked for 未发起; {_plain(error)}")
            return Exit.UNKNOWN
        except TimebankError as error:
            self.say(f"REFUSED 已拒绝: {_plain(error)}")
            return Exit.REFUSED
        except EOFError:
            self.say("CANCELLED 已取消: the input ended")
            return Exit.REFUSED
        except OSError as error:
            self.say(f"REFUSED 已拒绝: {error.filename or 'file'}: {error.strerror or error}")
            return Exit.REFUSED
        finally:
            self.is_busy = False

    def say(self, text: str) -> None:
        """Says a sentence."""
        self._console.print(Text(text), soft_wrap=True)

    def news_of(self, results: list[TillResult]) -> list[TillResult]:
        """Leaves out what was told before: that the server has not got a sale."""
        news = []
        for result in results:
            if result.verdict is TillVerdict.UNKNOWN:
                if result.merchant_ref in self._missing:
                    continue
                self._missing.add(result.merchant_ref)
            news.append(result)
        return news

    def tell_all(self, results: list[TillResult]) -> None:
        """Tells how actions ended."""
        for result in results:
            self._tell(result)

    def _enrol(self, typed: Typed) -> Exit:
        terminal = self._run(self._till.enrol("".join(typed.arguments)))
        self.say(f"ENROLLED 已登记: {terminal.name} is {words(terminal.state)}")
        return Exit.DONE

    def _offers(self, typed: Typed) -> Exit:
        async def collect() -> list[OfferView]:
            found = []
            async for offer in self._till.offers():
                found.append(offer)
                if len(found) == OFFERS_MAX:
                    break
            return found

        self._console.print(offers_table(self._run(collect()), "Offers 商品"))
        return Exit.DONE

    def _quote(self, typed: Typed) -> Exit:
        self._priced(typed)
        return Exit.DONE

    def _redeem(self, typed: Typed) -> Exit:
        purchase = self._with_payer(self._priced(typed), typed.options)
        if purchase is None:
            self.say("CANCELLED 已取消: nothing was asked for 未发起")
            return Exit.REFUSED
        result = self._run(self._till.redeem_for_sure(purchase))
        return self._tell(self._with_member(result, purchase, typed.options))

    def _again(self, typed: Typed) -> Exit:
        ref = self._ref(typed)
        purchase = self._kept.get(ref)
        if purchase is None:
            return self._tell(self._run(self._till.look_up(ref)))
        result = self._run(self._till.redeem_for_sure(purchase, merchant_ref=ref))
        return self._tell(self._with_member(result, purchase, {}))

    def _refund(self, typed: Typed) -> Exit:
        amount = number_of(typed.arguments[1], "AMOUNT", AMOUNT_MAX)
        return self._tell(self._run(self._till.refund_for_sure(self._ref(typed), amount)))

    def _reverse(self, typed: Typed) -> Exit:
        ref = self._ref(typed)
        self._kept.pop(ref, None)
        return self._tell(self._run(self._till.reverse_for_sure(ref)))

    def _lookup(self, typed: Typed) -> Exit:
        result = self._run(self._till.look_up(self._ref(typed)))
        redemption = result.redemption
        assert redemption is not None, "expected a redemption, for a look-up raises otherwise"
        state = redemption.state
        self.say(f"STATE 状态 {result.merchant_ref}: {words(state.value)}, {_amounts(redemption)}")
        return Exit.UNKNOWN if state is RedemptionState.UNKNOWN else Exit.DONE

    def _journal(self, typed: Typed) -> Exit:
        journal = self._till.journal
        day = typed.arguments[0] if typed.arguments else journal.today
        of = "" if day == "all" else date_of(day, "DATE")

        async def read() -> Exit:
            sales = journal.sales(of)
            self._console.print(sales_table(sales, f"Journal 流水 {of or 'all 全部'}"))
            return Exit.DONE

        return self._run(read())

    def _export(self, typed: Typed) -> Exit:
        day = date_of(typed.arguments[0], "DATE")
        self.tell_all(self.news_of(self._run(self._till.catch_up())))

        async def read() -> tuple[bytes, int]:
            journal = self._till.journal
            return journal.export(day), sum(sale.is_open for sale in journal.sales(day))

        content, open_count = self._run(read())
        if len(typed.arguments) > 1:
            Path(typed.arguments[1]).write_bytes(content)
            row_count = content.count(b"\n") - 1
            self.say(f"EXPORTED 已导出: {row_count:,} rows to {typed.arguments[1]}")
        else:
            self.say(content.decode("utf-8").replace("\r\n", "\n").rstrip())
        if open_count:
            self.say(f"{open_count} of them are UNKNOWN 结果未知 yet; export again later")
        return Exit.DONE

    def _pending(self, typed: Typed) -> Exit:
        self.tell_all(self.news_of(self._run(self._till.catch_up())))

        async def read() -> Exit:
            to_send, to_ask = self._till.journal.to_send(), self._till.journal.to_ask()
            if not to_send and not to_ask:
                self.say("Nothing is pending 没有待发")
                return Exit.DONE
            self._console.print(pending_table(to_send, to_ask))
            return Exit.UNKNOWN

        return self._run(read())

    def _help(self, typed: Typed) -> Exit:
        for order, form in FORMS.items():
            names = " ".join(form.words)
            self.say(f"  {usage_of(order)}  ({names})  {form.about}")
        return Exit.DONE

    def _priced(self, typed: Typed) -> Purchase:
        """Says what an order would cost and gives the purchase, without a payer. Raises."""
        quantity = 1
        if len(typed.arguments) > 1:
            quantity = number_of(typed.arguments[1], "QUANTITY", QUANTITY_MAX)
        offer = self._run(self._till.offer(typed.arguments[0]))
        amount = 0
        if not offer.price:
            said = typed.options.get("amount") or self._keyboard.line("Amount 金额: ")
            amount = number_of(said.strip(), "AMOUNT", AMOUNT_MAX)
        elif "amount" in typed.options:
            amount = number_of(typed.options["amount"], "AMOUNT", AMOUNT_MAX)
        purchase = Purchase(offer=offer.id, quantity=quantity, amount=amount)
        quote = self._run(self._till.quote(purchase))
        cost = price_text(quote.amount, quote.unit, quote.cash_fen)
        self.say(f"{quantity} × {offer.title}: {cost}")
        return replace(purchase, amount=quote.amount, price_version=quote.price_version)

    def _with_payer(self, purchase: Purchase, options: dict[str, str]) -> Purchase | None:
        """Asks for what is missing of who pays; None when the cashier gives nothing."""
        if "qr" in options:
            return replace(purchase, member_qr=True)
        typed = options.get("card") or options.get("code")
        if typed is None:
            typed = self._keyboard.line("Payment code 付款码: ")
        code = clean_code(typed)
        if not code:
            return None
        if "card" not in options and len(code) != CARD_DIGITS:
            return replace(purchase, payment_code=code, pin=options.get("pin", ""))
        pin = options.get("pin") or self._keyboard.secret("PIN 支付密码: ")
        return replace(purchase, card_number=code, pin=pin.strip())

    def _with_member(
        self, result: TillResult, purchase: Purchase, options: dict[str, str]
    ) -> TillResult:
        """Lets the member do what a redemption waits for, and gives how it ended."""
        if result.verdict is TillVerdict.UNKNOWN and len(self._kept) < KEPT_MAX:
            self._kept[result.merchant_ref] = purchase
        redemption = result.redemption
        if result.verdict is not TillVerdict.WAITING or redemption is None:
            return result
        if not redemption.pin_required:
            self._console.print(Text(qr_text(redemption.name)), soft_wrap=True)
            self.say("The member scans this and confirms 请会员扫码确认 (Ctrl-C: later 稍后)")
            return self._run(self._till.wait_for_member(result.merchant_ref))
        said = "" if purchase.pin else options.get("pin", "")
        for tries_left in range(PIN_TRIES_MAX - 1, -1, -1):
            pin = said or self._pin()
            said = ""
            if not pin:
                break
            confirmed = self._run(self._till.confirm_for_sure(result.merchant_ref, pin))
            error = confirmed.error
            wrong = error is not None and error.reason is Reason.PIN_INVALID
            if not wrong:
                return confirmed
            self.say(f"Wrong PIN 密码错误; {tries_left} tries left 剩余次数")
        return self._run(self._till.void_for_sure(result.merchant_ref))

    def _pin(self) -> str:
        """Asks for the PIN; nothing when the member goes away."""
        try:
            return self._keyboard.secret("PIN 支付密码 (empty: cancel 取消): ").strip()
        except (EOFError, KeyboardInterrupt):
            return ""

    def _ref(self, typed: Typed) -> str:
        """Gives the reference that was typed; up to six digits are the number of a sale here.

        Raises REDEMPTION_NOT_FOUND for a number that this till has not given: a slip of the finger
        must not reverse what nobody knows.
        """
        said = typed.arguments[0]
        if len(said) > REF_DIGITS or not (said.isascii() and said.isdigit()):
            return said

        async def find() -> str | None:
            ending = f"-{said.zfill(REF_DIGITS)}"
            found = (sale.merchant_ref for sale in self._till.journal.sales())
            return next((ref for ref in found if ref.endswith(ending)), None)

        ref = self._run(find())
        if ref is None:
            text = f"no sale number {int(said)} in this till's journal; `journal all` lists them"
            raise TimebankError(Reason.REDEMPTION_NOT_FOUND, text)
        return ref

    def _tell(self, result: TillResult) -> Exit:
        """Says how an action ended."""
        ref, redemption, error = result.merchant_ref, result.redemption, result.error
        what = words(result.action.value)
        if result.verdict is TillVerdict.UNKNOWN:
            self._tell_unknown(result)
            return Exit.UNKNOWN
        self._kept.pop(ref, None)
        self._missing.discard(ref)
        if result.verdict is TillVerdict.REFUSED:
            why = "" if error is None else _plain(error)
            if redemption is not None:
                why = f"{words(redemption.state.value)} {redemption.decline_reason}".rstrip()
            self.say(f"REFUSED 已拒绝 {what} {ref}: {why}")
            return Exit.REFUSED
        assert redemption is not None, "expected an answer with what is done or waits"
        if result.verdict is TillVerdict.WAITING:
            self.say(f"WAITING 待会员确认 {ref}: hand nothing out yet 请勿交付")
            return Exit.UNKNOWN
        state = words(redemption.state.value)
        self.say(f"DONE 成功 {what} {ref}: {state}, {_amounts(redemption)}")
        return Exit.DONE

    def _tell_unknown(self, result: TillResult) -> None:
        ref, error = result.merchant_ref, result.error
        why = "" if error is None else f" ({_plain(error)})"
        if result.action not in (*SALES, Action.CONFIRM):
            what = words(result.action.value)
            self.say(f"PENDING 待发 {what} {ref}: it is sent again until it is answered{why}")
        elif error is not None and error.reason is Reason.REDEMPTION_NOT_FOUND:
            self.say(
                f"UNKNOWN 结果未知 {ref}: the server has not got it 服务器未收到; "
                f"`again {ref}` 重试, or `reverse {ref}` 冲正 to be sure"
            )
        else:
            self.say(
                f"UNKNOWN 结果未知 {ref}: hand nothing out yet 请勿交付; the till keeps asking "
                f"自动查询; `again {ref}` 重试, `reverse {ref}` 冲正{why}"
            )


def _amounts(redemption: RedemptionView) -> str:
    """Says what was paid of a redemption, and what was given back."""
    paid = price_text(redemption.captured_amount, redemption.unit, redemption.cash_fen)
    back = redemption.refunded_amount
    return f"{paid}, refunded 已退 {back:,}" if back else paid


def _plain(error: TimebankError) -> str:
    """Gives what a refusal says, in both languages, without what the transport says of itself."""
    if error.message.startswith(UNREACHED):
        return f"no server answers 服务器无应答 ({error.reason})"
    return f"{error.message} ({error.reason} {MEANINGS[error.reason].zh})"
