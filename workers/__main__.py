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


def keep_logging_ours() -> None:
    """Let Celery set up no logging, and say less where we say it already."""
    for name, level in _CHATTY.items():
        logging.getLogger(name).setLevel(level)
    # Celery warns at each lost connection that a default of ours, set in `shared.queue`, will change.
    warnings.simplefilter("ignore", CPendingDeprecationWarning)
    # It sets up nothing when somebody listens to this signal.
    signals.setup_logging.connect(_nothing_to_set_up)


def _nothing_to_set_up(**_: object) -> None:
    pass


def main() -> int:
    """Run what the arguments name. An error we know is one line on standard error and exit status 1."""
    try:
        program = next(word for word in sys.argv[1:] if not word.startswith("-"))
        settings = load_settings()
        configure_logging(settings, role=program)
        keep_logging_ours()
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
