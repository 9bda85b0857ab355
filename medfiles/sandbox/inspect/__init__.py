"""Check that a file is what its extension says: one module per format family."""
