"""The record types and their fields, limits and media types."""
