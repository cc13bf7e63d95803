"""A row of the table in numbers: its lengths, the operations and bytes that a model must spend on it, its limits."""

BYTES = {"fp32": 4, "bf16": 2, "int8": 1}  # of a weight
# What an answer may be away from PyTorch's in f32: 1 - cosine of each text's vector, the worst text. f32 differs by the
# order of sums; bf16 keeps 8 bits; int8 differs by its scheme, and its limit only tells wrong answers from coarse ones.
LIMITS = {"fp32": 1e-5, "bf16": 5e-3, "int8": 1e-1}
LONG_RUN_SECONDS = 5.0  # a run longer than this is timed once


def row_lengths(tokens, batch):
    """"128" or "8-256": lengths spread evenly over the batch."""
    low, _, high = tokens.partition("-")
    low, high = int(low), int(high or low)
    return [high - (high - low) * (batch - 1 - i) // max(1, batch - 1) for i in range(batch)]


def linear_weights(shape):
    h, i = shape["hidden"], shape["intermediate"]
    return shape["layers"] * (4 * h * h + 2 * h * i)


def gflop(shape, lengths):
    """Of a pass over texts of these lengths. A multiply-add is two; norms, heads and embeddings do not count."""
    attention = 4 * shape["layers"] * shape["hidden"] * sum(length * length for length in lengths)
    return (2 * linear_weights(shape) * sum(lengths) + attention) / 1e9


def weight_bytes(shape, precision):
    return BYTES[precision] * linear_weights(shape)
