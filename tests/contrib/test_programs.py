"""Programs of TensorFlow 1 run unchanged, each in a process of its own."""

import json
import pathlib

import pytest
import tensorflow as tf
from conftest import ROOT, read_scalars, run_python

PROGRAMS = pathlib.Path(__file__).parent / "programs"


def run_program(*arguments, **options):
    return run_python("-m", "contrib", *arguments, PYTHONPATH=str(ROOT), **options)


@pytest.fixture(scope="module")
def run_code(tmp_path_factory):
    """A function that runs a program with this text; returns the completed process."""
    directory = tmp_path_factory.mktemp("code")

    def run(code, *arguments):
        (directory / "program.py").write_text(code)
        return run_program("program.py", *arguments, cwd=directory)

    return run


def test_a_program_of_the_blogs_shape_goes_on_from_the_checkpoint_of_2017(model_dir_2017, tmp_path):
    process = run_program(PROGRAMS / "blog.py", "--model_dir", model_dir_2017, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert "Restoring parameters from" in process.stderr
    accuracy = read_scalars(model_dir_2017 / "eval", "Accuracy")
    assert max(accuracy) == 1020
    assert accuracy[1020] > 0.98
    assert tf.train.latest_checkpoint(str(model_dir_2017)).endswith("-1020")
    lines = process.stderr.splitlines()
    saved = [line for line in lines if line.startswith("INFO:tensorflow:Saving dict")]
    assert len(saved) == len(set(saved)) == len(accuracy)
    config_lines = {"graph_options {", "  rewrite_options {", "  }", "}"}
    noise = [line for line in lines if not line.startswith(("INFO:tensorflow:", ", '_keep"))]
    assert set(noise) - config_lines <= {"    meta_optimizer_iterations: ONE"}


def test_a_program_whose_modules_are_named_as_ours_has_its_own(tmp_path):
    process = run_program(
        PROGRAMS / "colliding" / "main.py", "--mode=train_and_evaluate", "--model_dir=model",
        cwd=tmp_path,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert "formatted ['train/input_0']" in process.stderr
    assert max(read_scalars(tmp_path / "model" / "eval", "accuracy")) == 20
    assert process.stdout.splitlines()[-1] == "the end"


def test_a_module_with_queues_an_output_dir_and_flags_at_import_exports(tmp_path):
    arguments = ("--log_dir", tmp_path, "--train_steps=20", "rest")
    process = run_program("-m", "queue_runners", *arguments, cwd=PROGRAMS)
    assert process.returncode == 0, process.stderr
    [export] = (tmp_path / "export" / "Servo").iterdir()
    assert process.stdout.endswith(f"['rest'] [{str(export).encode()}]\n")
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        model = tf.compat.v1.saved_model.load(session, ["serve"], str(export))
        signature = model.signature_def["serving_default"]
        outputs = session.run(
            signature.outputs["id"].name, {signature.inputs["word"].name: ["b", "a"]}
        )
    assert outputs.tolist() == [1, 0]


def test_what_is_not_here_says_so_in_one_line(run_code):
    process = run_code("""
from tensorflow.contrib.learn import Experiment
import tensorflow as tf
assert not hasattr(tf.contrib.learn, "MetricSpec")
try:
    from tensorflow.contrib.learn.python.learn.estimators import model_fn, Estimator
except ImportError:
    tf.contrib.learn.Estimator(model_fn)
""")
    assert process.returncode == 1
    [line] = process.stderr.splitlines()
    assert line.endswith(
        "program.py:8: tf.contrib.learn.Estimator is not here; use tf.estimator.Estimator; "
        "its model_fn returns a tf.estimator.EstimatorSpec"
    )


def test_a_program_is_main_and_has_its_own_traceback(run_code):
    process = run_code("""
import json, sys, tensorflow
print(json.dumps([__name__, sys.argv, sys.path[0], __file__, sys.modules["__main__"].__file__]))
def fail():
    raise ValueError("its own")
fail()
""", "--flag", "argument")  # fmt: skip
    name, argv, directory, *files = json.loads(process.stdout)
    path = f"{directory}/program.py"
    assert (name, argv, files) == ("__main__", ["program.py", "--flag", "argument"], [path] * 2)
    assert process.returncode == 1
    lines = [line for line in process.stderr.splitlines() if "^" not in line]
    assert lines[0] == "Traceback (most recent call last):"
    assert [line.split(",")[0] for line in lines[1:-1:2]] == [f'  File "{path}"'] * 2
    assert lines[-1] == "ValueError: its own"


def test_there_has_to_be_a_program(tmp_path):
    process = run_program(tmp_path / "none.py")
    assert process.returncode == run_program("-m").returncode == 2
    assert process.stderr.startswith(f"python -m contrib: there is no file {tmp_path / 'none.py'};")
    process = run_program("--help")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout.startswith("usage: python -m contrib PROGRAM.py ARGUMENTS")


def test_install_gives_tensorflow_1_and_leaves_what_was_imported_before():
    process = run_python("-c", """
import contrib
contrib.quiet_import.import_tensorflow()
import tensorflow as before
contrib.install()
contrib.install()
import tensorflow as tf
import tensorflow.contrib.layers.python.layers.initializers
from tensorflow.contrib import slim
from tensorflow.contrib.slim.python.slim.nets import vgg
from tensorflow.python.estimator.canned import dnn
from tensorflow.contrib.keras.python.keras.layers import Dense
assert not hasattr(before, "placeholder") and before.io.gfile
assert tf.contrib.learn.RunConfig and tf.estimator.Estimator and tf.placeholder
assert slim.nets.vgg is vgg and not tf.executing_eagerly()
assert issubclass(Dense, tf.keras.layers.Layer)
with tf.Graph().as_default():
    slim.batch_norm(tf.layers.dense(tf.placeholder(tf.float32, [None, 2, 2, 2]), 2))
""")  # fmt: skip
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""


def test_contrib_alone_imports_no_tensorflow():
    code = "import contrib, sys; from contrib import training; print('tensorflow' in sys.modules)"
    assert run_python("-c", code).stdout == "False\n"


@pytest.mark.skipif(hasattr(tf, "estimator"), reason="TensorFlow 2.15 brings Keras 2")
def test_layers_and_cells_do_without_keras_2():
    process = run_python(
        "-m",
        "contrib",
        PROGRAMS / "layers.py",
        TF_USE_LEGACY_KERAS="0",
    )
    assert process.stdout == "trained\n", process.stderr
    assert "tf.layers.batch_normalization needs Keras 2: pip install tf_keras" in process.stderr
