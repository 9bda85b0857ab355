"""Confined worker processes, and the parsers and renderers that run only in them."""
