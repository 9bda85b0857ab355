"""gunicorn reads this file by itself when it is started in the checkout."""

from medfiles.http.gunicorn_config import *  # noqa: F403
