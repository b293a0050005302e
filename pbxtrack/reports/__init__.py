"""What reports ask and how their figures are told: pure."""
