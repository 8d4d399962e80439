"""`tf.contrib.learn.ExportStrategy`: what an Experiment exports when training ends."""

import collections
import inspect


class ExportStrategy(collections.namedtuple("ExportStrategy", ["name", "export_fn"])):
    """A name and a function that exports an Estimator.

    `export_fn` is called with the Estimator and with the directory of the export, and returns the
    path of the export. It may take `checkpoint_path`, and then `eval_result`, too.
    """

    def export(self, estimator, export_path, checkpoint_path=None, eval_result=None):
        """Exports the Estimator; returns the path of the export.

        Raises:
          ValueError: `export_fn` takes `eval_result` without `checkpoint_path`.
        """
        names = inspect.signature(self.export_fn).parameters
        known = {"checkpoint_path": checkpoint_path, "eval_result": eval_result}
        arguments = {name: value for name, value in known.items() if name in names}
        if list(arguments) == ["eval_result"]:
            raise ValueError("An export_fn accepting eval_result must also accept checkpoint_path.")
        return self.export_fn(estimator, export_path, **arguments)
