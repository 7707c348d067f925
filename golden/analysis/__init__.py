"""What is read off the golden model's results: accuracy, differences, cycles, metrics."""
