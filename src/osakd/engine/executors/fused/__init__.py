"""Many replicas in one program. This is the only place that knows that there is more than one replica."""
