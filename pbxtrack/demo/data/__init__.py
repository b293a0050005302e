"""Demonstration data: a believable year of two invented companies, the same for the same seed."""
