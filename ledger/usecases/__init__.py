"""What a caller may ask of the ledger: one method for each thing."""
