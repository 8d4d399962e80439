"""Draws the image summaries of an evaluation with Pillow."""

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH = 350  # pixels; TensorBoard shows an image of this width without smoothing
CELL = 30  # four figures fit in
COLUMNS = 5
WHITE, BLACK, BLUE, RED = (255, 255, 255), (0, 0, 0), (8, 48, 107), (192, 0, 0)


def draw_confusion_matrix(matrix):
    """Counts of each true class (rows) and predicted class (columns) on shades of blue.

    The shade is the logarithm of the count, so that a few mistakes show beside a thousand hits.

    Args:
      matrix: int [n, n].

    Returns:
      RGB `Image`.
    """
    margin = 50
    end = margin + len(matrix) * CELL  # WIDTH for ten classes
    shade = np.log1p(matrix) / max(np.log1p(matrix.max()), 1)  # [n, n] in [0, 1]
    cells = np.uint8(WHITE + shade[..., np.newaxis] * (np.array(BLUE) - WHITE))  # [n, n, 3]
    picture = Image.new("RGB", (end, end), WHITE)
    picture.paste(Image.fromarray(cells.repeat(CELL, 0).repeat(CELL, 1)), (margin, margin))
    draw = ImageDraw.Draw(picture)
    draw.font = ImageFont.load_default(12)

    def write(row, column, text, color=BLACK):
        position = (margin + (column + 0.5) * CELL, margin + (row + 0.5) * CELL)
        draw.text(position, str(text), color, anchor="mm")

    for name in range(len(matrix)):
        write(-0.75, name, name)
        write(name, -0.75, name)
    for row, column in zip(*np.nonzero(matrix)):
        write(row, column, matrix[row, column], WHITE if shade[row, column] > 0.5 else BLACK)
    middle = (len(matrix) - 1) / 2
    write(middle, -1.4, "true")
    write(-1.4, middle, "predicted")
    return picture


def draw_mistakes(images, labels, classes, probabilities):
    """Draws a grid of digits, each with its true class, its predicted class and the probability.

    Args:
      images: uint8 [K, 28, 28].
      labels, classes: int [K].
      probabilities: float [K].

    Returns:
      RGB `Image`, as large for no digits as for one.
    """
    width, height, header = WIDTH // COLUMNS, 84, 20
    rows = max(-(-len(images) // COLUMNS), 1)
    picture = Image.new("RGB", (WIDTH, header + rows * height), WHITE)
    draw = ImageDraw.Draw(picture)
    draw.font = ImageFont.load_default(11)
    title = f"{len(images)} most confident mistakes: true > predicted, probability"
    draw.text((4, 4), title, BLACK)
    for index, image in enumerate(images):
        left, top = index % COLUMNS * width + 7, header + index // COLUMNS * height
        picture.paste(Image.fromarray(image.repeat(2, 0).repeat(2, 1)), (left, top))
        text = f"{labels[index]} > {classes[index]}  {probabilities[index]:.3f}"
        draw.text((left + 28, top + 66), text, RED, anchor="mm")
    return picture
