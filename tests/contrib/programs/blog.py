"""A program of TensorFlow 1.3 with the blog's names in the blog's order."""

import tensorflow as tf
from tensorflow.contrib import slim
from tensorflow.contrib.learn import ModeKeys, learn_runner
from tensorflow.examples.tutorials.mnist import input_data

tf.logging.set_verbosity(tf.logging.DEBUG)

FLAGS = tf.app.flags.FLAGS
tf.app.flags.DEFINE_string(
    flag_name="model_dir", default_value="./mnist_training", docstring="Checkpoints and summaries."
)
tf.app.flags.DEFINE_string(
    flag_name="data_dir", default_value="./mnist_data", docstring="The MNIST files."
)


def run_experiment(argv=None):
    params = tf.contrib.training.HParams(
        learning_rate=0.002, n_classes=10, train_steps=1020, min_eval_frequency=20
    )
    run_config = tf.contrib.learn.RunConfig()
    run_config = run_config.replace(model_dir=FLAGS.model_dir)
    result = learn_runner.run(
        experiment_fn=experiment_fn,
        run_config=run_config,
        schedule="train_and_evaluate",
        hparams=params,
    )
    print("result", result)


def experiment_fn(run_config, params):
    run_config = run_config.replace(save_checkpoints_steps=params.min_eval_frequency)
    estimator = get_estimator(run_config, params)
    mnist = input_data.read_data_sets(FLAGS.data_dir, one_hot=False)
    train_input_fn, train_input_hook = get_train_inputs(batch_size=128, mnist_data=mnist)
    eval_input_fn, eval_input_hook = get_test_inputs(batch_size=500, mnist_data=mnist)
    return tf.contrib.learn.Experiment(
        estimator=estimator,
        train_input_fn=train_input_fn,
        eval_input_fn=eval_input_fn,
        train_steps=params.train_steps,
        min_eval_frequency=params.min_eval_frequency,
        train_monitors=[train_input_hook],
        eval_hooks=[eval_input_hook],
        eval_steps=None,
    )


def get_estimator(run_config, params):
    return tf.estimator.Estimator(model_fn=model_fn, params=params, config=run_config)


def model_fn(features, labels, mode, params):
    logits = architecture(features, is_training=mode == ModeKeys.TRAIN)
    predictions = tf.argmax(logits, axis=-1)
    loss, train_op, eval_metric_ops = None, None, {}
    if mode != ModeKeys.INFER:
        loss = tf.losses.sparse_softmax_cross_entropy(
            labels=tf.cast(labels, tf.int32), logits=logits
        )
        train_op = get_train_op_fn(loss, params)
        eval_metric_ops = get_eval_metric_ops(labels, predictions)
    return tf.estimator.EstimatorSpec(
        mode=mode,
        predictions=predictions,
        loss=loss,
        train_op=train_op,
        eval_metric_ops=eval_metric_ops,
    )


def get_train_op_fn(loss, params):
    return tf.contrib.layers.optimize_loss(
        loss=loss,
        global_step=tf.contrib.framework.get_global_step(),
        optimizer=tf.train.AdamOptimizer,
        learning_rate=params.learning_rate,
    )


def get_eval_metric_ops(labels, predictions):
    accuracy = tf.metrics.accuracy(labels=labels, predictions=predictions, name="accuracy")
    return {"Accuracy": accuracy}


def architecture(inputs, is_training, scope="MnistConvNet"):
    initializer = tf.contrib.layers.xavier_initializer()
    layers = [slim.conv2d, slim.fully_connected]
    with tf.variable_scope(scope), slim.arg_scope(layers, weights_initializer=initializer):
        net = slim.conv2d(inputs, 20, [5, 5], padding="VALID", scope="conv1")
        net = slim.max_pool2d(net, 2, stride=2, scope="pool2")
        net = slim.conv2d(net, 40, [5, 5], padding="VALID", scope="conv3")
        net = slim.max_pool2d(net, 2, stride=2, scope="pool4")
        net = tf.reshape(net, [-1, 4 * 4 * 40])
        net = slim.fully_connected(net, 256, scope="fn5")
        net = slim.dropout(net, is_training=is_training, scope="dropout5")
        net = slim.fully_connected(net, 256, scope="fn6")
        net = slim.dropout(net, is_training=is_training, scope="dropout6")
        return slim.fully_connected(net, 10, scope="output", activation_fn=None)


class IteratorInitializerHook(tf.train.SessionRunHook):
    def __init__(self):
        super().__init__()
        self.iterator_initializer_func = None

    def after_create_session(self, session, coord):
        self.iterator_initializer_func(session)


def get_train_inputs(batch_size, mnist_data):
    def prepare(dataset):
        return dataset.repeat(None).shuffle(buffer_size=10000).batch(batch_size)

    return get_inputs("Training_data", mnist_data.train, prepare)


def get_test_inputs(batch_size, mnist_data):
    return get_inputs("Test_data", mnist_data.test, lambda dataset: dataset.batch(batch_size))


def get_inputs(scope, data_set, prepare):
    iterator_initializer_hook = IteratorInitializerHook()

    def inputs():
        with tf.name_scope(scope):
            images = data_set.images.reshape([-1, 28, 28, 1])
            labels = data_set.labels
            images_placeholder = tf.placeholder(images.dtype, images.shape)
            labels_placeholder = tf.placeholder(labels.dtype, labels.shape)
            dataset = tf.contrib.data.Dataset.from_tensor_slices(
                (images_placeholder, labels_placeholder)
            )
            iterator = prepare(dataset).make_initializable_iterator()
            feed_dict = {images_placeholder: images, labels_placeholder: labels}
            iterator_initializer_hook.iterator_initializer_func = lambda session: session.run(
                iterator.initializer, feed_dict=feed_dict
            )
            return iterator.get_next()

    return inputs, iterator_initializer_hook


if __name__ == "__main__":
    tf.app.run(main=run_experiment)
