"""One repository per table or small group of tables. All SQL is here."""
