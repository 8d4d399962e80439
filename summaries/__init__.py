"""What TensorBoard shows beside the summaries of the blog."""

from summaries.evaluation import EvaluationSummaryHook
from summaries.run import RunSummaryHook
from summaries.training import add_image_summaries, add_variable_summaries

__all__ = [
    "EvaluationSummaryHook",
    "RunSummaryHook",
    "add_image_summaries",
    "add_variable_summaries",
]
