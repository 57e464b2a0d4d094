"""Use cases: what SniperForge does with money. They see ports and the domain, never a library of the outside world."""
