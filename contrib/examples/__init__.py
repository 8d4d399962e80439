"""`tensorflow.examples`: the reader of MNIST of its tutorials."""
