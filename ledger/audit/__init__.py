"""The audit: rebuilds every projection from the log and compares it with what is stored.

Owns reading, recomputing and comparing. Refuses writing anything, and deciding again: it folds the
effects that the entries state. Differences of the log come before those of the projections, because
the latter are rebuilt from it.
"""
