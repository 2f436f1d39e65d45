"""What runs have recorded, summarised: tables and curves. Reads records only, and never imports torch."""
