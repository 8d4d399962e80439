"""`tf.contrib.learn`: the Experiment and what it stands on."""
