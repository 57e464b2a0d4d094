"""One tree for every error SniperForge raises on purpose.

The three branches answer the only question a caller has: does trying again help?

```
SniperForgeError
+-- RetryableError            nothing happened; the same call may work later
|   +-- NodeUnavailableError      an RPC node cannot be reached, or answers with a server error
|   +-- NodeBehindError           the node lags behind the slot it was asked for
|   +-- RateLimitedError          a budget is used up; `retry_at` says when a place opens
|   +-- ExchangeUnavailableError  a Jupiter *read* failed on the way
|   +-- NoRouteError              Jupiter has no route at this moment
|   +-- PriceUnavailableError     missing, stale, uncertain or jumped: no price, never a default
|   +-- PriceDivergedError        two price sources contradict each other; nothing is bought on either
|   +-- QueueUnavailableError     the broker does not answer; what is due stays in the books
|   +-- StorageBusyError          the database is locked, full or read-only; nothing was written
|   `-- ConflictError             somebody else changed the row first
+-- TerminalError             the same call will never work; something has to change
|   +-- ConfigError               settings, listed all at once
|   +-- InvalidInputError         what a person or a plan asked for, listed all at once
|   +-- InvalidTransitionError    a state change that the transition table does not have
|   +-- ProtocolError             an answer that does not have the form its protocol promises
|   +-- RpcRejectedError          a node refuses this request (wrong parameters, unsupported)
|   +-- PreflightFailedError      a node simulated this transaction and did not forward it
|   +-- ExchangeRejectedError     Jupiter refuses this request as it stands
|   +-- GuardRefusedError         a transaction breaks a rule; it was not signed
|   +-- RiskDeniedError           protections leave no room for this entry
|   +-- AuthenticationError       a key or password is wrong; stop and tell a person
|   +-- TokenError                unknown, ambiguous, or dangerous token
|   +-- WalletError               keystore missing, damaged, locked, or open to others
|   +-- CodecError                bytes that are no transaction we understand
|   `-- StorageError              schema newer than the program, damaged database
`-- OutcomeUnknownError       it may have happened: look before acting again
    +-- SendOutcomeUnknownError   a transaction may have left for the network
    +-- ExecuteOutcomeUnknownError  Jupiter may have landed the transaction
    `-- CommitOutcomeUnknownError   the database may have committed
```

Every error carries what happened (`what`), to what (`subject`), what to do (`fix`) and, when there was one,
the provider's `request_id`. All of them survive pickling, because Celery moves errors between processes.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar, Literal

Disposition = Literal["retryable", "terminal", "unknown"]


class SniperForgeError(Exception):
    """Base of every error raised on purpose.

    Args:
        what: What happened, as one sentence without a full stop.
        subject: The thing it happened to (an address, a file, a setting), never a secret.
        fix: What the reader can do about it.
        request_id: The provider's identifier of the failed request, if it gave one.
        **details: Machine-readable facts, kept in `details`. Never secrets.
    """

    disposition: ClassVar[Disposition]

    def __init__(
        self, what: str, *, subject: str = "", fix: str = "", request_id: str | None = None, **details: Any
    ) -> None:
        super().__init__(what)
        self.what = what
        self.subject = subject
        self.fix = fix
        self.request_id = request_id
        self.details: dict[str, Any] = details

    def __str__(self) -> str:
        text = f"{self.subject}: {self.what}" if self.subject else self.what
        if self.fix:
            text = f"{text}. {self.fix}"
        return f"{text} [request {self.request_id}]" if self.request_id else text

    @property
    def reason_code(self) -> str:
        """What the books call it as the reason why a trade waits or ended."""
        return type(self).__name__

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {"subject": self.subject, "fix": self.fix, "request_id": self.request_id, **self.details}
        return _rebuild, (type(self), self.what, fields)


def _rebuild(cls: type[SniperForgeError], what: str, fields: dict[str, Any]) -> SniperForgeError:
    return cls(what, **fields)


class RetryableError(SniperForgeError):
    """Nothing happened; the same call may work later."""

    disposition = "retryable"


class TerminalError(SniperForgeError):
    """The same call will never work; something has to change first."""

    disposition = "terminal"


class OutcomeUnknownError(SniperForgeError):
    """It may have happened. Whoever catches this looks before acting again."""

    disposition = "unknown"


class NodeUnavailableError(RetryableError):
    """An RPC node cannot be reached, timed out on a read, or answered with a server error."""


class NodeBehindError(RetryableError):
    """The node has not reached the slot it was asked about (-32005, -32016)."""


class RateLimitedError(RetryableError):
    """A request budget is used up. `retry_at` (aware UTC) says when one place opens, if known."""

    @property
    def retry_at(self) -> datetime | None:
        """When one place in the window opens, or None when the provider did not say."""
        value = self.details.get("retry_at")
        return value if isinstance(value, datetime) else None


class ExchangeUnavailableError(RetryableError):
    """A Jupiter read failed on the way: timeout, dropped connection, 5xx, unreadable body."""


class NoRouteError(RetryableError):
    """Jupiter finds no route for this pair and amount at this moment."""


class PriceUnavailableError(RetryableError):
    """The price is missing, stale, too uncertain or jumped. There is no default price."""


class PriceDivergedError(RetryableError):
    """Two independent sources are too far apart: one of them is wrong. `details` has `mint`, `jupiter` and `oracle`."""


class QueueUnavailableError(RetryableError):
    """The broker (Redis) does not answer or refuses. What is due stays in the books and is rung for later."""


class StorageBusyError(RetryableError):
    """The database is locked, full or read-only. Nothing was written."""


class ConflictError(RetryableError):
    """The row changed since it was read, or its key already exists. Reload and decide again."""


class ConfigError(TerminalError):
    """Settings that cannot work. `problems` lists all of them."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Every problem found, each with its path."""
        return tuple(self.details.get("problems", ()))


