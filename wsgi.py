"""Where servers find the app."""

from medfiles.app import create_app

app = create_app()
