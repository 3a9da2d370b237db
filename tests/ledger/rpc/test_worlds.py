"""A redemption end to end, in the words of the tests."""

from tests.support.commands import MERCHANT, REDEMPTION, post
from tests.support.ledgers import LedgerWorld


async def test_a_redemption_moves_points_to_the_shop(world: LedgerWorld) -> None:
    alice = await world.open(balance=100)
    shop = await world.open(kind=MERCHANT)
    await world.post(post(REDEMPTION, alice, shop, 30))
    assert (await world.balance(alice)).posted == 70
    assert (await world.balance(shop)).posted == 30
