"""What a person looks at: the table of cells, the summary, the figures."""
