"""The sandbox's Jupiter: quotes over real pools, orders that land on the sandbox's chain, prices, tokens, senders.

Sources: Jupiter's public OpenAPI files (swap v2, price v3, tokens v2, transaction submit) and developer documentation.
"""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sniperforge.sandbox.context import SandboxContext
from sniperforge.sandbox.jupiter.answers import Endpoint, RefusedError, refusable
from sniperforge.sandbox.jupiter.block_engine import BlockEngine
from sniperforge.sandbox.jupiter.build import BuildDesk
from sniperforge.sandbox.jupiter.execute import ExecuteDesk
from sniperforge.sandbox.jupiter.gateway import Gateway, GatewayMiddleware
from sniperforge.sandbox.jupiter.landing import LandingDesk
from sniperforge.sandbox.jupiter.messages import MessageCompiler
from sniperforge.sandbox.jupiter.order_cache import OrderCache
from sniperforge.sandbox.jupiter.orders import OrderDesk
from sniperforge.sandbox.jupiter.prices import PriceBoard
from sniperforge.sandbox.jupiter.quotes import Quoter
from sniperforge.sandbox.jupiter.senders import SenderDesk
from sniperforge.sandbox.jupiter.tips import open_tip_accounts
from sniperforge.sandbox.jupiter.token_search import TokenDesk


async def _unknown_path(_request: Request) -> Response:
    raise RefusedError(404, {"code": 404, "message": "Not found"})


def routes(context: SandboxContext) -> list[Route]:
    """Every path of the Jupiter port, each behind the gateway (Jito's is nobody's gateway but its own).

    The last route answers every other path with 404, so nothing may be added behind it.

    Args:
        context: The running sandbox. Tip accounts that its chain lacks are opened.
    """
    open_tip_accounts(context.chain)
    gateway = Gateway(
        api_keys=context.config.api_keys,
        clock=context.clock,
        window_s=context.config.rate_window_s,
        limited=context.config.rate_limits_enabled,
        forbidden=lambda: context.jupiter.forbidden,
    )
    quoter = Quoter(context)
    # Slots never repeat, so neither do salts after a restart.
    compiler = MessageCompiler(context.world, first_salt=context.chain.head_slot() * 10_000)
    cache = OrderCache()
    orders = OrderDesk(context, quoter=quoter, compiler=compiler, cache=cache)
    execute = ExecuteDesk(context, cache=cache, landings=LandingDesk(context, quoter.transfer_fees))
    build = BuildDesk(context, quoter=quoter, compiler=compiler)
    board = PriceBoard(context)
    tokens = TokenDesk(context, board)
    sender = SenderDesk(context)
    engine = BlockEngine(context)
    behind_gateway = [Middleware(GatewayMiddleware, gateway=gateway)]

    def route(path: str, endpoint: Endpoint, *methods: str) -> Route:
        return Route(path, refusable(endpoint), methods=list(methods) or ["GET"], middleware=behind_gateway)

    return [
        route("/swap/v2/order", orders.answer),
        route("/swap/v2/execute", execute.answer, "POST"),
        route("/swap/v2/build", build.answer),
        route("/swap/v2/program-id-to-label", tokens.labels),
        route("/price/v3", board.answer),
        route("/tokens/v2/search", tokens.search),
        route("/tx", sender.answer, "POST"),
        Route("/api/v1/transactions", engine.transactions, methods=["POST"]),
        Route("/api/v1/bundles", engine.bundles, methods=["POST"]),
        route("/{path:path}", _unknown_path, "GET", "POST", "PUT", "PATCH", "DELETE"),
    ]
