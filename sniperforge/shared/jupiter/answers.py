"""From Jupiter's checked JSON to the port's frozen types. Everything that means something is said here."""

from __future__ import annotations

from datetime import datetime
from types import MappingProxyType

from solders.hash import Hash

from sniperforge.domain.money import Address, Mint, Signature
from sniperforge.domain.transaction import COMPUTE_BUDGET_PROGRAM, AccountUse
from sniperforge.errors import ProtocolError
from sniperforge.ports.codec import PlainInstruction
from sniperforge.ports.exchange import (
    Build,
    BuildRequest,
    ExecuteAnswer,
    ExecuteHint,
    Order,
    OrderRequest,
    RouteStep,
    TokenListing,
)
from sniperforge.shared.jupiter.execute_codes import CodeMeaning, code_meaning
from sniperforge.shared.jupiter.responses import Reply, printable
from sniperforge.shared.jupiter.schemas import (
    BuildAnswer,
    ExecuteAnswerBody,
    Instruction,
    OrderAnswer,
    RoutePlanStep,
    TokenAnswer,
)

_SET_COMPUTE_UNIT_LIMIT = 2
_SET_COMPUTE_UNIT_PRICE = 3
_UNSAID_REASON = "the router did not say why"


def to_order(answer: OrderAnswer, request: OrderRequest, reply: Reply, received_at: datetime) -> Order:
    """An order in our words.

    Raises:
        ProtocolError: It is about other tokens than asked for, or says neither "transaction" nor "could not".
    """
    _same_tokens(answer, request, "/swap/v2/order", reply)
    if answer.transaction is None and request.taker is not None:
        raise ProtocolError(
            "the answer has no transaction although a taker was named, and no reason",
            subject="/swap/v2/order",
            fix="Report this with the request id",
            request_id=reply.gateway_request_id,
            fields=("transaction",),
        )
    # Both null and "" are falsy, and they mean different things: "only a quote" and "could not be built".
    unbuildable = answer.transaction == b""
    return Order(
        request_id=answer.request_id,
        input_mint=Mint(answer.input_mint),
        output_mint=Mint(answer.output_mint),
        in_raw=answer.in_amount,
        out_raw=answer.out_amount,
        min_out_raw=answer.other_amount_threshold,
        slippage_bps=answer.slippage_bps,
        price_impact_pct=answer.price_impact,
        router=answer.router,
        route=_route(answer.route_plan),
        fee_bps=answer.fee_bps,
        fee_mint=Mint(answer.fee_mint) if answer.fee_mint else None,
        platform_fee_raw=answer.platform_fee.amount if answer.platform_fee else None,
        signature_fee_lamports=answer.signature_fee_lamports,
        priority_fee_lamports=answer.prioritization_fee_lamports,
        rent_lamports=answer.rent_fee_lamports,
        fee_payer=_address(answer.signature_fee_payer),
        transaction=answer.transaction or None,
        last_valid_block_height=answer.last_valid_block_height,
        gasless=answer.gasless,
        expire_at=answer.expire_at,
        quote_id=answer.quote_id,
        maker=_address(answer.maker),
        error_code=answer.error_code if unbuildable else None,
        error_message=printable(answer.error_message or answer.error or _UNSAID_REASON) if unbuildable else None,
        gateway_request_id=reply.gateway_request_id,
        received_at=received_at,
    )


def to_execute_answer(body: ExecuteAnswerBody, reply: Reply) -> ExecuteAnswer:
    """What `/execute` said. A status that contradicts its code is worth no more than silence: poll."""
    meaning = code_meaning(body.code)
    says_success = body.status == "Success" if body.status is not None else body.code == 0
    if says_success != (body.code == 0):
        poll = code_meaning(-1001)
        contradiction = f"Jupiter contradicts itself: status {body.status} with code {body.code}"
        meaning = CodeMeaning(ExecuteHint.POLL, contradiction, poll.fix)
    return ExecuteAnswer(
        code=body.code,
        hint=meaning.hint,
        meaning=meaning.meaning,
        fix=meaning.fix,
        signature=Signature(body.signature) if body.signature else None,
        slot=body.slot,
        error=printable(body.error) if body.error else None,
        input_raw=body.total_input_amount,
        output_raw=body.total_output_amount,
        gateway_request_id=reply.gateway_request_id,
    )


