"""A writer that forgets every account after each batch keeps the same rules as one that remembers.

The rules themselves are those of the tests over the rpcs, held again by a ledger that has to load
what it needs from the tables each time.
"""

import pathlib
from collections.abc import Awaitable, Callable

import pytest

from tests.ledger.rpc import test_chains, test_holds, test_idempotency, test_lots
from tests.support.ledgers import LedgerWorld, ledger_world

Rule = Callable[[LedgerWorld], Awaitable[None]]
RULES: tuple[Rule, ...] = (
    test_holds.test_a_hold_is_captured_in_parts_until_a_final_one_releases_the_rest,
    test_holds.test_an_expiry_is_entered_first_and_stands_when_what_touched_it_is_declined,
    test_lots.test_a_lot_expires_by_an_entry_at_its_boundary_and_a_hold_protects_its_own,
    test_lots.test_a_reversal_takes_its_own_lot_then_others_then_debt_but_nothing_reserved,
    test_lots.test_refunds_add_up_and_restore_the_latest_expiry_first,
    test_chains.test_a_chain_of_every_command_is_carried_out_as_one,
    test_chains.test_a_failed_chain_names_the_culprit_and_leaves_everything_as_it_was,
    test_chains.test_duplicates_inside_one_batch_are_written_once,
    test_idempotency.test_natural_keys_are_apart_by_kind_and_hold_for_every_command,
)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.removeprefix("test_"))
async def test_a_writer_without_memory_keeps(
    tmp_path: pathlib.Path, sqlite_url: str, rule: Rule
) -> None:
    settings = {"ledger": {"accounts_cached_max": 1}}
    async with ledger_world(tmp_path, sqlite_url, settings=settings) as world:
        await rule(world)
