"""Accounts that take tips: Jupiter's (for tx.jup.ag) and Jito's. Source: their public documentation."""

from __future__ import annotations

from solders.account import Account
from solders.pubkey import Pubkey

from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.tokens import SYSTEM_PROGRAM

JUPITER_MINIMUM_TIP_LAMPORTS = 1_000_000
JITO_MINIMUM_TIP_LAMPORTS = 1_000

JUPITER_TIP_ACCOUNTS = tuple(
    map(
        Pubkey.from_string,
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

JITO_TIP_ACCOUNTS = tuple(
    map(
        Pubkey.from_string,
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

_FILLED_LAMPORTS = 1_000_000_000


def open_tip_accounts(chain: Chain) -> None:
    """Fund the tip accounts that do not exist yet: a tip of 1,000 lamports cannot open an account by itself."""
    for address in (*JUPITER_TIP_ACCOUNTS, *JITO_TIP_ACCOUNTS):
        if chain.account(address) is None:
            account = Account(_FILLED_LAMPORTS, b"", SYSTEM_PROGRAM, executable=False, rent_epoch=2**64 - 1)
            chain.set_account(address, account)
