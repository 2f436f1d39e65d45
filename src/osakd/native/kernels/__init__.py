"""A native CPU kernel for small convolutional networks, built on demand with the machine's compiler."""
