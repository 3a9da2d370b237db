"""Runs the ledger's migrations on the connection that `timebank.migrations` opened."""

from ledger.store.schema import metadata
from timebank.migrations import run_environment

run_environment(metadata)
