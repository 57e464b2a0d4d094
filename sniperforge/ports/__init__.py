"""What SniperForge needs of the outside world, as protocols and frozen results. No library is named here."""
