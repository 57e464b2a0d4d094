"""What each network allows in a transaction that somebody else made: programs, tip accounts, versions."""

from __future__ import annotations

from sniperforge.domain.money import Address
from sniperforge.domain.transaction import (
    ASSOCIATED_TOKEN_PROGRAM,
    COMPUTE_BUDGET_PROGRAM,
    JUPITER_V6_PROGRAM,
    MEMO_PROGRAM,
    SYSTEM_PROGRAM,
    TOKEN_2022_PROGRAM,
    TOKEN_PROGRAM,
)
from sniperforge.trading.transaction_guard import GuardPolicy

JUPITER_TIP_ACCOUNTS = frozenset(
    map(
        Address,
        (
            "GGztQqQ6pCPaJQnNpXBgELr5cs3WwDakRbh1iEMzjgSJ",
            "2MFoS3MPtvyQ4Wh4M9pdfPjz6UhVoNbFbGJAskCPCj3h",
            "BQ72nSv9f3PRyRKCBnHLVrerrv37CYTHm5h3s9VSGQDV",
            "6U91aKa8pmMxkJwBCfPTmUEfZi6dHe7DcFq2ALvB2tbB",
            "4xDsmeTWPNjgSVSS1VTfzFq3iHZhp77ffPkAmkZkdu71",
            "CapuXNQoDviLvU1PxFiizLgPNQCxrsag1uMeyk6zLVps",
            "9nnLbotNTcUhvbrsA6Mdkx45Sm82G35zo28AqUvjExn8",
            "6LXutJvKUw8Q5ue2gCgKHQdAN4suWW8awzFVC6XCguFx",
            "HFqp6ErWHY6Uzhj8rFyjYuDya2mXUpYEk8VW75K9PSiY",
            "DSN3j1ykL3obAVNv7ZX49VsFCPe4LqzxHnmtLiPwY6xg",
            "69yhtoJR4JYPPABZcSNkzuqbaFbwHsCkja1sP1Q2aVT5",
            "HU23r7UoZbqTUuh3vA7emAGztFtqwTeVips789vqxxBw",
            "3LoAYHuSd7Gh8d7RTFnhvYtiTiefdZ5ByamU42vkzd76",
            "3CgvbiM3op4vjrrjH2zcrQUwsqh5veNVRjFCB9N6sRoD",
            "GP8StUXNYSZjPikyRsvkTbvRV1GBxMErb59cpeCJnDf1",
            "7iWnBRRhBCiNXXPhqiGzvvBkKrvFSWqqmxRyu9VyYBxE",
        ),
    )
)
"""Where Jupiter's own senders take tips (its OpenAPI description of transaction submission)."""

JITO_TIP_ACCOUNTS = frozenset(
    map(
        Address,
        (
            "96gYZGLnJYVFmbjzopPSU6QiEV5fGqZNyN9nmNhvrZU5",
            "HFqU5x63VTqvQss8hp11i4wVV8bD44PvwucfZ2bU7gRe",
            "Cw8CFyM9FkoMi7K7Crf6HNQqf4uEMzpKw6QNghXLvLkY",
            "ADaUMid9yfUytqMBgopwjb2DTLSokTSzL1zt6iGPaS49",
            "DfXygSm4jCyNCybVYYK6DwvWqjKee8pbDmJGcLWNDXjh",
            "ADuUkR4vqLUMWXxW9gh6D6L8pMSawimctcNZ5pGwDcEt",
            "DttWaMuVvTiduZRnguLF7jNxTgiMBZ1hyAumKUiL2KRL",
            "3AVi9Tg9Uo68tJfuvoKvqKNWKkC5wPdSSdeBnizKZ6jT",
        ),
    )
)
"""Where Jito's block engine takes tips (docs.jito.wtf/lowlatencytxnsend)."""

_PLAIN_PROGRAMS = frozenset(
    {
        SYSTEM_PROGRAM,
        TOKEN_PROGRAM,
        TOKEN_2022_PROGRAM,
        ASSOCIATED_TOKEN_PROGRAM,
        COMPUTE_BUDGET_PROGRAM,
        MEMO_PROGRAM,
    }
)

MAINNET_POLICY = GuardPolicy(
    programs=_PLAIN_PROGRAMS | {JUPITER_V6_PROGRAM},
    tip_accounts=JUPITER_TIP_ACCOUNTS | JITO_TIP_ACCOUNTS,
    versions=frozenset({0, "legacy"}),
)
"""Mainnet, and every network with mainnet's programs at mainnet's addresses."""

DEVNET_POLICY = GuardPolicy(programs=_PLAIN_PROGRAMS, tip_accounts=frozenset(), versions=frozenset({0, "legacy"}))
"""Devnet has no Jupiter: no swap passes."""
