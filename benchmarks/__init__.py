"""What pbxtrack costs: ratios and differences within one interleaved run."""
