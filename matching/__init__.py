"""Matching: needs 需求 meet volunteers 志愿者."""
