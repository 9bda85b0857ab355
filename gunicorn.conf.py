"""gunicorn reads this file when it is started in the checkout."""

from medfiles.http.gunicorn_config import *  # noqa: F403
