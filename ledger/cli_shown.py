"""How the ledger's answers look on a terminal: tables of accounts, balances and entries.

Owns: columns and the Chinese words beside the English ones. Refuses: asking the server.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo

from rich.table import Table
from rich.text import Text

from timebank.client.views import AccountView, Balance, EntryView, LedgerView, PostingView
from timebank.units import Unit

KIND_WORDS = {
    "LEDGER_CREATED": "建账",
    "OPENING_CLOSED": "期初关闭",
    "KEY_ROTATED": "密钥轮换",
    "ACCOUNT_OPENED": "开户",
    "ACCOUNT_FROZEN": "冻结",
    "ACCOUNT_UNFROZEN": "解冻",
    "ACCOUNT_CLOSED": "销户",
    "ACCOUNT_LIMITS_CHANGED": "限额变更",
    "HOLD_CREATED": "预授权",
    "HOLD_VOIDED": "预授权撤销",
    "HOLD_EXPIRED": "预授权过期",
    "OPENING_BALANCE": "期初余额",
    "IMPORT": "导入",
    "RECORD_POSTED": "服务记录",
    "RECORD_CORRECTED": "更正",
    "TRANSFER": "转赠",
    "DONATION": "捐赠",
    "POOL_GRANT": "发放",
    "SERVICE_PAYMENT": "支付",
    "REDEMPTION": "兑换",
    "SETTLEMENT": "结算",
    "FUND_INCOME": "基金收入",
    "FUND_SPENDING": "基金支出",
    "LOT_EXPIRED": "过期",
    "REVERSAL": "冲正",
    "REFUND": "退款",
    "MEMBER_EXPORTED": "迁出",
    "MEMBER_DIED": "身故",
    "MEMBER_REGISTERED": "会员登记",
    "MEMBER_CHANGED": "会员变更",
    "MEMBERS_MERGED": "合并",
    "MEMBERS_UNMERGED": "撤销合并",
    "FAMILY_LINKED": "亲属关系",
    "NO_SHOW_REPORTED": "爽约",
    "EVALUATED": "评价",
    "RECORD_CLAIMED": "记录申报",
    "RECORD_VERIFIED": "记录核实",
    "RECORD_PUBLICISED": "记录公示",
    "RECORD_DISPUTED": "记录异议",
    "RECORD_DISPUTE_RESOLVED": "异议处理",
    "RECORD_VOIDED": "记录作废",
    "RECORD_SPOT_CHECKED": "抽查",
    "POLICY_ADOPTED": "政策生效",
    "STAR_GRANTED": "授星",
    "STAR_REVIEW_OPENED": "星级复核",
    "STAR_REVIEW_CLOSED": "复核结束",
    "STAR_LOWERED": "降星",
    "STAR_SELECTED": "评选",
    "CERTIFICATE_ISSUED": "开具证明",
    "CERTIFICATE_REVOKED": "撤销证明",
    "CERTIFICATE_FLAGGED": "证明待核",
    "MEMBER": "会员",
    "ISSUANCE": "发行",
    "POOL": "公共时间池",
    "MERCHANT": "商户",
    "CLEARING": "清算",
    "FUND": "专项基金",
    "EXPIRED": "过期",
    "ACTIVE": "正常",
    "FROZEN": "冻结",
    "CLOSED": "销户",
}
MINUTES_PER_HOUR = 60
FEN_PER_YUAN = 100
ID_WIDTH = 26
"""Ids are shown whole, for people copy them."""


def words(kind: str) -> str:
    """Gives a kind or state with its Chinese word."""
    return f"{kind} {KIND_WORDS[kind]}" if kind in KIND_WORDS else kind


def amount_text(amount: int, unit: Unit) -> str:
    """Writes an amount for people, without its unit: `-1h 30m`, `5`, `12.34` (yuan)."""
    sign, size = "-" if amount < 0 else "", abs(amount)
    if unit in (Unit.HOURS, Unit.TIME):
        hours, minutes = divmod(size, MINUTES_PER_HOUR)
        return f"{sign}{hours:,}h {minutes:02}m"
    if unit is Unit.FUND:
        yuan, fen = divmod(size, FEN_PER_YUAN)
        return f"{sign}{yuan:,}.{fen:02}"
    return f"{sign}{size:,}"


def ledgers_table(ledgers: Iterable[LedgerView]) -> Table:
    """Shows ledgers."""
    table = Table(title="Ledgers 账本", title_justify="left")
    for heading in ("Id 编号", "Name 名称", "Zone 时区", "Origin 日志", "Opening 期初"):
        table.add_column(heading, overflow="fold")
    for ledger in ledgers:
        opening = "closed 已关闭" if ledger.opening_closed else "open 开放"
        cells = (ledger.id, ledger.display_name, ledger.time_zone, ledger.log_origin)
        table.add_row(*map(Text, cells), opening)
    return table


def accounts_table(accounts: Iterable[AccountView], title: str) -> Table:
    """Shows accounts with their balances."""
    table = Table(title=Text(title), title_justify="left", show_lines=True)
    table.add_column("Account 账户\nHolder 持有人", overflow="fold", min_width=ID_WIDTH)
    table.add_column("Unit Kind State\n单位 类型 状态")
    for heading in ("Posted\n余额", "Held\n预授权", "Available\n可用"):
        table.add_column(heading, justify="right")
    for account in accounts:
        amounts = (account.posted, account.held, account.available)
        table.add_row(
            Text(f"{account.id}\n{account.holder}"),
            f"{_unit(account.unit)}\n{words(account.kind)}\n{words(account.state)}",
            *(amount_text(amount, account.unit) for amount in amounts),
        )
    return table


def balances_table(balances: Iterable[Balance], title: str) -> Table:
    """Shows balances; the number of log entries behind each stands beside it."""
    table = Table(title=Text(title), title_justify="left")
    table.add_column("Account 账户\nUnit 单位", min_width=ID_WIDTH)
    for heading in ("Posted\n余额", "Held\n预授权", "Available\n可用", "Debt\n欠额", "Log\n日志"):
        table.add_column(heading, justify="right")
    for balance in balances:
        amounts = (balance.posted, balance.held, balance.available, balance.debt)
        table.add_row(
            f"{balance.account.rpartition('/')[2]}\n{_unit(balance.unit)}",
            *(amount_text(amount, balance.unit) for amount in amounts),
            f"{balance.log_size:,}",
        )
    return table


def entries_table(entries: Iterable[EntryView], zone: tzinfo) -> Table:
    """Shows entries with their postings; times in `zone`."""
    table = Table(title=f"Entries 记录 ({zone})", title_justify="left", show_lines=True)
    table.add_column("Index\n序号", justify="right")
    table.add_column("Recorded 记录\nHappened 发生")
    table.add_column("Kind 类型\nCause 原因", overflow="fold")
    table.add_column("Postings 明细", min_width=ID_WIDTH, no_wrap=True)
    for entry in entries:
        table.add_row(
            str(entry.index),
            f"{_time(entry.recorded_time, zone)}\n{_time(entry.effective_time, zone)}",
            Text(f"{words(entry.kind)}\n{entry.cause or ''}".rstrip()),
            "\n".join(_posting(posting) for posting in entry.postings),
        )
    return table


def _posting(posting: PostingView) -> str:
    sign = "+" if posting.amount > 0 else ""
    amount = f"{sign}{amount_text(posting.amount, posting.unit)} {posting.unit.name_zh}"
    return f"{posting.account.rpartition('/')[2]}\n  {amount}"


def _unit(unit: Unit) -> str:
    return f"{unit.name} {unit.name_zh}"


def _time(time: datetime, zone: tzinfo) -> str:
    return f"{time.astimezone(zone):%Y-%m-%d %H:%M:%S}"
