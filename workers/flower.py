"""Flower behind a password, for looking only: what it could do, `sniperforge` commands do."""

from __future__ import annotations

import flower.options  # noqa: F401 (it defines the options set here)
from flower.views.monitor import Metrics
from tornado.options import options
from tornado.web import authenticated

from sniperforge.config import Settings
from sniperforge.shared.flower_password import FLOWER_USER, flower_password


def protect(settings: Settings) -> None:
    """Set the password, in memory: command lines and environments are read by others.

    Raises:
        ConfigError: The password's file cannot be used.
    """
    options.basic_auth = [f"{FLOWER_USER}:{flower_password(settings).get_secret_value()}"]
    options.read_only = True
    # Flower leaves its metrics open to everybody; ours take the same password (Prometheus has `basic_auth`).
    Metrics.get = authenticated(Metrics.get)
    # Workers that ended leave the list after a minute, so that what is shown as offline is news.
    options.purge_offline_workers = 60
