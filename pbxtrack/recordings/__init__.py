"""Asterisk's recordings of calls: where they are, in which format, and what they look like as a waveform."""
