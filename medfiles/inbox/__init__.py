"""The inbox: documents that are still to be filed, and suggestions where they belong."""
