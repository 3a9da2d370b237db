"""Versions of the ledger's tables."""

MINIMUM_REVISION = "ledger_0002"
