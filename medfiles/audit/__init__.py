"""The audit log: events, their descriptions in words, the hash chain and checkpoints."""
