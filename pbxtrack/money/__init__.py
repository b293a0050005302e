"""What advertising cost, and what contacts bought: amounts, days, rules. Pure."""
