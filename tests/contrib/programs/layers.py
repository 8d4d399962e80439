"""Layers and cells of TensorFlow 1 in a session."""

import numpy as np
import tensorflow as tf

images = tf.placeholder(tf.float32, [None, 8, 8, 1])
net = tf.layers.conv2d(images, 2, 3, activation=tf.nn.relu)
net = tf.layers.max_pooling2d(net, 2, 2)
net = tf.layers.dropout(tf.layers.flatten(net), 0.5, training=True)
net = tf.layers.dense(net, 4, kernel_initializer=tf.contrib.layers.xavier_initializer())
cell = tf.nn.rnn_cell.MultiRNNCell([tf.contrib.rnn.BasicLSTMCell(4), tf.contrib.rnn.GRUCell(4)])
outputs, _ = tf.nn.dynamic_rnn(cell, net[:, tf.newaxis], dtype=tf.float32)
keras = tf.contrib.keras.layers.Dense(2)(outputs)
train_op = tf.train.AdamOptimizer().minimize(tf.reduce_mean(keras**2))
with tf.Session() as session:
    session.run(tf.global_variables_initializer())
    session.run(train_op, {images: np.ones([2, 8, 8, 1])})
print("trained")
tf.layers.batch_normalization(net)
