"""What a cashier types at the till, read as orders.

Owns: the words of the orders in English and Chinese, their arguments and options. Refuses: doing
anything. Rules: an order is one line of words, quoted as in a shell; wide spaces count as spaces,
and what follows a # is a remark.
"""

from __future__ import annotations

import enum
import shlex
from dataclasses import dataclass, field

from timebank.errors import Reason, TimebankError

LINE_CHARACTERS_MAX = 2_000
QUANTITY_MAX = 1_000
AMOUNT_MAX = 1_000_000


class Order(enum.StrEnum):
    """What can be ordered; the value is the English word."""

    ENROL = "enrol"
    OFFERS = "offers"
    QUOTE = "quote"
    REDEEM = "redeem"
    AGAIN = "again"
    REFUND = "refund"
    VOID = "void"
    REVERSE = "reverse"
    LOOKUP = "lookup"
    JOURNAL = "journal"
    EXPORT = "export"
    PENDING = "pending"
    HELP = "help"
    QUIT = "quit"


@dataclass(frozen=True, slots=True)
class Form:
    """How an order is typed: its arguments at least and at most, its options, and what it does."""

    words: tuple[str, ...]
    usage: str
    least: int
    most: int
    about: str
    options: frozenset[str] = frozenset()
    flags: frozenset[str] = frozenset()


_PAYER = frozenset({"code", "card", "pin", "amount"})
FORMS: dict[Order, Form] = {
    Order.ENROL: Form(("enroll", "登记"), "CODE", 1, 4, "make the till's key 登记终端"),
    Order.OFFERS: Form(("商品",), "", 0, 0, "list what is for sale 商品列表"),
    Order.QUOTE: Form(
        ("询价",), "OFFER [QUANTITY]", 1, 2, "what it costs 询价", options=frozenset({"amount"})
    ),
    Order.REDEEM: Form(
        ("兑换",),
        "OFFER [QUANTITY] [--code C | --card C | --qr] [--pin P] [--amount N]",
        1,
        2,
        "sell for points 积分兑换",
        options=_PAYER,
        flags=frozenset({"qr"}),
    ),
    Order.AGAIN: Form(("重试",), "REF", 1, 1, "ask again about an unknown sale 重试"),
    Order.REFUND: Form(("退款",), "REF AMOUNT", 2, 2, "give points back 退款"),
    Order.VOID: Form(("撤销",), "REF", 1, 1, "release what is held 撤销"),
    Order.REVERSE: Form(("冲正",), "REF", 1, 1, "undo a sale, known or not 冲正"),
    Order.LOOKUP: Form(("查询",), "REF", 1, 1, "what became of a sale 查询"),
    Order.JOURNAL: Form(("流水",), "[DATE | all]", 0, 1, "today's sales 今日流水"),
    Order.EXPORT: Form(("导出",), "DATE [FILE]", 1, 2, "the day as CSV for reconciliation 导出"),
    Order.PENDING: Form(("待发",), "", 0, 0, "what is still to be sent or asked 待发"),
    Order.HELP: Form(("帮助", "?"), "", 0, 0, "this list 帮助"),
    Order.QUIT: Form(("exit", "退出"), "", 0, 0, "leave the till 退出"),
}
ORDERS: dict[str, Order] = {
    word: order for order, form in FORMS.items() for word in (order.value, *form.words)
}


@dataclass(frozen=True, slots=True)
class Typed:
    """An order with its arguments and options. Its text never shows a code or a PIN."""

    order: Order
    arguments: tuple[str, ...] = field(default=(), repr=False)
    options: dict[str, str] = field(default_factory=dict, repr=False)


def parse(line: str) -> Typed | None:
    """Reads a line; None when nothing is on it.

    Raises VALIDATION_FAILED for an unknown order, a wrong number of arguments, and an option that
    the order does not have. What was typed is not repeated: it may be a code.
    """
    if len(line) > LINE_CHARACTERS_MAX:
        raise _refusal(f"expected a line of at most {LINE_CHARACTERS_MAX} characters")
    try:
        words = shlex.split(line.replace("\u3000", " "), comments=True)
    except ValueError as error:
        raise _refusal(f"expected quotes that end ({error})") from error
    if not words:
        return None
    order = ORDERS.get(words[0].lower())
    if order is None:
        said = f": {words[0][:20]!r}" if words[0].isalpha() else ""
        raise _refusal(f"no such order{said}; `help` 帮助 lists them")
    form = FORMS[order]
    arguments, options = _sorted_out(words[1:], order, form)
    if not form.least <= len(arguments) <= form.most:
        raise _refusal(f"expected `{usage_of(order)}`, got {len(arguments)} arguments")
    return Typed(order, tuple(arguments), options)


def usage_of(order: Order) -> str:
    """Gives how an order is typed."""
    return f"{order.value} {FORMS[order].usage}".rstrip()


def number_of(text: str, what: str, most: int) -> int:
    """Reads a number from 1. Raises VALIDATION_FAILED for anything else."""
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= most):
        raise _refusal(f"{what}: expected a number from 1 to {most:,}")
    return int(text)


def _sorted_out(words: list[str], order: Order, form: Form) -> tuple[list[str], dict[str, str]]:
    arguments: list[str] = []
    options: dict[str, str] = {}
    rest = iter(words)
    for word in rest:
        if not word.startswith("--"):
            arguments.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        if name in form.flags and not equals:
            options[name] = "yes"
            continue
        if name not in form.options:
            raise _refusal(f"{order}: no option --{name[:20]}; expected `{usage_of(order)}`")
        options[name] = value if equals else next(rest, "")
        if not options[name]:
            raise _refusal(f"--{name}: expected a value after it")
    return arguments, options


def _refusal(message: str) -> TimebankError:
    return TimebankError(Reason.VALIDATION_FAILED, message, field="order")
