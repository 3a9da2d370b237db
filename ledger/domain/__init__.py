"""The rules of the ledger, pure: no clock, no randomness, no input or output."""
