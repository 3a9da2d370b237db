"""Tests of the pure rules of redemptions and settlement."""
