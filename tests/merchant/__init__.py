"""Tests of the merchant service."""
