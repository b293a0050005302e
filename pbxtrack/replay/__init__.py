"""Traffic, recorded or invented, run through the same pool and attribution as production, on a simulated clock."""
