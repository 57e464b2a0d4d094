"""Jupiter on a network that has none: every question is answered with the reason why nothing can be traded."""

from __future__ import annotations

from typing import Any, NoReturn

from sniperforge.errors import ConfigError


class NoJupiter:
    """`ports.exchange.Exchange` where there is no exchange, so that everything else works there as everywhere.

    Source: developers.jup.ag, "Development basics": Jupiter is deployed on mainnet only.

    Args:
        network: The network's name.
    """

    def __init__(self, network: str) -> None:
        self._network = network

    def order(self, *_: Any, **__: Any) -> NoReturn:
        """Nothing is quoted.

        Raises:
            ConfigError: Always, as every other method.
        """
        self._refuse()

    def together(self, *_: Any, **__: Any) -> NoReturn:
        """There is nothing to ask."""
        self._refuse()

    def execute(self, *_: Any, **__: Any) -> NoReturn:
        """Nothing is executed."""
        self._refuse()

    def build(self, *_: Any, **__: Any) -> NoReturn:
        """Nothing is built."""
        self._refuse()

    def prices(self, *_: Any, **__: Any) -> NoReturn:
        """There are no prices."""
        self._refuse()

    def search_tokens(self, *_: Any, **__: Any) -> NoReturn:
        """No token is listed."""
        self._refuse()

    def program_labels(self, *_: Any, **__: Any) -> NoReturn:
        """There are no venues."""
        self._refuse()

    def warm(self) -> None:
        """There is no connection to open."""

    def close(self) -> None:
        """There is no connection to close."""

    def _refuse(self) -> NoReturn:
        raise ConfigError(
            f"nothing can be traded on {self._network}: Jupiter exists on mainnet only",
            subject="network",
            fix="Rehearse on the default network, or with mode = paper on mainnet; `sniperforge devnet-check` sends a "
            "transaction on devnet without Jupiter",
        )
