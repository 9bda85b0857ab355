"""Accounts, their sessions and their API tokens."""
