"""Few-shot recognition of characters never seen: train an encoder with one loss, judge it by episodes."""
