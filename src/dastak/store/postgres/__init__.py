"""The store on PostgreSQL: one truth for as many nodes as there are."""
