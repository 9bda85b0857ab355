"""What the HTML and JSON entry points share."""
