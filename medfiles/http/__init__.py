"""Code shared by the HTML and JSON entry points."""
