"""Check that files are what their extensions say, with one module per format family."""
