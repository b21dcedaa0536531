"""Speed and memory against named peers: each module is one command, writes rows to `benchmarks/results/` and prints a table."""
