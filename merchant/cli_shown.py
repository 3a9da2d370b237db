"""How merchants, tills, redemptions and settlements look on a terminal.

Owns: columns and the Chinese words beside the English ones. Refuses: asking the server.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable

import segno
from rich.table import Table
from rich.text import Text

from timebank.client.merchant_views import BudgetView, MerchantView, OfferView, TerminalView
from timebank.client.settlement_views import (
    BatchView,
    ReconciliationItemView,
    ReconciliationOutcome,
)
from timebank.client.till_records import Intent, Sale
from timebank.units import Unit

WORDS = {
    "SERVICE": "服务",
    "DISCOUNT": "优惠",
    "CULTURE": "文化",
    "ACTIVE": "正常",
    "SUSPENDED": "停用",
    "LEAVING": "退出中",
    "LEFT": "已退出",
    "PENDING": "待激活",
    "PAUSED": "下架",
    "UNKNOWN": "结果未知",
    "PENDING_MEMBER": "待确认",
    "AUTHORIZED": "已预授权",
    "PARTIALLY_CAPTURED": "部分完成",
    "CAPTURED": "已完成",
    "VOIDED": "已撤销",
    "REVERSED": "已冲正",
    "EXPIRED": "已过期",
    "DECLINED": "已拒绝",
    "REFUSED": "已拒绝",
    "OPEN": "未到期",
    "CLOSING": "结算中",
    "CLOSED": "已结算",
    "PAID": "已付款",
    "MATCHED": "相符",
    "MISSING_AT_MERCHANT": "商户缺失",
    "MISSING_IN_LEDGER": "账本缺失",
    "AMOUNT_MISMATCH": "金额不符",
    "STATE_MISMATCH": "状态不符",
    "DUPLICATE_AT_MERCHANT": "商户重复",
    "CUTOFF_SHIFT": "跨日",
    "LATE_OFFLINE": "离线迟报",
    "UNPAID": "未付",
    "OVERPAID": "多付",
    "REDEEM": "兑换",
    "AUTHORIZE": "预授权",
    "CONFIRM": "确认",
    "CAPTURE": "完成",
    "VOID": "撤销",
    "REVERSE": "冲正",
    "REFUND": "退款",
}
FEN_PER_YUAN = 100
CODE_GROUP = 4


def words(name: str) -> str:
    """Gives a state or kind with its Chinese word."""
    return f"{name} {WORDS[name]}" if name in WORDS else name


def yuan(fen: int) -> str:
    """Writes fen as yuan, exactly: `-¥1,234.05`."""
    whole, part = divmod(abs(fen), FEN_PER_YUAN)
    return f"{'-' if fen < 0 else ''}¥{whole:,}.{part:02}"


def price_text(amount: int, unit: Unit | None, cash_fen: int = 0) -> str:
    """Writes an amount with its unit, and the cash beside it."""
    if unit is Unit.TIME:
        hours, minutes = divmod(amount, 60)
        text = f"{hours:,}h {minutes:02}m {unit.name_zh}"
    else:
        text = f"{amount:,} points 积分"
    return f"{text} + {yuan(cash_fen)} cash 现金" if cash_fen else text


def code_text(code: str) -> str:
    """Writes a code in groups, for people to read aloud."""
    return " ".join(code[at : at + CODE_GROUP] for at in range(0, len(code), CODE_GROUP))


def qr_text(text: str) -> str:
    """Draws a QR code with characters."""
    drawn = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(out=drawn, compact=True)
    return drawn.getvalue()


def merchants_table(merchants: Iterable[MerchantView], title: str) -> Table:
    """Shows merchants."""
    table = Table(title=Text(title), title_justify="left")
    for heading in ("Id 编号", "Name 名称", "Category 类别", "State 状态"):
        table.add_column(heading, overflow="fold")
    table.add_column("Per 100 points\n每百积分", justify="right")
    table.add_column("Budget 预算", overflow="fold")
    for merchant in merchants:
        table.add_row(
            Text(_id(merchant.name)),
            Text(merchant.display_name),
            words(merchant.category),
            words(merchant.state),
            yuan(merchant.fen_per_hundred_points),
            Text(_id(merchant.budget)),
        )
    return table


def _cut_off(merchant: MerchantView) -> str:
    clock = f"{merchant.cut_off_minute // 60:02}:{merchant.cut_off_minute % 60:02}"
    since = merchant.cut_off_effective_date
    return f"{clock} from 自 {since}" if since else clock


def merchant_table(merchant: MerchantView) -> Table:
    """Shows a merchant, a line for each thing."""
    debt = merchant.debt_points_max
    rows = {
        "Merchant 商户": merchant.name,
        "Name 名称": merchant.display_name,
        "Category 类别": words(merchant.category),
        "State 状态": words(merchant.state),
        "Per 100 points 每百积分": yuan(merchant.fen_per_hundred_points),
        "Cut-off 日切": _cut_off(merchant),
        "Budget 预算": merchant.budget,
        "Most debt 最大欠额": "" if debt is None else f"{debt:,} points 积分",
        "Points account 积分账户": merchant.points_account,
        "TIME account 时间币账户": merchant.time_account,
        "Fund account 应付账户": merchant.fund_account,
        "Etag 版本标识": merchant.etag,
    }
    return _pairs(rows)


def terminal_table(terminal: TerminalView) -> Table:
    """Shows a till with its enrolment code, when the answer has one."""
    expires = terminal.enrolment_expire_time
    rows = {
        "Terminal 终端": terminal.name,
        "Name 名称": terminal.display_name,
        "Location 位置": terminal.location,
        "State 状态": words(terminal.state),
        "Keys 密钥": ", ".join(terminal.key_ids),
        "Enrolment code 登记码": code_text(terminal.enrolment_code),
        "Good until 有效至": "" if expires is None else f"{expires:%Y-%m-%d %H:%M:%S} UTC",
    }
    return _pairs({key: text for key, text in rows.items() if text})


def offers_table(offers: Iterable[OfferView], title: str, *, with_merchant: bool = False) -> Table:
    """Shows offers with their prices; with the merchant's id where there are several."""
    table = Table(title=Text(title), title_justify="left")
    for heading in ("Id 编号", "Title 名称", "Price 价格", "State 状态"):
        table.add_column(heading, overflow="fold")
    table.add_column("Stock 库存", justify="right")
    for offer in offers:
        price = price_text(offer.price, offer.unit, offer.cash_fen)
        table.add_row(
            Text(f"{offer.name.split('/')[3]}/{offer.id}" if with_merchant else offer.id),
            Text(offer.title),
            price if offer.price else "at the till 收银时输入",
            words(offer.state),
            "∞" if offer.stock is None else f"{offer.stock:,}",
        )
    return table


