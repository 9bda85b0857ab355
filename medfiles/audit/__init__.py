"""The audit log: events, their wording for people, the hash chain and checkpoints."""
