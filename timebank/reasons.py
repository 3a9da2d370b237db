"""The closed list of reasons for which a call is refused: each with its status and its meaning.

A reason keeps one meaning for ever; the list grows only together with a test that reaches the new
one. Everybody but this module and errors.py imports it from `timebank.errors`.
"""

import enum
from typing import NamedTuple

import grpc


class Reason(enum.StrEnum):
    """Why a call was refused; `MEANINGS` says what each means."""

    VALIDATION_FAILED = "VALIDATION_FAILED"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    PAGE_TOKEN_MISMATCH = "PAGE_TOKEN_MISMATCH"
    UNBALANCED_ENTRY = "UNBALANCED_ENTRY"
    BATCH_TOO_LARGE = "BATCH_TOO_LARGE"
    ENTRY_TOO_LARGE = "ENTRY_TOO_LARGE"
    AMOUNT_OVERFLOW = "AMOUNT_OVERFLOW"
    PAYMENT_CODE_INVALID = "PAYMENT_CODE_INVALID"
    ENROLMENT_CODE_INVALID = "ENROLMENT_CODE_INVALID"
    MERCHANT_NOT_FOUND = "MERCHANT_NOT_FOUND"
    TERMINAL_NOT_FOUND = "TERMINAL_NOT_FOUND"
    OFFER_NOT_FOUND = "OFFER_NOT_FOUND"
    REDEMPTION_NOT_FOUND = "REDEMPTION_NOT_FOUND"
    CARD_NOT_FOUND = "CARD_NOT_FOUND"
    VOUCHER_NOT_FOUND = "VOUCHER_NOT_FOUND"
    BATCH_NOT_FOUND = "BATCH_NOT_FOUND"
    BUDGET_NOT_FOUND = "BUDGET_NOT_FOUND"
    SPENDING_NOT_FOUND = "SPENDING_NOT_FOUND"
    RECONCILIATION_ITEM_NOT_FOUND = "RECONCILIATION_ITEM_NOT_FOUND"
    MERCHANT_EXISTS = "MERCHANT_EXISTS"
    TERMINAL_EXISTS = "TERMINAL_EXISTS"
    OFFER_EXISTS = "OFFER_EXISTS"
    SPENDING_EXISTS = "SPENDING_EXISTS"
    MERCHANT_REF_REUSED = "MERCHANT_REF_REUSED"
    MERCHANT_NOT_ACTIVE = "MERCHANT_NOT_ACTIVE"
    TERMINAL_SUSPENDED = "TERMINAL_SUSPENDED"
    OFFER_NOT_ACTIVE = "OFFER_NOT_ACTIVE"
    PRICE_CHANGED = "PRICE_CHANGED"
    OUT_OF_STOCK = "OUT_OF_STOCK"
    FUND_EXHAUSTED = "FUND_EXHAUSTED"
    PIN_REQUIRED = "PIN_REQUIRED"
    PIN_INVALID = "PIN_INVALID"
    PIN_LOCKED = "PIN_LOCKED"
    REDEMPTION_STATE = "REDEMPTION_STATE"
    REVERSED_BEFORE_AUTHORIZATION = "REVERSED_BEFORE_AUTHORIZATION"
    INCOME_EXISTS = "INCOME_EXISTS"
    BATCH_STATE = "BATCH_STATE"
    SPENDING_STATE = "SPENDING_STATE"
    RECONCILIATION_ITEM_STATE = "RECONCILIATION_ITEM_STATE"
    BATCH_CLOSED = "BATCH_CLOSED"
    VELOCITY_LIMIT_EXCEEDED = "VELOCITY_LIMIT_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    TERMINAL_SIGNATURE_INVALID = "TERMINAL_SIGNATURE_INVALID"
    OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
    LEDGER_NOT_FOUND = "LEDGER_NOT_FOUND"
    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    ENTRY_NOT_FOUND = "ENTRY_NOT_FOUND"
    HOLD_NOT_FOUND = "HOLD_NOT_FOUND"
    MEMBER_NOT_FOUND = "MEMBER_NOT_FOUND"
    RECORD_NOT_FOUND = "RECORD_NOT_FOUND"
    POLICY_NOT_FOUND = "POLICY_NOT_FOUND"
    CERTIFICATE_NOT_FOUND = "CERTIFICATE_NOT_FOUND"
    PERSONAL_DATA_ERASED = "PERSONAL_DATA_ERASED"
    MEMBER_EXISTS = "MEMBER_EXISTS"
    RECORD_EXISTS = "RECORD_EXISTS"
    NO_SHOW_EXISTS = "NO_SHOW_EXISTS"
    EVALUATION_EXISTS = "EVALUATION_EXISTS"
    MEMBER_NOT_ACTIVE = "MEMBER_NOT_ACTIVE"
    FAMILY_LINK_MISSING = "FAMILY_LINK_MISSING"
    HOLDS_REMAIN = "HOLDS_REMAIN"
    EVALUATION_REFUSED = "EVALUATION_REFUSED"
    RECORD_OVERLAPS = "RECORD_OVERLAPS"
    RECORD_STATE = "RECORD_STATE"
    EVIDENCE_TOO_WEAK = "EVIDENCE_TOO_WEAK"
    FOUR_EYES_REQUIRED = "FOUR_EYES_REQUIRED"
    STAR_STATE = "STAR_STATE"
    CERTIFICATE_STATE = "CERTIFICATE_STATE"
    CERTIFICATE_EMPTY = "CERTIFICATE_EMPTY"
    LEDGER_EXISTS = "LEDGER_EXISTS"
    ACCOUNT_EXISTS = "ACCOUNT_EXISTS"
    ENTRY_EXISTS = "ENTRY_EXISTS"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    ACCOUNT_FROZEN = "ACCOUNT_FROZEN"
    ACCOUNT_NOT_FROZEN = "ACCOUNT_NOT_FROZEN"
    ACCOUNT_CLOSED = "ACCOUNT_CLOSED"
    ACCOUNT_NOT_EMPTY = "ACCOUNT_NOT_EMPTY"
    HOLD_EXPIRED = "HOLD_EXPIRED"
    HOLD_RELEASED = "HOLD_RELEASED"
    ALREADY_CAPTURED = "ALREADY_CAPTURED"
    AMOUNT_EXCEEDS_HOLD = "AMOUNT_EXCEEDS_HOLD"
    REFUND_EXCEEDS_CAPTURE = "REFUND_EXCEEDS_CAPTURE"
    MOVEMENT_NOT_ALLOWED = "MOVEMENT_NOT_ALLOWED"
    ALREADY_REVERSED = "ALREADY_REVERSED"
    LINKED_ITEM_FAILED = "LINKED_ITEM_FAILED"
    OPENING_CLOSED = "OPENING_CLOSED"
    SIGNING_KEY_MISSING = "SIGNING_KEY_MISSING"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    QUEUE_FULL = "QUEUE_FULL"
    SLOW_READER = "SLOW_READER"
    DEADLINE_PASSED = "DEADLINE_PASSED"
    SCOPE_MISSING = "SCOPE_MISSING"
    TOKEN_INVALID = "TOKEN_INVALID"
    READ_ONLY = "READ_ONLY"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    DATABASE_UNAVAILABLE = "DATABASE_UNAVAILABLE"
    SIGNER_UNAVAILABLE = "SIGNER_UNAVAILABLE"
    CLOCK_SKEW = "CLOCK_SKEW"


