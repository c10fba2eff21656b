"""What decoding costs, measured on the real models: `python -m benchmarks.decode`."""
