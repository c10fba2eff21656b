"""The page `reports/index.html`: one file that opens from disk, without a network."""
