"""Charts: inline SVG for the page, and figures for a paper."""
