"""Tests of the writers of ledgers when something fails or is short."""
