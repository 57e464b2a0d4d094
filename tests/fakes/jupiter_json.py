"""Answers as Jupiter's documents show them, to be changed by a test where it matters."""

from __future__ import annotations

import base64
from typing import Any

SOL = "So11111111111111111111111111111111111111112"
USDC = "EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"
JUP = "JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN"
BONK = "DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263"
TAKER = "GkwFnmMDvn3HGMpJpWBg8tgJxr3NxNvg3AXxvXVPbRGJ"
POOL = "Czfq3xZZDmsdGdUyrNLtRhGc47cXcZtLG4crryfu44zE"
TOKEN_PROGRAM = "TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA"
COMPUTE_BUDGET = "ComputeBudget111111111111111111111111111111"
JUPITER = "JUP6LkbZbjS1jKKwapdHNy74zcZ3tLUZoi5QNyVTaV4"


def step_json(**changes: Any) -> dict[str, Any]:
    """One step of a route."""
    return {
        "percent": 100,
        "bps": 10_000,
        "usdValue": 24.99,
        "swapInfo": {
            "ammKey": POOL,
            "label": "Whirlpool",
            "inputMint": USDC,
            "outputMint": SOL,
            "inAmount": "25000000",
            "outAmount": "138888888",
        },
        **changes,
    }


def order_json(**changes: Any) -> dict[str, Any]:
    """An order of 25 USDC for SOL that can be signed."""
    return {
        "mode": "ultra",
        "inputMint": USDC,
        "outputMint": SOL,
        "inAmount": "25000000",
        "outAmount": "138888888",
        "inUsdValue": 25.0,
        "outUsdValue": 24.97,
        "priceImpact": -0.0125,
        "swapUsdValue": 25.0,
        "otherAmountThreshold": "138194443",
        "swapMode": "ExactIn",
        "slippageBps": 50,
        "priceImpactPct": "-0.000125",
        "routePlan": [step_json()],
        "feeMint": USDC,
        "feeBps": 2,
        "platformFee": {"amount": "5000", "feeBps": 2, "feeMint": USDC},
        "signatureFeeLamports": 5000,
        "signatureFeePayer": TAKER,
        "prioritizationFeeLamports": 12345,
        "prioritizationFeePayer": TAKER,
        "rentFeeLamports": 0,
        "rentFeePayer": None,
        "swapType": "aggregator",
        "router": "metis",
        "transaction": base64.b64encode(b"unsigned transaction").decode(),
        "transactionVersion": 0,
        "lastValidBlockHeight": "321000150",
        "gasless": False,
        "requestId": "0198a0c2-7d43-7a10-b9d1-5f1c2b3a4d5e",
        "totalTime": 212,
        "taker": TAKER,
        **changes,
    }


def execute_json(**changes: Any) -> dict[str, Any]:
    """An execution that Jupiter saw confirmed."""
    return {
        "status": "Success",
        "signature": "5" * 88,
        "slot": "460000123",
        "code": 0,
        "totalInputAmount": "25000000",
        "totalOutputAmount": "138880000",
        "inputAmountResult": "24995000",
        "outputAmountResult": "138880000",
        "swapEvents": [
            {"inputMint": USDC, "inputAmount": "24995000", "outputMint": SOL, "outputAmount": "138880000"},
        ],
        **changes,
    }


def instruction_json(program: str = JUPITER, data: bytes = b"\x01\x02", *, signer: bool = True) -> dict[str, Any]:
    """An instruction of `/build`."""
    return {
        "programId": program,
        "accounts": [{"pubkey": TAKER, "isWritable": True, "isSigner": signer}],
        "data": base64.b64encode(data).decode(),
    }


def build_json(**changes: Any) -> dict[str, Any]:
    """Instructions for 25 USDC to SOL at a price of 250,000 micro-lamports per compute unit."""
    return {
        "inputMint": USDC,
        "outputMint": SOL,
        "inAmount": "25000000",
        "outAmount": "138888888",
        "otherAmountThreshold": "138194443",
        "swapMode": "ExactIn",
        "slippageBps": 50,
        "priceImpactPct": "0.000125",
        "routePlan": [step_json()],
        "computeBudgetInstructions": [
            instruction_json(COMPUTE_BUDGET, b"\x03" + (250_000).to_bytes(8, "little")),
        ],
        "setupInstructions": [instruction_json()],
        "swapInstruction": instruction_json(data=b"swap"),
        "cleanupInstruction": None,
        "otherInstructions": [],
        "tipInstruction": None,
        "addressesByLookupTableAddress": {POOL: [SOL, USDC]},
        "blockhashWithMetadata": {
            "blockhash": [0] * 31 + [1],
            "lastValidBlockHeight": 321000150,
            "fetchedAt": {"secs_since_epoch": 1_767_268_800, "nanos_since_epoch": 0},
        },
        **changes,
    }


def price_json(**changes: Any) -> dict[str, Any]:
    """One entry of `/price/v3`."""
    return {
        "createdAt": "2024-06-05T08:55:25.527Z",
        "liquidity": 621679197.67,
        "usdPrice": 147.4789340738336,
        "blockId": 348004023,
        "decimals": 9,
        "priceChange24h": 1.29,
        **changes,
    }


def token_json(**changes: Any) -> dict[str, Any]:
    """One hit of `/tokens/v2/search`."""
    return {
        "id": JUP,
        "name": "Jupiter",
        "symbol": "JUP",
        "icon": "https://static.jup.ag/jup/icon.png",
        "decimals": 6,
        "tokenProgram": TOKEN_PROGRAM,
        "createdAt": "2024-06-07T10:56:42.584Z",
        "circSupply": 3243891294.88,
        "holderCount": 857254,
        "audit": {"mintAuthorityDisabled": True, "freezeAuthorityDisabled": True, "topHoldersPercentage": 15.45},
        "organicScore": 97.98,
        "organicScoreLabel": "high",
        "isVerified": True,
        "tags": ["community", "strict", "verified"],
        "usdPrice": 0.1415,
        "liquidity": 2992387.89,
        "updatedAt": "2026-02-23T04:55:12.461Z",
        **changes,
    }
