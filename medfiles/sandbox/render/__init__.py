"""Render documents as pictures, text and tables: one module per format family."""
