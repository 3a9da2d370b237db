"""Merchants 商户: points are spent at the till."""
