"""`tf.contrib.training`: hyperparameters. Imports no TensorFlow."""
