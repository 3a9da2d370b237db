"""What a caller may ask of the merchant service: one method a thing."""
