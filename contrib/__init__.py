"""TensorFlow's lost names: what went with `tf.contrib`, under the names it had there.

`python -m contrib PROGRAM.py` runs a program of TensorFlow 1; see docs/programs_of_2017.md. In a
program that is run otherwise, `import contrib; contrib.install()` as the first line does the same.
"""


def install():
    """Makes `import tensorflow` import TensorFlow 1 from here on, with `tf.contrib`."""
    from contrib.tensorflow_1 import install

    install()


def __getattr__(name):
    """Imports a package by its name in `tf.contrib`."""
    from contrib.module_paths import get_package

    return get_package(name)
