"""The page: what it shows of each panel, and its HTML."""
