"""The rules of reversals and refunds of the reference model."""

from tests.simulation import asked as q
from tests.simulation.books import Books, Entry
from tests.simulation.moves import REFUND, REVERSAL, ROUTES, check_fits, demand, move, take


def _original(books: Books, index: int) -> Entry:
    demand(index < len(books.log), "ENTRY_NOT_FOUND")
    demand(books.log[index].kind in ROUTES, "MOVEMENT_NOT_ALLOWED")
    return books.log[index]


def _take_back(books: Books, number: int, amount: int, made: dict[int, int]) -> dict[int, int]:
    """Takes a credit back: the lots it made, then others, then debt up to the limit."""
    account = books.accounts[number]
    if account.minimum is not None:
        left = books.available(number) - amount
        demand(left >= account.minimum - account.debt_limit, "INSUFFICIENT_BALANCE")
    check_fits(books.available(number) - amount)
    lots: dict[int, int] = {}
    if account.has_lots:
        free = books.free_lots(number)
        own = [(expiry, min(left, made[expiry])) for expiry, left in free if expiry in made]
        lots = take(own, amount)
        rest = [(expiry, left + lots.get(expiry, 0)) for expiry, left in free]
        rest.sort(key=lambda lot: (lot[0] not in made, lot[0]))
        for expiry, part in take(rest, amount + sum(lots.values())).items():
            lots[expiry] = lots.get(expiry, 0) + part
    check_fits(account.posted - amount)
    move(books, number, -amount, lots)
    return lots


def _give_back(
    books: Books, number: int, amount: int, paid: dict[int, int], before: int
) -> dict[int, int]:
    """Gives a debit back into the lots it took, latest expiry first; `before` of it was already."""
    account = books.accounts[number]
    check_fits(account.posted + amount)
    lots: dict[int, int] = {}
    if account.has_lots:
        left = amount - min(account.debt, amount)
        for expiry, part in sorted(paid.items(), reverse=True):
            skipped = min(before, -part)
            before -= skipped
            given = min(-part - skipped, left)
            left -= given
            if given:
                lots[expiry] = given
    move(books, number, amount, lots)
    return lots


def reverse(books: Books, command: q.Reverse) -> Entry:
    original = _original(books, command.entry)
    corrected = command.entry in books.reversed_entries or command.entry in books.refunded
    demand(not corrected, "ALREADY_REVERSED")
    for number, _, _ in original.legs:
        demand(books.accounts[number].state != "CLOSED", "ACCOUNT_CLOSED")
    entry = Entry(REVERSAL, 0)
    for number, amount, lots in original.legs:
        if amount > 0:
            moved = _take_back(books, number, amount, lots)
        else:
            moved = _give_back(books, number, -amount, lots, 0)
        entry.legs.append((number, -amount, moved))
    books.reversed_entries.add(command.entry)
    return entry


def refund(books: Books, command: q.Refund) -> Entry:
    original = _original(books, command.entry)
    demand(len(original.legs) == 2, "MOVEMENT_NOT_ALLOWED")
    (payer, _, paid), (payee, moved, made) = sorted(original.legs, key=lambda leg: leg[1])
    demand(command.entry not in books.reversed_entries, "ALREADY_REVERSED")
    before = books.refunded.get(command.entry, 0)
    demand(before + command.amount <= moved, "REFUND_EXCEEDS_CAPTURE")
    for number in (payer, payee):
        demand(books.accounts[number].state != "CLOSED", "ACCOUNT_CLOSED")
    check_fits(books.accounts[payer].posted + command.amount)
    taken = _take_back(books, payee, command.amount, made)
    given = _give_back(books, payer, command.amount, paid, before)
    books.refunded[command.entry] = before + command.amount
    return Entry(REFUND, 0, [(payee, -command.amount, taken), (payer, command.amount, given)])
