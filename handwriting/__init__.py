"""From a photograph of a digit to an image as MNIST has it."""
