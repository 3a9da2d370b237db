"""The servicers of the merchant service: they read a request, ask a use case and write its answer."""
