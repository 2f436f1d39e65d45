"""Tables: each a tuple of columns, the same for the page, Markdown, LaTeX, CSV and a terminal."""
