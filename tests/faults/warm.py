"""Everything a worker imports when it begins to work, imported once by the process that workers are forked from."""

import sniperforge.shared.jupiter.client
import sniperforge.shared.solana.rpc
import sniperforge.storage.migrations
import sniperforge.storage.unit_of_work
import sniperforge.trading.guard_policies
import sniperforge.trading.trade_executor  # noqa: F401
