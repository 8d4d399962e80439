"""The same job with PyTorch: the training loop of its tutorials, tuned for speed.

Milliseconds a step on two cores, PyTorch 2.13.0, medians of five interleaved times 40 steps:

- kept: ReLU after the pooling, as in the project, 15.0; before it, 19.0
- kept: channels_last; without, 26.1
- kept: fused Adam; foreach 15.7, a loop over the variables 15.8; ReLU in place 14.9, no difference
- kept: images as one float32 tensor, batches by indexing with a slice of a permutation, no
  DataLoader; gradients set to None; losses read only where they are shown
- kept: evaluations in inference_mode with batches of 250, 0.58 s of processor time; 100 the same,
  500 0.62 s, 1,000 0.86 s, all at once 1.05 s

Each of CHOICES may make it faster; `run.py --choices` measures which do on the machine at hand. On
a GPU the images lie in its memory, a step is a CUDA graph and an evaluation one batch.
"""

import argparse
import concurrent.futures
import json
import os
import time

import torch
from mnist_arrays import read_mnist
from torch import nn
from torch.nn import functional
from torch.utils.tensorboard import SummaryWriter

CHOICES = (
    "replicas",  # half a batch in each of two threads, one thread for an operation
    "compile",  # torch.compile; it needs a C++ compiler
    "large_evaluations",  # 1,000 images in a batch of an evaluation
)
EVAL_FREQUENCY = 100  # steps between two checkpoints and between two evaluations
BATCH_SIZE, EVAL_BATCH_SIZE = 128, 250


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 20, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(20, 40, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(640, 256),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(256, 256),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(256, 10),
    ).to(memory_format=torch.channels_last)


def batches(images, labels):
    """Yields batches without end: each epoch is a new order of the images, without a last part."""
    while True:
        permutation = torch.randperm(len(labels), device=labels.device)
        for indices in permutation.split(BATCH_SIZE)[: len(labels) // BATCH_SIZE]:
            yield images[indices], labels[indices]


def capture(train_step, images, labels):
    """Returns `train_step` as a CUDA graph: one launch for all its kernels."""
    images, labels = images.clone(), labels.clone()
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):  # cuDNN and Adam set themselves up
            train_step(images, labels)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = train_step(images, labels)

    def replay(next_images, next_labels):
        images.copy_(next_images)
        labels.copy_(next_labels)
        graph.replay()
        return loss

    return replay


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--output_dir", required=True)
    parser.add_argument("--train_steps", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--choices", nargs="*", default=[], choices=CHOICES)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda":
        torch.set_float32_matmul_precision("high")  # TensorFloat-32, as TensorFlow has it
    train, test = (
        (
            torch.tensor(images, device=device)[:, None] / 255,
            torch.tensor(labels, dtype=torch.long, device=device),
        )
        for images, labels in read_mnist(args.data_dir)
    )
    eval_batch_size = 1000 if "large_evaluations" in args.choices else EVAL_BATCH_SIZE
    if device == "cuda":
        eval_batch_size = len(test[1])
    model = build_model().to(device)
    optimizer = torch.optim.Adam(
        model.parameters(), lr=0.002, fused=True, capturable=device == "cuda"
    )

    network = torch.compile(model) if "compile" in args.choices else model

    def forward(images):
        with torch.autocast(device, torch.bfloat16, enabled=args.bfloat16):
            return network(images).float()

    def train_step(images, labels):
        loss = functional.cross_entropy(forward(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    replicas = concurrent.futures.ThreadPoolExecutor(2)

    def train_step_of_replicas(images, labels):
        def get_gradients(images, labels):
            loss = functional.cross_entropy(forward(images), labels)
            return loss.detach(), torch.autograd.grad(loss, list(model.parameters()))

        halves = list(replicas.map(get_gradients, images.chunk(2), labels.chunk(2)))
        for parameter, *gradients in zip(model.parameters(), *(half[1] for half in halves)):
            parameter.grad = (gradients[0] + gradients[1]) / 2
        optimizer.step()
        return (halves[0][0] + halves[1][0]) / 2

    if "replicas" in args.choices:
        torch.set_num_threads(1)
        train_step = train_step_of_replicas

    @torch.inference_mode()
    def evaluate():
        model.eval()
        loss = torch.zeros((), device=device)
        correct = torch.zeros((), dtype=torch.long, device=device)
        for images, labels in zip(*(tensor.split(eval_batch_size) for tensor in test)):
            logits = forward(images)
            loss += functional.cross_entropy(logits, labels, reduction="sum")
            correct += (logits.argmax(1) == labels).sum()
        model.train()
        return loss.item() / len(test[1]), correct.item() / len(test[1])

    evaluation_seconds, evaluations = 0.0, 0
    start_time = time.perf_counter()
    if device == "cuda":
        train_step = capture(train_step, *next(batches(*train)))
    with SummaryWriter(args.output_dir) as writer:
        for step, (images, labels) in zip(range(1, args.train_steps + 1), batches(*train)):
            loss = train_step(images, labels)
            if step % EVAL_FREQUENCY == 0:
                state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                torch.save(state, os.path.join(args.output_dir, f"step-{step}.pt"))
                evaluation_start_time = time.perf_counter()
                test_loss, accuracy = evaluate()
                evaluation_seconds += time.perf_counter() - evaluation_start_time
                evaluations += 1
                writer.add_scalar("train/loss", loss.item(), step)
                writer.add_scalar("eval/loss", test_loss, step)
                writer.add_scalar("eval/accuracy", accuracy, step)
                print(f"step {step}: loss {loss.item():.4f}, test accuracy {accuracy:.4f}")
    seconds = time.perf_counter() - start_time
    print(
        json.dumps(
            {
                "steps_per_second": args.train_steps / (seconds - evaluation_seconds),
                "seconds_per_evaluation": evaluation_seconds / evaluations,
                "accuracy": accuracy,
            }
        )
    )


if __name__ == "__main__":
    main()
