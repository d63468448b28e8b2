"""What is kept: the database behind one small port."""
