"""What runs have recorded: statistics, tables, charts, and a page. Reads records only; never imports torch."""
