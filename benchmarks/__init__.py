"""Speed and memory against named peers: each module is one command, and writes rows to `benchmarks/results/`."""
