"""What documents look like: previews, pictures, thumbnails."""
