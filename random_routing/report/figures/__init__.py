"""The figures in `reports/plots/` and `reports/figures/`."""
