"""From texts to scores: the judge, embeddings, each cell's metrics."""
