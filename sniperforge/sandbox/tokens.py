"""The sandbox's tokens, and the bytes of mints and token accounts.

Accounts are written byte for byte as the real programs lay them out, so that the real Token and Token-2022 programs
inside LiteSVM act on them: a transfer fee is really withheld, a native account really holds lamports.

Layouts: SPL Token `state.rs` (mint 82 bytes, account 165 bytes); Token-2022 `extension/mod.rs` (extensions follow
byte 165, which holds the account type, as type u16, length u16, value) and `extension/transfer_fee/mod.rs`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256

from solders.account import Account
from solders.keypair import Keypair
from solders.pubkey import Pubkey

from sniperforge.sandbox.chain import Chain
from sniperforge.sandbox.pools import TransferFee

TOKEN_PROGRAM = Pubkey.from_string("TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA")
TOKEN_2022_PROGRAM = Pubkey.from_string("TokenzQdBNbLqP5VEhdkAS6EPFLC1PHnBqCXEpPxuEb")
ASSOCIATED_TOKEN_PROGRAM = Pubkey.from_string("ATokenGPvbdGVxr1b2hvZbsiqW5xWH25efTNsLJA8knL")
SYSTEM_PROGRAM = Pubkey.from_string("11111111111111111111111111111111")

_ACCOUNT_TYPE_MINT = 1
_ACCOUNT_TYPE_TOKEN = 2
_EXT_TRANSFER_FEE_CONFIG = 1
_EXT_TRANSFER_FEE_AMOUNT = 2
_EXT_IMMUTABLE_OWNER = 7
_BASE_BYTES = 165
_AMOUNT_AT = 64


def fixed_address(name: str) -> Pubkey:
    """An address that is the same in every sandbox, whatever its seed: mints of tokens that exist nowhere else."""
    return seeded_keypair(0, f"fixed:{name}").pubkey()


def seeded_keypair(seed: int, role: str) -> Keypair:
    """The key of a role in the world of this seed. Worth nothing outside a sandbox: anyone can compute it."""
    return Keypair.from_seed(sha256(f"sniperforge-sandbox:{seed}:{role}".encode()).digest())


SOL = Pubkey.from_string("So11111111111111111111111111111111111111112")
USDC = Pubkey.from_string("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v")
USDT = Pubkey.from_string("Es9vMFrzaCERmJfrF4H2FYD4KCoNkY11McCe8BenwNYB")
JUP = Pubkey.from_string("JUPyiwrYJFskUPiHa7hkeR8VUtAeFoSYbKedZNsDvCN")
BONK = Pubkey.from_string("DezXAZ8z7PnrnRJjz3wXBoRgixCa6xjnB7YaB1pPB263")
FEE2 = fixed_address("FEE2")
PEPE2 = fixed_address("PEPE2")
PEPE2_IMPOSTOR = fixed_address("PEPE2-impostor")


@dataclass(frozen=True, slots=True)
class TokenSpec:
    """A token of the sandbox, with everything `/tokens/v2` tells about it.

    `start_usd` is the price of one whole token at market time zero; `has_price` is false for a token whose price
    the price API withholds although a pool trades it.
    """

    mint: Pubkey
    symbol: str
    name: str
    decimals: int
    token_program: Pubkey
    verified: bool
    freeze_authority: Pubkey | None
    transfer_fee: TransferFee | None
    is_sus: bool
    start_usd: Fraction
    has_price: bool
    pyth_account: Pubkey | None


@dataclass(frozen=True, slots=True)
class Habit:
    """How a token's price moves.

    Attributes:
        beta: Share of SOL's relative move it follows (in logarithms).
        own_noise: Its own walk, as a multiple of the scenario's daily volatility.
        daily_sigma: Its own walk in absolute terms; set for stablecoins, which no scenario shakes.
    """

    beta: float
    own_noise: float = 0.0
    daily_sigma: float = 0.0


HABITS: Mapping[Pubkey, Habit] = {
    SOL: Habit(1.0),
    USDC: Habit(0.0, daily_sigma=0.00003),
    USDT: Habit(0.0, daily_sigma=0.00006),
    JUP: Habit(1.2, own_noise=0.6),
    BONK: Habit(1.4, own_noise=0.9),
    FEE2: Habit(0.5, own_noise=0.8),
    PEPE2: Habit(1.5, own_noise=1.3),
    PEPE2_IMPOSTOR: Habit(1.5, own_noise=2.0),
}


def token_specs(issuer: Pubkey, pyth_accounts: Mapping[Pubkey, Pubkey]) -> dict[Pubkey, TokenSpec]:
    """Every token by mint. `issuer` may freeze where mainnet's issuer may (USDC, USDT) and where a trap is meant."""

    def spec(
        mint: Pubkey,
        symbol: str,
        name: str,
        decimals: int,
        start_usd: str,
        *,
        verified: bool = True,
        freezable: bool = False,
        fee: TransferFee | None = None,
        is_sus: bool = False,
    ) -> TokenSpec:
        return TokenSpec(
            mint=mint,
            symbol=symbol,
            name=name,
            decimals=decimals,
            token_program=TOKEN_2022_PROGRAM if fee else TOKEN_PROGRAM,
            verified=verified,
            freeze_authority=issuer if freezable else None,
            transfer_fee=fee,
            is_sus=is_sus,
            start_usd=Fraction(start_usd),
            has_price=verified,
            pyth_account=pyth_accounts.get(mint),
        )

    tokens = (
        spec(SOL, "SOL", "Wrapped SOL", 9, "180"),
        spec(USDC, "USDC", "USD Coin", 6, "1", freezable=True),
        spec(USDT, "USDT", "USDT", 6, "0.9995", freezable=True),
        spec(JUP, "JUP", "Jupiter", 6, "0.42"),
        spec(BONK, "BONK", "Bonk", 5, "0.0000215"),
        spec(FEE2, "FEE2", "Fee on Transfer", 9, "1.25", fee=TransferFee(bps=100, maximum_raw=5_000 * 10**9)),
        spec(PEPE2, "PEPE2", "Pepe Two", 6, "0.0115"),
        spec(PEPE2_IMPOSTOR, "PEPE2", "Pepe Two", 6, "0.0115", verified=False, freezable=True, is_sus=True),
    )
    return {token.mint: token for token in tokens}


