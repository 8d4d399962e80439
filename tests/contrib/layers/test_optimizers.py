import numpy as np
import pytest
import tensorflow as tf

from contrib.layers import OPTIMIZER_CLS_NAMES, optimize_loss

train = tf.compat.v1.train


class Model:
    """A weight of 10 and the loss `3 * weight`, so that the gradient is 3; in the default graph."""

    def __init__(self, session):
        self.session = session
        self.global_step = train.create_global_step()
        self.weight = tf.compat.v1.get_variable("weight", initializer=10.0)
        self.loss = 3 * self.weight

    def optimize(self, learning_rate=0.1, optimizer="SGD", **arguments):
        """Calls `optimize_loss`; returns what its operation gives in one step."""
        arguments = {"loss": self.loss, "global_step": None, **arguments}
        op = optimize_loss(learning_rate=learning_rate, optimizer=optimizer, **arguments)
        self.session.run(tf.compat.v1.global_variables_initializer())
        self.summaries = tf.compat.v1.summary.merge_all()
        return self.session.run(op)

    def step(self):
        return self.session.run(self.global_step)

    def change(self):
        """How much the weight has changed."""
        return self.session.run(self.weight) - 10

    def scalars(self):
        """{tag: value} of what the graph shows now; a histogram has the value 0."""
        summary = tf.compat.v1.Summary.FromString(self.session.run(self.summaries))
        return {value.tag: value.simple_value for value in summary.value}


@pytest.fixture
def model():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        yield Model(session)


def get_variable_names():
    return [variable.op.name for variable in tf.compat.v1.global_variables()]


def approx(value):
    return pytest.approx(value, abs=1e-5)


@pytest.mark.parametrize(
    "optimizer",
    [
        "SGD",
        train.GradientDescentOptimizer,
        train.GradientDescentOptimizer(0.1),
        lambda learning_rate: train.GradientDescentOptimizer(learning_rate),
    ],
    ids=["name", "class", "instance", "function"],
)
def test_an_optimizer_in_each_form_takes_a_step(model, optimizer):
    assert model.optimize(optimizer=optimizer) == 30
    assert model.change() == approx(-0.3)
    assert model.step() == 1


def test_a_function_of_nothing_brings_its_learning_rate(model):
    model.optimize(learning_rate=None, optimizer=lambda: train.GradientDescentOptimizer(0.1))
    assert model.change() == approx(-0.3)


@pytest.mark.parametrize("name", OPTIMIZER_CLS_NAMES)
def test_each_name_is_an_optimizer(model, name):
    model.optimize(optimizer=name)
    assert model.change() < 0
    assert set(OPTIMIZER_CLS_NAMES) == {"Adagrad", "Adam", "Ftrl", "Momentum", "RMSProp", "SGD"}


def test_a_learning_rate_may_be_a_scalar(model):
    model.optimize(learning_rate=tf.constant(0.1))
    assert model.change() == approx(-0.3)
    assert get_variable_names() == ["global_step", "weight"]


def test_a_number_becomes_a_variable_below_the_name(model):
    model.optimize(name="my_loss")
    assert get_variable_names() == ["global_step", "weight", "my_loss/learning_rate"]


def test_the_default_name_is_contribs(model):
    model.optimize()
    assert "OptimizeLoss/learning_rate" in get_variable_names()


def test_the_step_counter_may_be_given_and_left_alone(model):
    model.optimize(global_step=model.global_step)
    assert model.step() == 1
    model.optimize(global_step=model.global_step, increment_global_step=False, name="again")
    assert model.step() == 0  # initialized anew


def test_without_a_step_counter_it_works_too():
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        weight = tf.compat.v1.get_variable("weight", initializer=10.0)
        op = optimize_loss(3 * weight, None, 0.1, "SGD")
        session.run(tf.compat.v1.global_variables_initializer())
        session.run(op)
        assert session.run(weight) == approx(9.7)


@pytest.mark.parametrize(
    ("clip_gradients", "gradient"),
    [
        (None, 3),
        (0.5, 0.5),
        (100.0, 3),
        (lambda gradients: [(2 * gradient, variable) for gradient, variable in gradients], 6),
    ],
    ids=["none", "to a norm", "to a large norm", "by a function"],
)
def test_gradients_are_clipped(model, clip_gradients, gradient):
    model.optimize(clip_gradients=clip_gradients, summaries=["gradient_norm"])
    assert model.change() == approx(-0.1 * gradient)
    scalars = model.scalars()
    assert scalars["OptimizeLoss/global_norm/gradient_norm"] == approx(3)
    clipped_tag = "OptimizeLoss/global_norm/clipped_gradient_norm"
    assert scalars.get(clipped_tag) == (clip_gradients and approx(gradient))


def test_the_learning_rate_decays(model):
    def decay(learning_rate, global_step):
        return learning_rate / tf.cast(global_step + 2, tf.float32)

    model.optimize(learning_rate_decay_fn=decay)
    assert model.change() == approx(-0.15)
    assert model.scalars()["OptimizeLoss/learning_rate_1"] == approx(0.1 / 3)


@pytest.mark.parametrize("by_name", [True, False])
def test_gradients_are_multiplied(model, by_name):
    other = tf.compat.v1.get_variable("other", initializer=1.0)
    multipliers = {model.weight.name if by_name else model.weight: 0.5}
    model.optimize(loss=model.loss + 3 * other, gradient_multipliers=multipliers)
    assert model.change() == approx(-0.15)
    assert model.session.run(other) == approx(0.7)


