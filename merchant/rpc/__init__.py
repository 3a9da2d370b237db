"""The servicers of the merchant service: read a request, ask a use case, write its answer."""
