"""Versions of the merchant service's tables."""

MINIMUM_REVISION = "merchant_0001"
