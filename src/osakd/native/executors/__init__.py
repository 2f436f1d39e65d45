"""Small convolutional networks on a CPU, computed by the native kernel (``osakd.native.kernels``)."""
