"""TensorFlow's lost names: what went with `tf.contrib`, under the names it had there."""
