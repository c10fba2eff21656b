"""The tables in `reports/`."""
