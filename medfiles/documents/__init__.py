"""Upload, list, edit, trash, restore and zip documents, and enforce their limits and rules."""
