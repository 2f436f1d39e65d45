"""The command line: one file per subcommand. Torch is imported only when a command needs it."""
