"""The life of a trade: decided once, landed exactly once or provably not at all (ARCHITECTURE, section 2).

This is the only code that signs or sends. Its rules, by the names of the design:

- *persist-first*: the attempt is committed before its first byte leaves; what is simulated is unsigned; after a commit
  whose outcome is unknown nothing is sent.
- *fence-insert*: one transaction finds the intent still EXECUTING and claimed as read, neither halted nor cancelled,
  reserves its funds, and inserts the attempt; a unique index allows one live attempt.
- *fence-end*: an intent ends only in a transaction that sees every attempt dead.
- *signed-is-sent*: a SIGNED attempt may have been sent, so it is settled like a sent one.
- *own-bound*: our own node calls the blockhash valid at height h; the bound is max(quoted, h + 150).
- *no-undying*, and everything else about the bytes: the guard.
- *height-then-status*, *controls*, *no-timeout*: `mortality`.
- *final-evidence*, *book-once*: `settlement`.

No network call happens inside a database transaction, and no retry wraps anything that signs or sends: what has to
happen again is found in the books by the next ring of the bell.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from sniperforge.domain.ids import IntentId, attempt_id
from sniperforge.domain.intent import (
    LIVE_ATTEMPT_STATES,
    Attempt,
    AttemptState,
    IntentKind,
    IntentState,
    TradeIntent,
)
from sniperforge.domain.money import Signature
from sniperforge.domain.risk import ProposedTrade
from sniperforge.errors import (
    CodecError,
    CommitOutcomeUnknownError,
    ConflictError,
    ExecuteOutcomeUnknownError,
    GuardRefusedError,
    InvalidInputError,
    OutcomeUnknownError,
    PriceDivergedError,
    ProtocolError,
    RateLimitedError,
    RetryableError,
    SniperForgeError,
    TerminalError,
    WalletError,
)
from sniperforge.ports.chain import Chain, Commitment, LandedTransaction
from sniperforge.ports.clock import Clock
from sniperforge.ports.codec import TransactionCodec
from sniperforge.ports.exchange import Exchange, ExecuteAnswer, ExecuteHint
from sniperforge.ports.records import Event, Severity
from sniperforge.ports.risk import PRICE_DIVERGED
from sniperforge.ports.signer import Signer
from sniperforge.ports.store import Books, Store
from sniperforge.ports.tokens import TokenFacts
from sniperforge.trading.controls import stop_reason, stopped_by
from sniperforge.trading.decisions import check_request, mints_to_trust, write_decision
from sniperforge.trading.executor_policy import ExecutorPolicy, Standing, TradeRequest, Until
from sniperforge.trading.funds import reserve
from sniperforge.trading.maintenance import MaintenancePreparation
from sniperforge.trading.mortality import Fate, Mortality
from sniperforge.trading.order_life import follow
from sniperforge.trading.preparation import Preparation, Prepared
from sniperforge.trading.price_judge import PriceJudge
from sniperforge.trading.progress import Progress, Step, Watch, unwatched
from sniperforge.trading.restored_books import OLDER_BOOKS
from sniperforge.trading.settlement import Settlement, locked_with_intent
from sniperforge.trading.transaction_guard import TransactionGuard

_AT_ONCE = timedelta(0)


class TradeExecutor:
    """Carries decided trades to their end. Any number of executors may work on the same books at once.

    Args:
        store: The books.
        chain: Solana.
        exchange: Jupiter.
        codec: Bytes to words and back.
        signer: The keys.
        tokens: Decimals and dangers of tokens.
        judge: The independent price.
        guard: What must be true before a signature.
        clock: Time, for pacing and deadlines only.
        policy: Limits and patience.
        owner: Who this is, for leases; unique per process.
        watch: Called at every step.
    """

    def __init__(
        self,
        *,
        store: Store,
        chain: Chain,
        exchange: Exchange,
        codec: TransactionCodec,
        signer: Signer,
        tokens: TokenFacts,
        judge: PriceJudge,
        guard: TransactionGuard,
        clock: Clock,
        policy: ExecutorPolicy,
        owner: str,
        watch: Watch = unwatched,
    ) -> None:
        self._store = store
        self._chain = chain
        self._exchange = exchange
        self._codec = codec
        self._signer = signer
        self._tokens = tokens
        self._clock = clock
        self._policy = policy
        self._owner = owner
        self._watch = watch
        self._settlement = Settlement(store=store, clock=clock, tip_accounts=guard.policy.tip_accounts)
        self._mortality = Mortality(chain=chain, clock=clock, beacon=policy.beacon)
        trades = Preparation(
            store=store,
            chain=chain,
            exchange=exchange,
            codec=codec,
            tokens=tokens,
            judge=judge,
            guard=guard,
            policy=policy,
            reached=self._reached,
        )
        maintenance = MaintenancePreparation(chain=chain, codec=codec, policy=policy, reached=self._reached)
        self._preparations: Mapping[IntentKind, Preparation | MaintenancePreparation] = MappingProxyType(
            {IntentKind.TRADE: trades, IntentKind.MAINTENANCE: maintenance}
        )

    # ---- deciding

    def decide(self, request: TradeRequest) -> TradeIntent:
        """Write a decision. The same key again is the same trade: nothing new is written.

        Raises:
            InvalidInputError: It cannot be a trade; `problems` lists every reason.
            TokenError: A token is dangerous.
            ConflictError: This key was decided with other terms.
            RiskDeniedError: Protections deny it.
        """
        check_request(request)
        self._tokens.require_tradable(mints_to_trust(request))
        with self._store.write() as books:
            intent, is_new = write_decision(books, request, policy=self._policy, now=self._clock.now())
        if is_new:
            self._reached(intent.id, Step.DECIDED, f"decided as {intent.key}")
        return intent

    def cancel(self, intent: IntentId) -> TradeIntent:
        """Ask for a trade to end. One whose transaction is signed is settled first: it may still land.

        A PARKED trade ends here and now, and its order with it: nothing decides either again by itself. It has no live
        attempt: recovery parks only what has none in the books, after whatever the books forgot had landed or died.
        What did land stays as recovery booked it, as somebody else's; to cancel undoes nothing.
        """
        with self._store.write() as books:
            found = _locked(books, intent)
            if found.state not in (IntentState.PENDING, IntentState.EXECUTING, IntentState.PARKED):
                return found
            now = self._clock.now()
            if found.cancel_requested_at is None:
                _tell(books, found, "intent.cancel_requested", "cancellation asked for", now)
                found = books.intents.change(found, at=now, cancel_requested_at=now)
            ended = self._ended(books, found, now) if found.state is IntentState.PARKED else None
            return ended or found

    # ---- carrying on

    def run(self, intent: IntentId, *, until: Until = Until.SETTLED) -> TradeIntent:
        """Stay with a trade until it is confirmed, or settled for good; books and nodes that are away are waited for.

        Raises:
            TerminalError: There is no such trade, or the books cannot be used as they are.
        """
        while True:
            try:
                standing = self.advance(intent)
            except (RetryableError, OutcomeUnknownError) as error:
                self._reached(intent, Step.WAITING, f"waiting: {error}")
                self._clock.sleep(self._policy.retry_after.total_seconds())
                continue
            done = standing.settled or (until is Until.CONFIRMED and standing.intent.state is IntentState.FILLED)
            if done:
                return standing.intent
            self._clock.sleep(standing.wait.total_seconds())

    def advance(self, intent: IntentId) -> Standing:
        """One ring of the bell: do what can be done for this trade now. Doing it twice, late or never is harmless.

        Raises:
            InvalidInputError: There is no such trade.
            RetryableError: Books or chain cannot be reached; nothing is lost.
            CommitOutcomeUnknownError: The books may have committed; ring again.
        """
        found, attempts = self._read(intent)
        live = next((attempt for attempt in attempts if attempt.state in LIVE_ATTEMPT_STATES), None)
        if live is not None:
            return self._settle(found, live)
        if found.state not in (IntentState.PENDING, IntentState.EXECUTING):
            return Standing(found, self._policy.poll_every, settled=True)
        return self._try(found)

    def look_again(self, attempt: Attempt) -> None:
        """Ask once more about an EXPIRED attempt. If it landed after all, that is booked, loudly."""
        landed = self._chain.transaction(attempt.signature, Commitment.FINALIZED)
        if landed is None:
            return
        if landed.err is None:
            self._settlement.finalized(attempt, landed)
        else:
            self._settlement.late_failure(attempt, landed)

    # ---- a new attempt

    def _try(self, intent: TradeIntent) -> Standing:
        now = self._clock.now()
        if intent.next_attempt_at > now:
            return Standing(intent, intent.next_attempt_at - now, settled=False)
        if (
            intent.lease_owner not in (None, self._owner)
            and intent.lease_until is not None
            and intent.lease_until > now
        ):
            return Standing(intent, intent.lease_until - now, settled=False)
        try:
            claimed = self._claim(intent, now)
            if claimed.state is not IntentState.EXECUTING:
                return self._standing(claimed.id)
            prepared = self._preparations[claimed.kind].prepare(claimed)
            attempt = self._sign_and_persist(claimed, prepared)
        except ConflictError:
            # Somebody else is at it, or it was halted or cancelled meanwhile. The books say which.
            return self._standing(intent.id, wait=self._policy.poll_every)
        except CommitOutcomeUnknownError:
            # Persist-first: the attempt may or may not be in the books. Nothing is sent; whoever looks next, knows.
            return self._standing(intent.id, wait=self._policy.poll_every)
        except SniperForgeError as error:
            return self._set_back(intent.id, error)
        return self._settle(*self._send(attempt))

    def _claim(self, intent: TradeIntent, now: datetime) -> TradeIntent:
        """Take the intent, or end it if nothing may be signed for it any more."""
        with self._store.write() as books:
            current = _locked(books, intent.id)
            if current.version != intent.version:
                raise ConflictError("the trade changed since it was read", subject=intent.id)
            claimed = self._ended(books, current, now) or self._claimed(books, current, now)
        if claimed.state is IntentState.EXECUTING:
            self._reached(claimed.id, Step.CLAIMED, "claimed")
        elif claimed.state is not IntentState.PENDING:
            self._reached(claimed.id, Step.ENDED, f"{claimed.state.value}: {claimed.reason}")
        return claimed

    def _claimed(self, books: Books, intent: TradeIntent, now: datetime) -> TradeIntent:
        waiting = stop_reason(books, intent.wallet, intent.effect)
        if waiting is not None:
            return books.intents.change(
                intent,
                at=now,
                state=None if intent.state is IntentState.PENDING else IntentState.PENDING,
                next_attempt_at=now + self._policy.retry_after,
                lease_owner=None,
                lease_until=None,
                reason_code="halted",
                reason=waiting,
            )
        return books.intents.change(
            intent,
            at=now,
            state=None if intent.state is IntentState.EXECUTING else IntentState.EXECUTING,
            lease_owner=self._owner,
            lease_until=now + self._policy.lease,
        )

    def _ended(self, books: Books, intent: TradeIntent, now: datetime) -> TradeIntent | None:
        """End an intent for which nothing may be signed any more (rule *fence-end*: it has no live attempt)."""
        if any(attempt.state in LIVE_ATTEMPT_STATES for attempt in books.attempts.of_intent(intent.id)):
            raise ConflictError("it has a live attempt", subject=intent.id)
        if intent.cancel_requested_at is not None:
            code, told = "cancelled", "cancelled on request"
            if intent.state is IntentState.PARKED:
                code, told = OLDER_BOOKS, f"{told}; it may have happened before the books were restored"
            return self._end(books, intent, IntentState.CANCELLED, code, told, now)
        because = f" (last: {intent.reason})" if intent.reason else ""
        if intent.deadline_at <= now:
            told = f"its deadline passed{because}. Decide it again if it is still wanted"
            return self._end(books, intent, IntentState.FAILED, "deadline", told, now)
        if intent.attempts_made >= intent.max_attempts:
            told = f"{intent.attempts_made} transactions did not swap{because}. Widen its limits, or try later"
            return self._end(books, intent, IntentState.FAILED, "attempts", told, now)
        return None

    def _end(
        self, books: Books, intent: TradeIntent, state: IntentState, code: str, reason: str, now: datetime
    ) -> TradeIntent:
        ended = books.intents.change(
            intent, at=now, state=state, reason_code=code, reason=reason, lease_owner=None, lease_until=None
        )
        _tell(books, ended, f"intent.{state.value}", reason, now)
        follow(books, ended, now)
        return ended

    def _sign_and_persist(self, intent: TradeIntent, prepared: Prepared) -> Attempt:
        """Sign, and commit the attempt with everything it may use up, before a byte of it leaves."""
        decoded = prepared.transaction
        signature = self._signer.sign(intent.wallet, decoded.message)
        signed = self._codec.assemble(decoded.message, {intent.wallet: signature})
        self._reached(intent.id, Step.SIGNED, f"signed {signature}")
        now = self._clock.now()
        with self._store.write() as books:
            current = _locked(books, intent.id)
            if current.version != intent.version or current.state is not IntentState.EXECUTING:
                raise ConflictError("the trade changed while it was prepared", subject=intent.id)
            if current.deadline_at <= now:
                raise ConflictError("its deadline passed while it was prepared", subject=intent.id)
            wallet = books.wallets.lock(intent.wallet)
            system = books.system.hold(alone=self._policy.protections.is_shared)
            if wallet is None or system.epoch != intent.epoch or stopped_by(system, wallet, current.effect) is not None:
                raise ConflictError("trading was halted while it was prepared", subject=intent.id)
            attempt = _attempt(current, prepared, signature, signed, now)
            if attempt.usd_per_input_unit is not None:
                worth = attempt.usd_per_input_unit * attempt.input_amount_raw
                trade = ProposedTrade(effect=current.effect, token=current.output_mint, worth_usd=worth)
                self._policy.protections.require_room(books, trade, now)
            books.attempts.add(attempt)
            reserve(books, attempt, prepared.need, balances=prepared.balances, at=now)
            books.prices.observe(prepared.observed)
            books.intents.change(
                current, at=now, attempts_made=current.attempts_made + 1, lease_until=now + self._policy.lease
            )
            for note in prepared.notes:
                _tell(books, current, "price.noted", note, now, attempt=attempt, severity=Severity.WARNING)
            _tell(books, current, "attempt.signed", f"signed {signature}", now, attempt=attempt)
        self._reached(intent.id, Step.PERSISTED, "committed before its first byte leaves")
        return attempt

    def _set_back(self, intent: IntentId, error: SniperForgeError) -> Standing:
        """Nothing was signed: wait and try again, or end it, as the error says. Either way the books say why."""
        ends = isinstance(error, TerminalError) and not isinstance(
            error, (GuardRefusedError, WalletError, ProtocolError, CodecError)
        )
        now = self._clock.now()
        with self._store.write() as books:
            current = _locked(books, intent)
            attempts = books.attempts.of_intent(intent)
            busy = any(attempt.state in LIVE_ATTEMPT_STATES for attempt in attempts)
            over = current.state not in (IntentState.PENDING, IntentState.EXECUTING)
            if busy or over or current.lease_owner != self._owner:
                # Somebody else went on with it meanwhile (or saw a dead attempt land after all).
                return Standing(current, self._policy.poll_every, settled=False)
            books.prices.observe(error.details.get("observed", ()))
            pause = self._pause(error, now)
            if ends:
                after = self._end(books, current, IntentState.FAILED, error.reason_code, str(error), now)
            else:
                after = books.intents.change(
                    current,
                    at=now,
                    state=IntentState.PENDING if current.state is IntentState.EXECUTING else None,
                    next_attempt_at=now + pause,
                    lease_owner=None,
                    lease_until=None,
                    reason_code=error.reason_code,
                    reason=str(error),
                )
                loud = isinstance(error, GuardRefusedError | PriceDivergedError)
                severity = Severity.WARNING if loud else Severity.INFO
                diverged = isinstance(error, PriceDivergedError)
                kind = PRICE_DIVERGED if diverged else "intent.set_back"
                _tell(books, after, kind, str(error), now, severity=severity)
        self._reached(intent, Step.ENDED if ends else Step.REQUEUED, f"nothing was signed: {error}")
        return Standing(after, pause, settled=ends)

    def _pause(self, error: SniperForgeError, now: datetime) -> timedelta:
        if isinstance(error, RateLimitedError) and error.retry_at is not None:
            return max(self._policy.retry_after, error.retry_at - now)
        return self._policy.retry_after

    # ---- sending

    def _send(self, attempt: Attempt, *, again: bool = False) -> tuple[TradeIntent, Attempt]:
        """Hand exactly the persisted bytes out. Whatever is answered, only the chain decides what became of them.

        Returns:
            Intent and attempt as the books have them afterwards.
        """
        self._reached(attempt.intent_id, Step.SENDING, "sending the same bytes again" if again else "sending")
        if again or attempt.request_id is None:
            self._chain.send(attempt.signed_transaction)
        code, message = None, None
        if attempt.request_id is not None and self._may_post(attempt):
            try:
                answer = self._exchange.execute(
                    attempt.signed_transaction, attempt.request_id, attempt.quoted_last_valid_block_height
                )
                code, message = answer.code, _said(answer)
            except (ExecuteOutcomeUnknownError, RetryableError, TerminalError) as error:
                # Every failure on the way leaves the same question, and only the chain answers it.
                message = str(error)
        self._reached(attempt.intent_id, Step.ANSWERED, message or "handed to our nodes")
        return self._write_down(attempt, code, message)

    def _may_post(self, attempt: Attempt) -> bool:
        return self._clock.now() - attempt.created_at < self._policy.repost_for

    def _write_down(self, attempt: Attempt, code: int | None, message: str | None) -> tuple[TradeIntent, Attempt]:
        now = self._clock.now()
        with self._store.write() as books:
            intent, current = locked_with_intent(books, attempt)
            if current.state not in (AttemptState.SIGNED, AttemptState.SENT):
                return intent, current  # somebody saw it land (or die) meanwhile, which says more
            sent = books.attempts.change(
                current,
                at=now,
                state=AttemptState.SENT if current.state is AttemptState.SIGNED else None,
                sent_count=current.sent_count + 1,
                last_sent_at=now,
                execute_code=code if code is not None else current.execute_code,
                execute_message=message if message is not None else current.execute_message,
            )
        self._reached(attempt.intent_id, Step.SENT, "sent")
        return intent, sent

    # ---- settling

    def _settle(self, intent: TradeIntent, attempt: Attempt) -> Standing:
        """Find out what became of a signed transaction, and book it."""
        if attempt.state is AttemptState.CONFIRMED:
            return self._finalize(intent, attempt)
        landed = self._chain.transaction(attempt.signature, Commitment.CONFIRMED)
        if landed is not None:
            self._reached(intent.id, Step.SEEN, f"landed in slot {landed.slot}")
            return self._landed(intent, attempt, landed)
        verdict = self._mortality.judge(attempt, needs_second_node=self._is_large(attempt))
        if verdict.fate is Fate.DEAD:
            self._reached(intent.id, Step.PROVEN, "proven that it can never land")
            self._settlement.expired(attempt, verdict.evidence, watch_for=self._policy.watch_for)
            self._reached(intent.id, Step.EXPIRED, "every reservation is released")
            return self._standing(intent.id)
        since = attempt.last_sent_at or attempt.created_at
        if verdict.fate is Fate.UNKNOWN and self._clock.now() - since >= self._policy.resend_every:
            self._send(attempt, again=True)
        return self._standing(intent.id, wait=self._policy.poll_every)

    def _landed(self, intent: TradeIntent, attempt: Attempt, landed: LandedTransaction) -> Standing:
        if landed.err is None:
            filled = self._settlement.confirmed(attempt, landed)
            self._reached(intent.id, Step.BOOKED, "booked, provisional until it is finalized")
            if filled is not None:
                # Its attempt is alive until it is finalized, so it is not settled.
                return Standing(filled, self._policy.poll_every, settled=False)
        else:
            self._finish(intent, attempt)
        return self._standing(intent.id, wait=self._policy.poll_every)

    def _finalize(self, intent: TradeIntent, attempt: Attempt) -> Standing:
        if not self._finish(intent, attempt):
            if self._was_taken_back(attempt):
                self._settlement.taken_back(attempt)
                self._reached(intent.id, Step.REVERSED, "a fork took it back")
            elif self._mortality.judge(attempt, needs_second_node=self._is_large(attempt)).fate is Fate.DEAD:
                # Finalized history past its bound does not hold it, whatever a lagging node still shows.
                self._settlement.taken_back(attempt)
        return self._standing(intent.id, wait=self._until_final(attempt))

    def _until_final(self, attempt: Attempt) -> timedelta:
        """As long again as it has been confirmed, within bounds; a clock that was set back only asks more often."""
        since = self._clock.now() - (attempt.confirmed_at or attempt.updated_at)
        return max(self._policy.poll_every, min(since, self._policy.finality_poll_at_most))

    def _finish(self, intent: TradeIntent, attempt: Attempt) -> bool:
        """Book the end if the transaction is finalized (rule *final-evidence*: the fill is read again)."""
        final = self._chain.transaction(attempt.signature, Commitment.FINALIZED)
        if final is None:
            return False
        if final.err is None:
            self._settlement.finalized(attempt, final)
            self._reached(intent.id, Step.FINALIZED, f"final in slot {final.slot}")
        else:
            self._settlement.reverted(attempt, final)
            self._reached(intent.id, Step.REVERTED, f"landed with an error: {final.err}")
        return True

    def _was_taken_back(self, attempt: Attempt) -> bool:
        """Whether a node past the landing's slot no longer knows it. If that is wrong, the fill is booked again."""
        with self._chain.pinned() as node:
            slot = node.slot(Commitment.CONFIRMED)
            (status,) = node.signature_statuses([attempt.signature], search_history=True).statuses
        return status is None and attempt.landed_slot is not None and slot > attempt.landed_slot

    def _is_large(self, attempt: Attempt) -> bool:
        if not self._policy.has_second_node or attempt.usd_per_input_unit is None:
            return self._policy.has_second_node
        return attempt.usd_per_input_unit * attempt.input_amount_raw >= self._policy.large_trade_usd

    # ---- reading

    def _read(self, intent: IntentId) -> tuple[TradeIntent, tuple[Attempt, ...]]:
        with self._store.read() as books:
            return _found(books.intents.get(intent), intent), books.attempts.of_intent(intent)

    def _standing(self, intent: IntentId, *, wait: timedelta = _AT_ONCE) -> Standing:
        found, attempts = self._read(intent)
        alive = any(attempt.state in LIVE_ATTEMPT_STATES for attempt in attempts)
        over = found.state not in (IntentState.PENDING, IntentState.EXECUTING)
        if found.state is IntentState.PENDING:
            wait = max(wait, found.next_attempt_at - self._clock.now())
        return Standing(found, wait, settled=over and not alive)

    def _reached(self, intent: IntentId, step: Step, text: str) -> None:
        self._watch(Progress(intent, step, text))