def token_account_address(owner: Pubkey, token: TokenSpec) -> Pubkey:
    """The associated token account of an owner."""
    address, _bump = Pubkey.find_program_address(
        [bytes(owner), bytes(token.token_program), bytes(token.mint)], ASSOCIATED_TOKEN_PROGRAM
    )
    return address


def _option(key: Pubkey | None) -> bytes:
    """`COption<Pubkey>`: a four-byte tag, then the key or zeros."""
    return struct.pack("<I", 1) + bytes(key) if key else bytes(36)


def mint_bytes(token: TokenSpec, *, mint_authority: Pubkey, supply_raw: int) -> bytes:
    """A mint's account data. The native mint has no authority and counts no supply, as on mainnet."""
    native = token.mint == SOL
    base = (
        _option(None if native else mint_authority)
        + struct.pack("<QBB", 0 if native else supply_raw, token.decimals, 1)
        + _option(token.freeze_authority)
    )
    fee = token.transfer_fee
    if fee is None:
        return base
    one_fee = struct.pack("<QQH", 0, fee.maximum_raw, fee.bps)  # in force since epoch 0
    config = bytes(mint_authority) * 2 + struct.pack("<Q", 0) + one_fee * 2  # older fee, newer fee: the same
    extension = struct.pack("<HH", _EXT_TRANSFER_FEE_CONFIG, len(config)) + config
    return base.ljust(_BASE_BYTES, b"\0") + bytes([_ACCOUNT_TYPE_MINT]) + extension


def token_account_bytes(
    token: TokenSpec, owner: Pubkey, amount_raw: int, *, rent_lamports: int, immutable_owner: bool
) -> bytes:
    """A token account's data; `immutable_owner` as associated accounts of Token-2022 have it."""
    native = struct.pack("<IQ", 1, rent_lamports) if token.mint == SOL else bytes(12)
    base = (
        bytes(token.mint) + bytes(owner) + struct.pack("<Q", amount_raw) + _option(None) + b"\x01" + native + bytes(8)
    ) + _option(None)
    if token.token_program != TOKEN_2022_PROGRAM:
        return base
    extensions = struct.pack("<HH", _EXT_IMMUTABLE_OWNER, 0) if immutable_owner else b""
    if token.transfer_fee:
        extensions += struct.pack("<HHQ", _EXT_TRANSFER_FEE_AMOUNT, 8, 0)
    return base + bytes([_ACCOUNT_TYPE_TOKEN]) + extensions


def amount_of(account: Account) -> int:
    """Balance of a token account in base units."""
    return int.from_bytes(account.data[_AMOUNT_AT : _AMOUNT_AT + 8], "little")


def write_token_account(
    chain: Chain, address: Pubkey, token: TokenSpec, owner: Pubkey, amount_raw: int, *, immutable_owner: bool = True
) -> None:
    """Write a token account with this balance by decree. A wSOL account gets the lamports it says it holds."""
    size = len(token_account_bytes(token, owner, 0, rent_lamports=0, immutable_owner=immutable_owner))
    rent = chain.minimum_rent(size)
    data = token_account_bytes(token, owner, amount_raw, rent_lamports=rent, immutable_owner=immutable_owner)
    lamports = rent + (amount_raw if token.mint == SOL else 0)
    chain.set_account(address, Account(lamports, data, token.token_program))


def write_amount(chain: Chain, address: Pubkey, account: Account, token: TokenSpec, amount_raw: int) -> None:
    """Change the balance of an existing token account by decree and leave the rest of it alone."""
    data = bytearray(account.data)
    before = amount_of(account)
    data[_AMOUNT_AT : _AMOUNT_AT + 8] = amount_raw.to_bytes(8, "little")
    lamports = account.lamports + (amount_raw - before if token.mint == SOL else 0)
    chain.set_account(address, Account(lamports, bytes(data), account.owner))


def credit(chain: Chain, owner: Pubkey, token: TokenSpec, amount_raw: int) -> Pubkey:
    """Give tokens to an owner by decree, creating the associated account if there is none; returns its address."""
    address = token_account_address(owner, token)
    account = chain.account(address)
    if account is None or not account.data:
        write_token_account(chain, address, token, owner, amount_raw)
    else:
        write_amount(chain, address, account, token, amount_of(account) + amount_raw)
    return address


def credit_lamports(chain: Chain, owner: Pubkey, lamports: int) -> None:
    """Give native SOL to an owner by decree."""
    account = chain.account(owner)
    if account is None:
        chain.set_account(owner, Account(lamports, b"", SYSTEM_PROGRAM))
    else:
        chain.set_account(owner, Account(account.lamports + lamports, account.data, account.owner))
