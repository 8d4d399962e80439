import tensorflow as tf
from tensorflow.contrib import layers


def model_fn(features, labels, mode, params):
    rows = tf.layers.dense(features, params.units, activation=tf.nn.relu, name="dense")
    rows = tf.layers.dropout(rows, params.dropout, training=mode == tf.contrib.learn.ModeKeys.TRAIN)
    cell = tf.contrib.rnn.MultiRNNCell(
        [tf.contrib.rnn.DropoutWrapper(tf.contrib.rnn.GRUCell(params.units)) for _ in range(2)]
    )
    outputs, _ = tf.nn.dynamic_rnn(cell, rows[:, tf.newaxis], dtype=tf.float32)
    rows = layers.layer_norm(layers.flatten(outputs) + rows)
    logits = layers.fully_connected(rows, 2, activation_fn=None)
    loss = tf.contrib.seq2seq.sequence_loss(
        logits[:, tf.newaxis], labels[:, tf.newaxis], tf.ones_like(features[:, :1])
    )
    train_op = layers.optimize_loss(
        loss,
        tf.train.get_global_step(),
        learning_rate=0.01,
        optimizer=params.optimizer,
        summaries=["loss", "gradients", "learning_rate"],
        name="train_op",
    )
    accuracy = tf.contrib.metrics.streaming_accuracy(tf.argmax(logits, 1), labels)
    return tf.estimator.EstimatorSpec(
        mode, loss=loss, train_op=train_op, eval_metric_ops={"accuracy": accuracy}
    )
