"""The audit of the merchant service's own database: what its documents must say of each other is
derived from them anew, and every difference is told with its document and its figure.
"""
