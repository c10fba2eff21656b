"""The figures in `reports/plots/`."""
