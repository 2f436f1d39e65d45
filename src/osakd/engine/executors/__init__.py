"""What runs the steps of a method."""
