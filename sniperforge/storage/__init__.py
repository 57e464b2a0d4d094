"""The books in SQLite or PostgreSQL. The only place with SQL."""
