import pytest

from contrib.learn.export_strategy import ExportStrategy, make_export_strategy


class _Estimator:
    """Exports a directory with the next number."""

    n_exports = 8

    def export_saved_model(self, export_dir_base, *arguments):
        self.n_exports, self.arguments = self.n_exports + 1, arguments
        path = export_dir_base / str(self.n_exports)
        path.mkdir()
        return path


def export(tmp_path, n_exports, *arguments, **options):
    """Exports with an Estimator and returns it, the last path and the names that are left."""
    strategy, estimator = make_export_strategy(*arguments, **options), _Estimator()
    assert (type(strategy), strategy.name) == (ExportStrategy, "Servo")
    (tmp_path / "notes").mkdir()
    paths = [strategy.export(estimator, tmp_path, "checkpoint") for _ in range(n_exports)]
    return estimator, paths[-1], {path.name for path in tmp_path.iterdir()}


def test_a_strategy_exports_by_the_input_function_and_the_checkpoint(tmp_path):
    estimator, path, _ = export(tmp_path, 1, "input_fn", None, {"a": "b"}, True)
    assert estimator.arguments == ("input_fn", {"a": "b"}, True, "checkpoint")
    assert path == tmp_path / "9"


ALL = ("9", "10", "11")


@pytest.mark.parametrize(("exports_to_keep", "kept"), [(2, ALL[1:]), (5, ALL), (None, ALL)])
def test_the_exports_with_the_largest_numbers_are_kept(tmp_path, exports_to_keep, kept):
    _, _, names = export(tmp_path, 3, "input_fn", exports_to_keep=exports_to_keep)
    assert names == {"notes", *kept}


def test_a_key_of_contribs_estimator_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="not supported in core Estimator"):
        export(tmp_path, 1, "input_fn", "a key")
