"""What ``osakd reproduce`` runs and shows: the paper's tables, figure, costs and claims, and our own studies."""
