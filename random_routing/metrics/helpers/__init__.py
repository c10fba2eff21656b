"""What metrics are computed with: words, n-grams in arrays, rows of different lengths, leaving one example out."""
