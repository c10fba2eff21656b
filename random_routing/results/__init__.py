"""What stages hand to each other: typed records, each written and read in one place."""
