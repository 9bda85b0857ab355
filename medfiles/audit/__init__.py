"""The audit log: events, the log in words, its hash chain and checkpoints."""
