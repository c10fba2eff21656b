"""From a grid to stored texts: plan, blocks, executors, store, files."""
