"""Solana JSON-RPC over the sandbox's chain, as validators speak it."""