def budgets_table(budgets: Iterable[BudgetView], title: str) -> Table:
    """Shows budgets."""
    table = Table(title=Text(title), title_justify="left")
    table.add_column("Id 编号")
    table.add_column("Name 名称", overflow="fold")
    for heading in ("Limit\n额度", "Reserved\n预留", "Spent\n已用", "Adjusted\n结算调整"):
        table.add_column(heading, justify="right")
    table.add_column("Available\n可用", justify="right")
    for budget in budgets:
        table.add_row(
            Text(_id(budget.name)),
            Text(budget.display_name),
            yuan(budget.limit_fen),
            yuan(budget.reserved_fen),
            yuan(budget.spent_fen),
            yuan(budget.adjusted_fen),
            yuan(budget.available_fen),
        )
    return table


def batch_table(batch: BatchView) -> Table:
    """Shows a settlement batch, a line for each thing."""
    rows = {
        "Batch 批次": batch.name,
        "Business day 营业日": f"{batch.business_date}, number 序号 {batch.sequence}",
        "State 状态": words(batch.state),
        "Lines 笔数": f"{batch.line_count:,}",
        "Redeemed 兑换": f"{batch.redeemed_points:,} points 积分",
        "Refunded 退回": f"{batch.refunded_points:,} points 积分",
        "Net 净额": f"{batch.net_points:,} points 积分 = {yuan(batch.net_fen)}",
        "Time 时间币": f"{batch.net_minutes:,} minutes 分钟" if batch.net_minutes else "",
        "Paid 已付": yuan(batch.paid_fen) if batch.paid_fen else "",
        "Invoice 发票号": batch.invoice_number,
        "File SHA-256 文件": batch.file_sha256,
        "File before 前一文件": batch.previous_file_sha256,
    }
    return _pairs({key: text for key, text in rows.items() if text})


