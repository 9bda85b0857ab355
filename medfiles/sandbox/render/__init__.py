"""Render documents as pictures, text and tables, with one module per format family."""
