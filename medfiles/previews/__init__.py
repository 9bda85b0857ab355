"""Document previews: descriptions, page images and thumbnails."""