def to_build(answer: BuildAnswer, request: BuildRequest, reply: Reply) -> Build:
    """Instructions in our words.

    Raises:
        ProtocolError: Other tokens than asked for, or budget instructions that are none.
    """
    _same_tokens(answer, request, "/swap/v2/build", reply)
    tables = answer.addresses_by_lookup_table_address or {}
    return Build(
        input_mint=Mint(answer.input_mint),
        output_mint=Mint(answer.output_mint),
        in_raw=answer.in_amount,
        out_raw=answer.out_amount,
        min_out_raw=answer.other_amount_threshold,
        slippage_bps=answer.slippage_bps,
        # Here it is a ratio that is positive when it costs; `/order` says percentage points, negative when it costs.
        price_impact_pct=None if answer.price_impact_pct is None else answer.price_impact_pct * -100,
        route=_route(answer.route_plan),
        compute_unit_price_micro_lamports=_unit_price(answer.compute_budget_instructions, reply),
        setup=tuple(_instruction(item) for item in answer.setup_instructions),
        swap=_instruction(answer.swap_instruction),
        cleanup=_instruction(answer.cleanup_instruction) if answer.cleanup_instruction else None,
        other=tuple(_instruction(item) for item in answer.other_instructions),
        tip=_instruction(answer.tip_instruction) if answer.tip_instruction else None,
        lookup_tables=MappingProxyType(
            {Address(table): tuple(Address(item) for item in addresses) for table, addresses in tables.items()}
        ),
        blockhash=str(Hash.from_bytes(answer.blockhash_with_metadata.blockhash)),
        last_valid_block_height=answer.blockhash_with_metadata.last_valid_block_height,
        gateway_request_id=reply.gateway_request_id,
    )


def to_listing(answer: TokenAnswer) -> TokenListing:
    """A token as listed. Its names are whatever its maker wrote, so they are made printable.

    `isSus` counts by its presence, as its schema says, not by its value.
    """
    sus = answer.audit is not None and answer.audit.is_sus is not None
    return TokenListing(
        mint=Mint(answer.id),
        symbol=printable(answer.symbol),
        name=printable(answer.name),
        decimals=answer.decimals,
        token_program=Address(answer.token_program),
        is_verified=answer.is_verified,
        is_sus=True if sus else None,
        freeze_authority=_address(answer.freeze_authority),
        mint_authority=_address(answer.mint_authority),
        liquidity_usd=answer.liquidity,
        organic_score=answer.organic_score,
        tags=answer.tags,
    )


def _same_tokens(
    answer: OrderAnswer | BuildAnswer, request: OrderRequest | BuildRequest, subject: str, reply: Reply
) -> None:
    if (answer.input_mint, answer.output_mint) != (request.input_mint, request.output_mint):
        raise ProtocolError(
            f"asked for {request.input_mint} to {request.output_mint}, "
            f"answered for {answer.input_mint} to {answer.output_mint}",
            subject=subject,
            fix="Check jupiter_url; do not trade through whatever answers there",
            request_id=reply.gateway_request_id,
            fields=("inputMint", "outputMint"),
        )


def _unit_price(instructions: tuple[Instruction, ...], reply: Reply) -> int:
    """Micro-lamports per compute unit, from `SetComputeUnitPrice` (tag 3, u64 little-endian); 0 without one."""
    price = 0
    for item in instructions:
        tag = item.data[0] if item.data else None
        if item.program_id == COMPUTE_BUDGET_PROGRAM and tag == _SET_COMPUTE_UNIT_PRICE and len(item.data) == 9:
            price = int.from_bytes(item.data[1:], "little")
        elif item.program_id != COMPUTE_BUDGET_PROGRAM or tag != _SET_COMPUTE_UNIT_LIMIT:
            # A limit would be ours to choose anyway; anything else must not be dropped unread.
            raise ProtocolError(
                "a compute budget instruction is none that we know",
                subject="/swap/v2/build",
                fix="Report this with the request id",
                request_id=reply.gateway_request_id,
                fields=("computeBudgetInstructions",),
            )
    return price


def _instruction(item: Instruction) -> PlainInstruction:
    return PlainInstruction(
        program=Address(item.program_id),
        accounts=tuple(
            AccountUse(address=Address(use.pubkey), is_signer=use.is_signer, is_writable=use.is_writable)
            for use in item.accounts
        ),
        data=item.data,
    )


def _route(steps: tuple[RoutePlanStep, ...]) -> tuple[RouteStep, ...]:
    return tuple(
        RouteStep(
            pool=Address(step.swap_info.amm_key),
            label=step.swap_info.label,
            input_mint=Mint(step.swap_info.input_mint),
            output_mint=Mint(step.swap_info.output_mint),
            in_raw=step.swap_info.in_amount,
            out_raw=step.swap_info.out_amount,
            share_bps=step.share_bps,
        )
        for step in steps
    )


def _address(value: str | None) -> Address | None:
    return Address(value) if value else None