def _locked(books: Books, intent: IntentId) -> TradeIntent:
    return _found(books.intents.lock(intent), intent)


def _found(intent: TradeIntent | None, sought: IntentId) -> TradeIntent:
    if intent is None:
        raise InvalidInputError(
            "there is no such trade", subject=sought, fix="`sniperforge trades` lists the ones there are"
        )
    return intent


def _attempt(intent: TradeIntent, prepared: Prepared, signature: Signature, signed: bytes, now: datetime) -> Attempt:
    number = intent.attempts_made + 1
    return Attempt(
        id=attempt_id(intent.id, number),
        intent_id=intent.id,
        number=number,
        wallet=intent.wallet,
        path=intent.path,
        state=AttemptState.SIGNED,
        version=0,
        epoch=intent.epoch,
        signature=signature,
        signed_transaction=signed,
        message_sha256=prepared.transaction.message_sha256,
        blockhash=prepared.transaction.recent_blockhash,
        quoted_last_valid_block_height=prepared.quoted_last_valid_block_height,
        checked_block_height=prepared.checked_block_height,
        bound_block_height=prepared.bound_block_height,
        control_signature=prepared.control,
        nonce_account=None,
        nonce_value=None,
        request_id=prepared.request_id,
        router=prepared.router,
        input_amount_raw=prepared.input_raw,
        quoted_out_raw=prepared.quoted_out_raw,
        min_out_raw=prepared.min_out_raw,
        max_fee_lamports=prepared.need.fee_lamports,
        usd_per_input_unit=prepared.usd_per_input_unit,
        usd_per_output_unit=prepared.usd_per_output_unit,
        usd_per_lamport=prepared.usd_per_lamport,
        created_at=now,
        updated_at=now,
    )


def _said(answer: ExecuteAnswer) -> str:
    hint = "" if answer.hint is ExecuteHint.LANDED else f" ({answer.fix})"
    return f"/execute answered {answer.code}: {answer.meaning}{hint}"


def _tell(
    books: Books,
    intent: TradeIntent,
    kind: str,
    message: str,
    now: datetime,
    *,
    attempt: Attempt | None = None,
    severity: Severity = Severity.INFO,
) -> None:
    books.events.add(
        Event(
            at=now,
            kind=kind,
            severity=severity,
            message=message,
            wallet=intent.wallet,
            intent_id=intent.id,
            attempt_id=attempt.id if attempt else None,
        )
    )
