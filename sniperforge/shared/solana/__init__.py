"""Solana behind the ports: one background event loop per process, RPC nodes, account layouts, the Pyth oracle."""