class Meaning(NamedTuple):
    """Status of a reason and one line about it in English and Chinese."""

    status: grpc.StatusCode
    en: str
    zh: str


_C = grpc.StatusCode
MEANINGS: dict[Reason, Meaning] = {
    Reason.VALIDATION_FAILED: Meaning(
        _C.INVALID_ARGUMENT, "a field breaks its rule", "字段不符合要求"
    ),
    Reason.REQUEST_ID_REUSED: Meaning(
        _C.INVALID_ARGUMENT, "the request id was used for other content", "请求编号已用于其他内容"
    ),
    Reason.PAGE_TOKEN_MISMATCH: Meaning(
        _C.INVALID_ARGUMENT, "the page token belongs to another list", "分页标记与查询条件不符"
    ),
    Reason.UNBALANCED_ENTRY: Meaning(
        _C.INVALID_ARGUMENT, "the postings of a unit do not sum to zero", "借贷不平衡"
    ),
    Reason.BATCH_TOO_LARGE: Meaning(
        _C.INVALID_ARGUMENT, "too many items in one call", "单次提交项目过多"
    ),
    Reason.ENTRY_TOO_LARGE: Meaning(
        _C.INVALID_ARGUMENT, "the entry exceeds 65,535 bytes", "记录过大"
    ),
    Reason.AMOUNT_OVERFLOW: Meaning(_C.INVALID_ARGUMENT, "an amount exceeds 64 bits", "数额溢出"),
    Reason.PAYMENT_CODE_INVALID: Meaning(
        _C.INVALID_ARGUMENT,
        "the payment code does not pay: ask for a fresh one",
        "付款码无效，请刷新",
    ),
    Reason.ENROLMENT_CODE_INVALID: Meaning(
        _C.INVALID_ARGUMENT, "the enrolment code is wrong, used or too old", "终端登记码无效"
    ),
    Reason.MERCHANT_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such merchant", "商户不存在"),
    Reason.TERMINAL_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such terminal", "终端不存在"),
    Reason.OFFER_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such offer", "商品不存在"),
    Reason.REDEMPTION_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such redemption", "兑换不存在"),
    Reason.CARD_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such card", "积分卡不存在"),
    Reason.VOUCHER_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such voucher", "兑换券不存在"),
    Reason.BATCH_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such settlement batch", "结算批次不存在"),
    Reason.BUDGET_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such budget", "预算不存在"),
    Reason.SPENDING_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such spending", "支出不存在"),
    Reason.RECONCILIATION_ITEM_NOT_FOUND: Meaning(
        _C.NOT_FOUND, "no such work item", "对账事项不存在"
    ),
    Reason.MERCHANT_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "the merchant's id is taken", "商户编号已存在"
    ),
    Reason.TERMINAL_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "the terminal's id is taken", "终端编号已存在"
    ),
    Reason.OFFER_EXISTS: Meaning(_C.ALREADY_EXISTS, "the offer's id is taken", "商品编号已存在"),
    Reason.SPENDING_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "the spending's id is taken", "支出编号已存在"
    ),
    Reason.MERCHANT_REF_REUSED: Meaning(
        _C.ALREADY_EXISTS,
        "the merchant's reference was used for other content",
        "商户流水号已用于其他内容",
    ),
    Reason.MERCHANT_NOT_ACTIVE: Meaning(
        _C.FAILED_PRECONDITION, "the merchant takes no redemptions", "商户未启用"
    ),
    Reason.TERMINAL_SUSPENDED: Meaning(
        _C.FAILED_PRECONDITION, "the terminal is not active", "终端已停用"
    ),
    Reason.OFFER_NOT_ACTIVE: Meaning(
        _C.FAILED_PRECONDITION, "the offer is not for sale now", "商品未上架"
    ),
    Reason.PRICE_CHANGED: Meaning(
        _C.FAILED_PRECONDITION, "the price changed: quote again", "价格已变动"
    ),
    Reason.OUT_OF_STOCK: Meaning(_C.FAILED_PRECONDITION, "not enough pieces are left", "库存不足"),
    Reason.FUND_EXHAUSTED: Meaning(_C.FAILED_PRECONDITION, "the budget is spent", "专项资金已用完"),
    Reason.PIN_REQUIRED: Meaning(_C.FAILED_PRECONDITION, "a PIN is needed", "需要密码"),
    Reason.PIN_INVALID: Meaning(_C.FAILED_PRECONDITION, "the PIN is wrong", "密码错误"),
    Reason.PIN_LOCKED: Meaning(
        _C.FAILED_PRECONDITION, "the PIN is locked after too many tries", "密码已锁定"
    ),
    Reason.REDEMPTION_STATE: Meaning(
        _C.FAILED_PRECONDITION, "the redemption's state does not allow it", "兑换状态不允许"
    ),
    Reason.REVERSED_BEFORE_AUTHORIZATION: Meaning(
        _C.FAILED_PRECONDITION, "it was reversed before it arrived", "授权前已冲正"
    ),
    Reason.INCOME_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "the income's reference was used for other content", "收入凭证号已存在"
    ),
    Reason.BATCH_STATE: Meaning(
        _C.FAILED_PRECONDITION,
        "the settlement batch's state does not allow it",
        "结算批次状态不允许",
    ),
    Reason.SPENDING_STATE: Meaning(
        _C.FAILED_PRECONDITION, "the spending's state does not allow it", "支出状态不允许"
    ),
    Reason.RECONCILIATION_ITEM_STATE: Meaning(
        _C.FAILED_PRECONDITION, "the work item's state does not allow it", "对账事项状态不允许"
    ),
    Reason.BATCH_CLOSED: Meaning(
        _C.FAILED_PRECONDITION, "the settlement batch is closed", "结算批次已关闭"
    ),
    Reason.VELOCITY_LIMIT_EXCEEDED: Meaning(
        _C.RESOURCE_EXHAUSTED, "a limit of redemptions is reached", "超出兑换限额"
    ),
    Reason.RATE_LIMITED: Meaning(
        _C.RESOURCE_EXHAUSTED, "too many tries: wait a while", "操作过于频繁"
    ),
    Reason.TERMINAL_SIGNATURE_INVALID: Meaning(
        _C.UNAUTHENTICATED, "the till's signature is missing or wrong", "终端签名无效"
    ),
    Reason.OUTCOME_UNKNOWN: Meaning(
        _C.UNAVAILABLE, "the ledger has not answered yet: look it up", "结果未知，请查询"
    ),
    Reason.LEDGER_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such ledger", "账本不存在"),
    Reason.ACCOUNT_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such account", "账户不存在"),
    Reason.ENTRY_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such entry", "记录不存在"),
    Reason.HOLD_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such hold", "预授权不存在"),
    Reason.MEMBER_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such member", "会员不存在"),
    Reason.RECORD_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such service record", "服务记录不存在"),
    Reason.POLICY_NOT_FOUND: Meaning(
        _C.NOT_FOUND, "no such policy, or none in force then", "政策不存在或当时无有效政策"
    ),
    Reason.CERTIFICATE_NOT_FOUND: Meaning(_C.NOT_FOUND, "no such certificate", "证明不存在"),
    Reason.PERSONAL_DATA_ERASED: Meaning(
        _C.NOT_FOUND, "no personal data is kept", "个人信息不存在或已删除"
    ),
    Reason.MEMBER_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "the volunteer number is taken", "志愿者编号已存在"
    ),
    Reason.RECORD_EXISTS: Meaning(
        _C.ALREADY_EXISTS,
        "the record number was used for other content",
        "服务记录编号已用于其他内容",
    ),
    Reason.NO_SHOW_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "this no-show was reported already", "该爽约已登记"
    ),
    Reason.EVALUATION_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "this rater rated this quarter already", "本季度已评价"
    ),
    Reason.MEMBER_NOT_ACTIVE: Meaning(
        _C.FAILED_PRECONDITION, "the member's state does not allow it", "会员状态不允许"
    ),
    Reason.FAMILY_LINK_MISSING: Meaning(
        _C.FAILED_PRECONDITION, "no family link is registered", "未登记亲属关系"
    ),
    Reason.HOLDS_REMAIN: Meaning(
        _C.FAILED_PRECONDITION, "holds on the accounts are still open", "账户仍有预授权"
    ),
    Reason.EVALUATION_REFUSED: Meaning(
        _C.FAILED_PRECONDITION, "self and mutual evaluations do not count", "不接受自评或互相评价"
    ),
    Reason.RECORD_OVERLAPS: Meaning(
        _C.FAILED_PRECONDITION, "the volunteer has a record of the same time", "服务时间重叠"
    ),
    Reason.RECORD_STATE: Meaning(
        _C.FAILED_PRECONDITION, "the record's state does not allow it", "服务记录状态不允许"
    ),
    Reason.EVIDENCE_TOO_WEAK: Meaning(
        _C.FAILED_PRECONDITION, "the evidence does not suffice", "证据不足"
    ),
    Reason.FOUR_EYES_REQUIRED: Meaning(
        _C.FAILED_PRECONDITION, "another person must do it", "须由另一人办理"
    ),
    Reason.STAR_STATE: Meaning(
        _C.FAILED_PRECONDITION, "the star's state does not allow it", "星级状态不允许"
    ),
    Reason.CERTIFICATE_STATE: Meaning(
        _C.FAILED_PRECONDITION, "the certificate's state does not allow it", "证明状态不允许"
    ),
    Reason.CERTIFICATE_EMPTY: Meaning(
        _C.FAILED_PRECONDITION, "no posted record lies in the period", "该期间没有已入账记录"
    ),
    Reason.LEDGER_EXISTS: Meaning(_C.ALREADY_EXISTS, "the ledger exists already", "账本已存在"),
    Reason.ACCOUNT_EXISTS: Meaning(_C.ALREADY_EXISTS, "the account exists already", "账户已存在"),
    Reason.ENTRY_EXISTS: Meaning(
        _C.ALREADY_EXISTS, "the natural key was used for other content", "业务编号已用于其他内容"
    ),
    Reason.INSUFFICIENT_BALANCE: Meaning(
        _C.FAILED_PRECONDITION, "not enough available", "余额不足"
    ),
    Reason.LIMIT_EXCEEDED: Meaning(_C.FAILED_PRECONDITION, "a limit would be exceeded", "超出限额"),
    Reason.ACCOUNT_FROZEN: Meaning(_C.FAILED_PRECONDITION, "the account is frozen", "账户已冻结"),
    Reason.ACCOUNT_NOT_FROZEN: Meaning(
        _C.FAILED_PRECONDITION, "the account is not frozen", "账户未冻结"
    ),
    Reason.ACCOUNT_CLOSED: Meaning(_C.FAILED_PRECONDITION, "the account is closed", "账户已销户"),
    Reason.ACCOUNT_NOT_EMPTY: Meaning(
        _C.FAILED_PRECONDITION, "the account still has a balance or holds", "账户仍有余额或预授权"
    ),
    Reason.HOLD_EXPIRED: Meaning(_C.FAILED_PRECONDITION, "the hold has expired", "预授权已过期"),
    Reason.HOLD_RELEASED: Meaning(_C.FAILED_PRECONDITION, "the hold was released", "预授权已撤销"),
    Reason.ALREADY_CAPTURED: Meaning(
        _C.FAILED_PRECONDITION, "the hold was captured", "预授权已完成"
    ),
    Reason.AMOUNT_EXCEEDS_HOLD: Meaning(
        _C.FAILED_PRECONDITION, "more than the hold still reserves", "超出预授权金额"
    ),
    Reason.REFUND_EXCEEDS_CAPTURE: Meaning(
        _C.FAILED_PRECONDITION, "refunds would exceed the original", "退款超出原金额"
    ),
    Reason.MOVEMENT_NOT_ALLOWED: Meaning(
        _C.FAILED_PRECONDITION, "the movement table does not allow it", "不允许的账户变动"
    ),
    Reason.ALREADY_REVERSED: Meaning(
        _C.FAILED_PRECONDITION, "the entry was reversed or refunded", "已冲正或已退款"
    ),
    Reason.LINKED_ITEM_FAILED: Meaning(
        _C.FAILED_PRECONDITION, "another command of the chain failed", "关联操作失败"
    ),
    Reason.OPENING_CLOSED: Meaning(_C.FAILED_PRECONDITION, "the opening is closed", "期初已关闭"),
    Reason.SIGNING_KEY_MISSING: Meaning(
        _C.FAILED_PRECONDITION, "this server lacks the log's signing key", "缺少签名密钥"
    ),
    Reason.ETAG_MISMATCH: Meaning(_C.ABORTED, "the resource changed meanwhile", "数据已被修改"),
    Reason.QUEUE_FULL: Meaning(_C.RESOURCE_EXHAUSTED, "too many writes wait", "写入队列已满"),
    Reason.SLOW_READER: Meaning(_C.RESOURCE_EXHAUSTED, "the reader is too slow", "读取过慢"),
    Reason.DEADLINE_PASSED: Meaning(_C.DEADLINE_EXCEEDED, "the deadline passed first", "已超时"),
    Reason.SCOPE_MISSING: Meaning(_C.PERMISSION_DENIED, "the caller may not do this", "无权限"),
    Reason.TOKEN_INVALID: Meaning(_C.UNAUTHENTICATED, "no valid identity", "身份无效"),
    Reason.READ_ONLY: Meaning(_C.UNAVAILABLE, "the database takes no writes", "数据库只读"),
    Reason.SHUTTING_DOWN: Meaning(_C.UNAVAILABLE, "the server is stopping", "服务正在停止"),
    Reason.DATABASE_UNAVAILABLE: Meaning(
        _C.UNAVAILABLE, "the database does not answer", "数据库不可用"
    ),
    Reason.SIGNER_UNAVAILABLE: Meaning(
        _C.UNAVAILABLE, "the signer does not answer", "签名服务不可用"
    ),
    Reason.CLOCK_SKEW: Meaning(_C.UNAVAILABLE, "clocks are too far apart", "时钟偏差过大"),
}
