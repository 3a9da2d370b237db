"""Tests of the servicers of the merchant service."""
