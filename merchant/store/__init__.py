"""Tables of the merchant service, and how documents are read and written."""
