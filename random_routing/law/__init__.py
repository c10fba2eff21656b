"""The routing law: mixing, effective rate, noise, cells. Pure functions, no model code."""
