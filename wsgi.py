"""Where servers find the app."""

from medfiles import create_app

app = create_app()
