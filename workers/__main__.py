"""`python -P -m workers worker|beat|flower ...`: Celery on our app. `sniperforge worker` and its like run it.

Not `celery -A workers.app`: that looks into the current folder first, and imports whatever has the right name there.
"""

from __future__ import annotations

import logging
import sys
import warnings

from celery import signals
from celery.bin.celery import celery
from celery.exceptions import CPendingDeprecationWarning
from kombu.exceptions import KombuError
from redis import RedisError

from sniperforge.config import load_settings
from sniperforge.errors import SniperForgeError
from sniperforge.logs import configure_logging
from sniperforge.shared.queue import unavailable

_CHATTY = {
    "celery.app.trace": logging.CRITICAL,  # how each task ended is told by `ForgeTask`
    "celery.worker.strategy": logging.WARNING,
    "celery.beat": logging.WARNING,
    "alembic": logging.WARNING,
}


def _leave_logging_alone(**_: object) -> None:
    """Celery sets up no logging of its own when somebody listens to this signal."""


def main() -> int:
    """Run what the arguments name. An error we know is one line on standard error and exit status 1."""
    try:
        program = next(word for word in sys.argv[1:] if not word.startswith("-"))
        settings = load_settings()
        configure_logging(settings, role=program)
        for name, level in _CHATTY.items():
            logging.getLogger(name).setLevel(level)
        # Celery warns at each lost connection that a default of ours, set in `shared.queue`, will change.
        warnings.simplefilter("ignore", CPendingDeprecationWarning)
        signals.setup_logging.connect(_leave_logging_alone)
        if program == "flower":
            from workers.flower import protect

            protect(settings)
        from workers.app import make_app

        # Not `app.start`, which forgets the exit status.
        celery.params[0].default = make_app(settings)
        return int(celery.main(args=sys.argv[1:], standalone_mode=False) or 0)
    except (SniperForgeError, RedisError, KombuError) as failure:
        error = failure if isinstance(failure, SniperForgeError) else unavailable(failure)
        sys.stderr.write(f"sniperforge: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
