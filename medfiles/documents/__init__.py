"""Documents: upload, list, edit, trash, restore, ZIP, limits and rules."""