def test_noise_is_added_to_gradients(model):
    tf.compat.v1.set_random_seed(1)
    weights = tf.compat.v1.get_variable("weights", initializer=np.zeros(10000, np.float32))
    model.optimize(loss=tf.reduce_sum(weights), gradient_noise_scale=2.0, learning_rate=1.0)
    change = model.session.run(weights)
    assert change.mean() == pytest.approx(-1, abs=0.1)
    assert change.std() == pytest.approx(2, abs=0.1)


def test_only_the_given_variables_are_trained(model):
    other = tf.compat.v1.get_variable("other", initializer=1.0)
    model.optimize(loss=model.loss + 3 * other, variables=[other])
    assert model.change() == 0
    assert model.session.run(other) == approx(0.7)


@pytest.mark.parametrize("given", [True, False])
def test_updates_run_in_each_step(model, given):
    counter = tf.compat.v1.get_variable("counter", initializer=0, trainable=False)
    update = counter.assign_add(1)
    if not given:
        tf.compat.v1.add_to_collection(tf.compat.v1.GraphKeys.UPDATE_OPS, update)
    model.optimize(update_ops=[update] if given else None)
    assert model.session.run(counter) == 1


def test_default_summaries_have_contribs_tags(model):
    model.optimize(learning_rate_decay_fn=lambda learning_rate, global_step: learning_rate * 1)
    assert model.scalars() == approx(
        {
            "OptimizeLoss/loss": 29.1,
            "OptimizeLoss/learning_rate_1": 0.1,  # the variable has the name without a number
            "OptimizeLoss/global_norm/gradient_norm": 3,
        }
    )


def test_summaries_of_each_gradient(model):
    model.optimize(summaries=["gradients", "gradient_norm"])
    scalars = model.scalars()
    assert scalars["OptimizeLoss/gradient_norm/weight_0"] == 3
    assert set(scalars) == {
        "OptimizeLoss/gradients/weight_0",
        "OptimizeLoss/gradient_norm/weight_0",
        "OptimizeLoss/global_norm/gradient_norm",
    }


def test_there_may_be_no_summaries(model):
    model.optimize(summaries=[])
    assert model.summaries is None


def test_sparse_gradients_are_taken(model):
    table = tf.compat.v1.get_variable("table", initializer=[[1.0], [2.0]])
    loss = tf.reduce_sum(tf.gather(table, [1]))
    model.optimize(
        loss=loss,
        gradient_multipliers={table.name: 10.0},
        gradient_noise_scale=0.0,
        clip_gradients=5.0,
        summaries=["gradients", "gradient_norm"],
        variables=[table],
    )
    np.testing.assert_allclose(model.session.run(table), [[1], [1.5]])
    assert model.scalars()["OptimizeLoss/gradient_norm/table_0"] == 5


def test_a_variable_that_the_loss_does_not_need_has_no_gradient(model):
    tf.compat.v1.get_variable("unused", initializer=1.0)
    multipliers = {"unused:0": 2.0}
    summaries = ["gradients", "gradient_norm", "loss"]
    arguments = {"gradient_multipliers": multipliers, "gradient_noise_scale": 0.0}
    model.optimize(clip_gradients=1.0, summaries=summaries, **arguments)
    assert model.change() == approx(-0.1)
    assert not [tag for tag in model.scalars() if "unused" in tag]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "SGDD"}, "Optimizer name should be one of [Adagrad, Adam, Ftrl, "),
        ({"optimizer": 7}, "Unrecognized optimizer: should be string, subclass of Optimizer, "),
        ({"optimizer": lambda rate: "SGD"}, "Unrecognized optimizer: should be string"),
        ({"optimizer": str}, "Unrecognized optimizer: should be string"),
        ({"learning_rate": None}, "Learning rate is None, but should be specified"),
        ({"learning_rate": -0.1}, "Invalid learning_rate -0.1."),
        ({"learning_rate": 1}, "Learning rate should be 0d Tensor or float. Got 1 of type"),
        ({"learning_rate": "0.1"}, "Learning rate should be 0d Tensor or float. Got 0.1 of"),
        ({"summaries": ["loss", "weights"]}, "Summaries should be one of [learning_rate, loss, "),
        ({"clip_gradients": "0.1"}, "Unknown type <class 'str'> for clip_gradients"),
    ],
)
def test_a_wrong_argument_is_an_error(model, arguments, message):
    with pytest.raises(ValueError) as error:
        model.optimize(**arguments)
    assert str(error.value).startswith(message)


def test_a_learning_rate_of_more_numbers_is_an_error(model):
    rates = tf.constant([0.1, 0.2])
    with pytest.raises(ValueError, match="Learning rate should be 0d Tensor or float"):
        model.optimize(learning_rate=rates)


def test_a_loss_of_more_numbers_is_an_error(model):
    with pytest.raises(ValueError, match="incompatible"):
        model.optimize(loss=tf.stack([model.loss, model.loss]))


def test_a_decay_needs_a_step_counter():
    with tf.Graph().as_default():
        weight = tf.compat.v1.get_variable("weight", initializer=10.0)
        with pytest.raises(ValueError, match="global_step is required for learning_rate_decay_fn"):
            optimize_loss(
                3 * weight, None, 0.1, "SGD", learning_rate_decay_fn=lambda rate, step: rate
            )
