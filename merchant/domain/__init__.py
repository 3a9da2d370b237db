"""The rules of redemptions and settlement: pure, without clock, network or database."""
