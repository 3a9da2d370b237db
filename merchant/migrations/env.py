"""Runs the merchant service's migrations on the connection that `timebank.migrations` opened."""

from merchant.store.schema import metadata
from timebank.migrations import run_environment

run_environment(metadata)
