"""Numbers and verdicts: summaries over seeds, paired differences, what the records say of the paper."""
