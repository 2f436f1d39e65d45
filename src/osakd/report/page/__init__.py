"""The page: what it shows of each column, and its HTML."""
