"""Everything a worker imports when it begins to work, imported once by the process that workers are forked from.

That is done by name: some of it is imported late by libraries of libraries, and a worker would wait for each of them.
"""

from importlib import import_module

for _name in (
    "anyio._backends._asyncio",
    "encodings.idna",
    "httpcore2",
    "sniperforge.shared.jupiter.client",
    "sniperforge.shared.order_ids",
    "sniperforge.shared.solana.codec",
    "sniperforge.shared.solana.pyth",
    "sniperforge.shared.solana.rpc",
    "sniperforge.shared.wallet_manager",
    "sniperforge.storage.migrations",
    "sniperforge.storage.unit_of_work",
    "sniperforge.trading.guard_policies",
    "sniperforge.trading.order_manager",
    "sniperforge.trading.reconciler",
    "sniperforge.trading.trade_executor",
    "tests.faults.orders_crew",
    "truststore",
):
    import_module(_name)
