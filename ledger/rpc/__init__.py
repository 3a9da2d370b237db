"""Servicers: decode, call one use case, encode. No rule, no SQL."""