class InvalidInputError(TerminalError):
    """What a person or a plan asked for cannot be done. `problems` lists every reason."""

    @property
    def problems(self) -> tuple[str, ...]:
        """Every problem found, each with its field."""
        return tuple(self.details.get("problems", ()))


class InvalidTransitionError(TerminalError):
    """A state change that its transition table does not list."""


class ProtocolError(TerminalError):
    """An answer lacks what its protocol promises; the provider changed or is not what it says it is."""


class RpcRejectedError(TerminalError):
    """A node refuses this request as it stands. `details["code"]` is the JSON-RPC error code."""


class PreflightFailedError(TerminalError):
    """A node simulated the transaction and did not forward it.

    Other senders may have forwarded the same bytes, so this proves nothing about the transaction.
    `details["err"]` is the transaction error, `details["logs"]` the program logs.
    """


class ExchangeRejectedError(TerminalError):
    """Jupiter refuses this request as it stands. `details["code"]` holds its code, if it gave one."""


class GuardRefusedError(TerminalError):
    """A transaction made by somebody else breaks rules of the guard and was not signed."""

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the broken rules."""
        return tuple(self.details.get("rules", ()))


class RiskDeniedError(TerminalError):
    """Protections leave no room for this entry; `subject` names the first rule, which is the setting of its limit."""

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of all the rules that deny it."""
        return tuple(self.details.get("rules", ()))

    @property
    def until(self) -> datetime | None:
        """From when all of them would allow it again if nothing else happens; None when time does not heal it."""
        value = self.details.get("until")
        return value if isinstance(value, datetime) else None

    @property
    def reason_code(self) -> str:
        """The first rule's name."""
        return self.subject


class AuthenticationError(TerminalError):
    """A key or password was refused."""


class TokenError(TerminalError):
    """The token is unknown, ambiguous, not what it claims to be, or too dangerous to trade."""


class WalletError(TerminalError):
    """The keystore is missing, damaged, locked, or readable by others."""


class CodecError(TerminalError):
    """The bytes are no transaction that SniperForge understands."""


class StorageError(TerminalError):
    """The database cannot be used as it is: a newer schema, a damaged file, a wrong URL."""


class SendOutcomeUnknownError(OutcomeUnknownError):
    """The transaction may have been forwarded. Ask the chain for its signature."""


class ExecuteOutcomeUnknownError(OutcomeUnknownError):
    """Jupiter may have landed the transaction. Post the same bytes again, or ask the chain."""


class CommitOutcomeUnknownError(OutcomeUnknownError):
    """The database may or may not have committed. Read the rows again before acting."""
