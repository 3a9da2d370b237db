"""What the ledger remembers: tables, and the statements that read and write them."""
