"""The page where recordings of calls are uploaded."""
