"""Small convolutional networks and soft labels on a CPU, computed by a kernel of our own in C++."""
