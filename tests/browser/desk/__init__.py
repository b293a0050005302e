"""The desk in a real Chromium, over a running service with a year of demonstration data."""
