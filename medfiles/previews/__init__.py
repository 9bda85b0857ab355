"""Previews of documents: descriptions, page images, thumbnails."""
