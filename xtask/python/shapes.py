"""The shapes that stock outputs are cut to: one axis each, several, and no cut at all."""


def shapes(config):
    """Pairs of a name and the options of `slicegpt compress`, for a dense model's config."""
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    narrow = (hidden * 3 // 4) // heads * heads
    inner = config["intermediate_size"] * 4 // 5
    yield "stream", ["--hidden-size", narrow]
    yield "MLP", ["--hidden-size", hidden, "--mlp-width", inner]
    yield "stream and MLP", ["--hidden-size", narrow, "--mlp-width", inner]
    yield "no refit", ["--hidden-size", narrow, "--refit", "none"]
    yield "full width", ["--hidden-size", hidden]
    groups = config.get("num_key_value_heads") or heads
    fewer = ["--kv-heads", groups // 2] if groups > 1 else []
    if fewer:
        yield "heads", fewer
    layers = config["num_hidden_layers"]
    if layers > 2:
        yield "layers", ["--keep-layers", layers - 1]
        few = ["--keep-layers", 2, *fewer, "--mlp-width", inner]
        yield "every axis", ["--hidden-size", narrow, *few]
