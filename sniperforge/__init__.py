"""SniperForge: unattended trading on Solana, every decided trade exactly once or provably not at all."""

__version__ = "0.1.0"
