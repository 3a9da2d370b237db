"""The states of merchants, tills, offers and redemptions; the numbers are the contract's."""

import enum


class DocumentKind(enum.IntEnum):
    """What a document is about."""

    MERCHANT = 1
    TERMINAL = 2
    OFFER = 3
    CONTROLS = 4
    COUNTER = 5
    CODE = 6
    WALLET = 7
    REDEMPTION = 8
    LINE = 9
    BATCH = 10
    BUDGET = 11
    SPENDING = 12
    INCOME = 13
    CARD = 14
    VOUCHER = 15
    ITEM = 16
    TRIES = 17
    INCOME_REFERENCE = 18
    COMPARISON = 19


class MerchantState(enum.IntEnum):
    """Where a merchant stands; the numbers are the contract's."""

    ACTIVE = 1
    SUSPENDED = 2
    LEAVING = 3
    LEFT = 4


class TerminalState(enum.IntEnum):
    """Where a till stands; the numbers are the contract's."""

    PENDING = 1
    ACTIVE = 2
    SUSPENDED = 3


class OfferState(enum.IntEnum):
    """Where an offer stands; the numbers are the contract's."""

    ACTIVE = 1
    PAUSED = 2


class OfferUnit(enum.IntEnum):
    """What an offer is priced in; the numbers are the contract's."""

    POINTS = 1
    TIME = 2


class RedemptionState(enum.IntEnum):
    """Where a redemption stands; the numbers are the contract's. UNKNOWN: the ledger's answer to
    its first operation is not known yet.
    """

    UNKNOWN = 1
    PENDING_MEMBER = 2
    AUTHORIZED = 3
    PARTIALLY_CAPTURED = 4
    CAPTURED = 5
    VOIDED = 6
    REVERSED = 7
    EXPIRED = 8
    DECLINED = 9


class Method(enum.IntEnum):
    """How the member showed who pays; the numbers are the contract's."""

    PAYMENT_CODE = 1
    MERCHANT_QR = 2
    CARD = 3
    ASSISTED = 4
    VOUCHER = 5


class Step(enum.StrEnum):
    """What is asked of the ledger for a redemption."""

    AUTHORIZE = "AUTHORIZE"
    REDEEM = "REDEEM"
    CAPTURE = "CAPTURE"
    VOID = "VOID"
    REVERSE = "REVERSE"
    REFUND = "REFUND"
    EXPIRE = "EXPIRE"