def items_table(items: Iterable[ReconciliationItemView]) -> Table:
    """Shows what a comparison found."""
    table = Table(title="Differences 对账差异", title_justify="left")
    for heading in ("Day 营业日", "Reference 商户单号", "Outcome 结果"):
        table.add_column(heading, overflow="fold")
    for heading in ("Ledger\n账本", "Merchant\n商户", "Settled\n结算", "Paid\n付款"):
        table.add_column(heading, justify="right")
    table.add_column("Owner 负责人", overflow="fold")
    for item in items:
        table.add_row(
            item.business_date,
            Text(item.merchant_ref or "(batch 批次)"),
            words(item.outcome),
            f"{item.ledger_amount:,}",
            f"{item.merchant_amount:,}",
            yuan(item.settled_fen) if item.settled_fen else "",
            yuan(item.paid_fen) if item.paid_fen else "",
            Text(item.owner),
        )
    return table


def outcomes_table(items: Iterable[ReconciliationItemView], matched_count: int) -> Table:
    """Shows how many items each outcome has."""
    counts = Counter(item.outcome for item in items)
    counts[ReconciliationOutcome.MATCHED] = matched_count
    table = Table(title="Result 对账结果", title_justify="left")
    table.add_column("Outcome 结果")
    table.add_column("Count 笔数", justify="right")
    for outcome in ReconciliationOutcome:
        if counts[outcome] or outcome is ReconciliationOutcome.MATCHED:
            table.add_row(words(outcome), f"{counts[outcome]:,}")
    return table


def sales_table(sales: Iterable[Sale], title: str) -> Table:
    """Shows sales of a till's journal."""
    table = Table(title=Text(title), title_justify="left")
    for heading in ("Reference 单号", "Day 日期", "Offer 商品", "State 状态"):
        table.add_column(heading, overflow="fold")
    for heading in ("Pieces\n件数", "Amount\n金额", "Captured\n已收", "Refunded\n已退"):
        table.add_column(heading, justify="right")
    for sale in sales:
        state = words("REFUSED" if sale.refused else sale.state)
        waits = "\nreversal waits 冲正待发" if sale.reversal_waits else ""
        table.add_row(
            Text(sale.merchant_ref),
            sale.day,
            Text(_id(sale.offer)),
            Text(f"{state} {sale.reason}".rstrip() + waits),
            str(sale.quantity),
            f"{sale.amount:,}",
            f"{sale.captured_amount:,}",
            f"{sale.refunded_amount:,}",
        )
    return table


def pending_table(intents: Iterable[Intent], sales: Iterable[Sale]) -> Table:
    """Shows what a till still has to send and to ask."""
    table = Table(title="Pending 待发", title_justify="left")
    for heading in ("Since 时间 (UTC)", "What 操作", "Reference 单号"):
        table.add_column(heading, overflow="fold")
    table.add_column("Amount 金额", justify="right")
    for intent in intents:
        table.add_row(
            intent.time[:19],
            f"send 待发 {words(intent.action)}",
            Text(intent.merchant_ref),
            f"{intent.amount:,}" if intent.amount else "",
        )
    for sale in sales:
        table.add_row(
            sale.time[:19],
            f"ask 待查 {words(sale.state)}",
            Text(sale.merchant_ref),
            f"{sale.amount:,}" if sale.amount else "",
        )
    return table


def _pairs(rows: dict[str, str]) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for key, text in rows.items():
        table.add_row(key, Text(text))
    return table


def _id(name: str) -> str:
    return name.rpartition("/")[2]
