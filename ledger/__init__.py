"""The ledger: the only writer of balances."""
