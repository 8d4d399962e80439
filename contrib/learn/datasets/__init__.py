"""`tf.contrib.learn.datasets`: readers of data. Imports no TensorFlow."""
