"""Imports of other systems' histories: files of movements in, IMPORT entries of TIME out.

Owns reading, checking and booking them. Refuses to touch HOURS: hours are honour records and only
verified service makes them. Every row is booked at most once, however often a file is imported.
"""
