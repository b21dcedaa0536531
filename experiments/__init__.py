"""The experiments: what the losses are worth on classes never seen."""
