"""The merchant service's part of `timebank audit`: its database, its key, and what it counts.

Refuses: every rule, which merchant.audit keeps; options and tables, which the command has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from timebank.audits import ServiceAudit

if TYPE_CHECKING:
    from timebank.audits import PaymentsOf, Report, Watcher
    from timebank.config import Config

LABELS = {
    "merchant": "Merchants 商户",
    "terminal": "Tills 收银终端",
    "offer": "Offers and their stock 商品与库存",
    "controls": "Velocity controls 限额",
    "counter": "Counters of limits 限额计数",
    "code": "Payment codes 付款码",
    "tries": "Wrong tries of tills 错码计数",
    "wallet": "Wallets 钱包",
    "card": "Cards 积分卡",
    "redemption": "Redemptions 兑换",
    "entries": "Entries of the ledger that paid for them 账本分录",
    "voucher": "Vouchers 兑换码",
    "line": "Settlement lines 结算明细",
    "batch": "Settlement batches, files and signatures 结算批次",
    "budget": "Budgets 预算",
    "income": "Incomes 收入",
    "income_reference": "References of incomes 收入凭证",
    "spending": "Spendings 支出",
    "item": "Reconciliation items 对账差异",
    "comparison": "Comparisons 对账",
    "programmes": "Programmes 项目",
}


async def run(
    config: Config, ledger: str | None, payments_of: PaymentsOf | None, watcher: Watcher | None
) -> Report:
    """Audits the merchant service's database. Writes nothing, also no secret.

    Raises DATABASE_UNAVAILABLE, SIGNER_UNAVAILABLE.
    """
    from merchant.audit.programmes import Scope
    from merchant.audit.run import audit_database
    from merchant.usecases.batch_files import SIGNER_LABEL, settlement_signer
    from timebank.secret_keys import SECRET_FILE, SecretKeys

    directory, vkey = config.keys.directory, ""
    if (directory / SECRET_FILE).exists():
        vkey = settlement_signer(SecretKeys.open(directory).key(SIGNER_LABEL)).vkey
    scope = Scope(ledger, vkey, payments_of)
    report = await audit_database(config.merchant_database, scope, watcher=watcher)
    if not vkey:
        report.notes.append(
            f"Settlement files were verified with the keys that they name: {directory} has no"
            f" {SECRET_FILE}. 结算文件按其自带公钥验证"
        )
    if payments_of is None:
        report.notes.append(
            "Redemptions were not compared with the ledger: this configuration does not serve it."
            " 未与账本核对"
        )
    return report


AUDIT = ServiceAudit("merchant", run, LABELS)
