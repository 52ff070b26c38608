"""The weights of layers that stand by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .keras_facts import NeedsKeras
from .slots import Shape, Site, Slot, has_slots, inside, own

__all__: list[str] = []


def _biased(site: Site, kernels: list[tuple[str, Sequence[int]]], bias: Sequence[int]) -> list[Slot]:
    return own(*kernels, ("bias", bias)) if site.flag("use_bias") else own(*kernels)


@has_slots("Dense")
def _dense(site: Site) -> list[Slot]:
    units = site.whole("units")
    return _biased(site, [("kernel", (site.size(-1), units))], (units,))


@has_slots("EinsumDense")
def _einsum_dense(site: Site) -> list[Slot]:
    """The letters of the kernel have the sizes of the input's, or else of the output's."""
    terms = str(site.config.get("equation", "")).replace(" ", "").replace("->", ",").split(",")
    if len(terms) != 3:
        raise NeedsKeras("an equation of other than two operands")
    given = site.config.get("output_shape")
    shape = given if isinstance(given, list) else [given]
    leading = terms[0].startswith("...")
    sizes = {**_letters(terms[2], shape, leading), **_letters(terms[0], list(site.x), leading)}
    kernel = own(("kernel", [_sized(sizes, letter) for letter in terms[1]]))
    axes = site.config.get("bias_axes")
    if axes is None:
        return kernel
    spelt = terms[2].replace("...", "")
    if not axes or not set(axes) <= set(spelt):
        raise NeedsKeras("a bias along axes that are none of the output's")
    last = spelt[min(map(spelt.index, axes)) :]
    return own(("kernel", kernel[0].shape), ("bias", [_sized(sizes, one) if one in axes else 1 for one in last]))


def _letters(term: str, shape: Sequence[int | None], leading: bool) -> dict[str, int | None]:
    """Sizes by letter; those of ``shape`` may lack the first ones. An ellipsis stands in front or at the end."""
    letters = term.replace("...", "")
    if "..." in term and not leading:
        return dict(zip(letters, shape, strict=False)) if term.endswith("...") else {}
    return dict(zip(reversed(letters), reversed(shape), strict=False))


def _sized(sizes: dict[str, int | None], letter: str) -> int:
    found = sizes.get(letter)
    if found is None:
        raise NeedsKeras("a size of a kernel that is not known")
    return found


@has_slots("Embedding")
def _embedding(site: Site) -> list[Slot]:
    return own(("embeddings", (site.whole("input_dim"), site.whole("output_dim"))))


@has_slots("BatchNormalization")
def _batch_normalization(site: Site) -> list[Slot]:
    if site.flag("renorm"):
        raise NeedsKeras("a renormalisation")
    size = (site.size(_axis(site)),)
    trained = [name for name, key in (("gamma", "scale"), ("beta", "center")) if site.flag(key)]
    slots = own(*((name, size) for name in (*trained, "moving_mean", "moving_variance")))
    return [replace(slot, trainable=slot.name in trained) for slot in slots]


def _axis(site: Site) -> int:
    axis = site.config.get("axis")
    if type(axis) is not int:
        raise NeedsKeras("an axis that is no whole number")
    return axis


@has_slots("LayerNormalization")
def _layer_normalization(site: Site) -> list[Slot]:
    shape, rms = _along(site), site.flag("rms_scaling")
    gamma = [("gamma", shape)] if site.flag("scale") or rms else []
    return own(*gamma, *([("beta", shape)] if site.flag("center") and not rms else []))


def _along(site: Site) -> list[int]:
    axes = site.config.get("axis")
    if not isinstance(axes, list) or not all(type(axis) is int for axis in axes):
        raise NeedsKeras("axes that are no list of whole numbers")
    return [site.size(axis) for axis in axes]


@has_slots("RMSNormalization")
def _rms_normalization(site: Site) -> list[Slot]:
    return own(("scale", _along(site)))


@has_slots("GroupNormalization")
def _group_normalization(site: Site) -> list[Slot]:
    size = (site.size(_axis(site)),)
    return own(*((name, size) for name, key in (("gamma", "scale"), ("beta", "center")) if site.flag(key)))


@has_slots("Normalization")
def _normalization(site: Site) -> list[Slot]:
    if site.config.get("mean") is not None:
        return []
    axis = site.config.get("axis")
    axes = [] if axis is None else axis if isinstance(axis, list) else [axis]
    rank = len(site.x)
    shape = tuple(site.size(one) for one in sorted(one % rank for one in axes))
    slots = own(("mean", shape), ("variance", shape), ("count", ()))
    return [replace(slot, trainable=False, dtype="int" if slot.name == "count" else slot.dtype) for slot in slots]


@has_slots("PReLU")
def _prelu(site: Site) -> list[Slot]:
    shared = site.config.get("shared_axes") or []
    return own(("alpha", [1 if axis in shared else site.size(axis) for axis in range(1, len(site.x))]))


@has_slots("LayerScale")
def _layer_scale(site: Site) -> list[Slot]:
    return own(("variable", (site.whole("projection_dim"),)))


@has_slots("Conv1D", "Conv2D", "Conv3D")
def _conv(site: Site) -> list[Slot]:
    groups, filters = site.whole("groups"), site.whole("filters")
    if not groups or site.channels() % groups:
        raise NeedsKeras("groups that do not divide the channels")
    kernel = (*site.wholes("kernel_size"), site.channels() // groups, filters)
    return _biased(site, [("kernel", kernel)], (filters,))


@has_slots("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
def _conv_transpose(site: Site) -> list[Slot]:
    filters = site.whole("filters")
    return _biased(site, [("kernel", (*site.wholes("kernel_size"), filters, site.channels()))], (filters,))


@has_slots("DepthwiseConv1D", "DepthwiseConv2D")
def _depthwise(site: Site) -> list[Slot]:
    channels, times = site.channels(), site.whole("depth_multiplier")
    return _biased(site, [("kernel", (*site.wholes("kernel_size"), channels, times))], (channels * times,))


@has_slots("SeparableConv1D", "SeparableConv2D")
def _separable(site: Site) -> list[Slot]:
    channels, times, filters = site.channels(), site.whole("depth_multiplier"), site.whole("filters")
    size = site.wholes("kernel_size")
    pointwise = (*(1 for _ in size), channels * times, filters)
    kernels = [("depthwise_kernel", (*size, channels, times)), ("pointwise_kernel", pointwise)]
    return _biased(site, [(name, shape) for name, shape in kernels], (filters,))


@has_slots("STFTSpectrogram")
def _spectrogram(site: Site) -> list[Slot]:
    shape = (site.whole("frame_length"), 1, site.whole("fft_length") // 2 + 1)
    parts = [
        name
        for name, without in (("real_kernel", "imag"), ("imag_kernel", "real"))
        if site.config.get("mode") != without
    ]
    return own(*((name, shape) for name in parts))


@has_slots("Attention")
def _attention(site: Site) -> list[Slot]:
    scale = [("scale", ())] if site.flag("use_scale") else []
    weight = [("concat_score_weight", ())] if site.config.get("score_mode") == "concat" else []
    return own(*scale, *weight)


@has_slots("AdditiveAttention")
def _additive_attention(site: Site) -> list[Slot]:
    return own(("scale", (site.size(-1),))) if site.flag("use_scale") else []


def _projection(site: Site, path: str, kernel: Sequence[int], bias: Sequence[int]) -> list[Slot]:
    return inside(path, _biased(site, [("kernel", kernel)], bias))


def _attended(site: Site) -> tuple[int, int, int]:
    """The last sizes of query, key and value."""
    value = site.argument(1, "value")
    shapes: tuple[Shape, ...] = (site.argument(0, "query"), site.argument(2, "key", value), value)
    query, key, last = (site.size(-1, shape) for shape in shapes)
    return query, key, last


@has_slots("MultiHeadAttention")
def _multi_head_attention(site: Site) -> list[Slot]:
    """Keras reaches all but the gate by properties that come before its private attributes."""
    heads, size, depth = (site.whole(key) for key in ("num_heads", "key_dim", "value_dim"))
    query, key, value = _attended(site)
    given = site.config.get("output_shape")
    out = [query] if not given else list(site.wholes("output_shape")) if isinstance(given, list) else [int(given)]
    gate = _projection(site, "_gate_dense", (query, heads, depth), (heads, depth)) if site.flag("use_gate") else []
    return [
        *_projection(site, "query_dense", (query, heads, size), (heads, size)),
        *_projection(site, "key_dense", (key, heads, size), (heads, size)),
        *gate,
        *_projection(site, "value_dense", (value, heads, depth), (heads, depth)),
        *_projection(site, "output_dense", (heads, depth, *out), out),
    ]


@has_slots("GroupedQueryAttention")
def _grouped_query_attention(site: Site) -> list[Slot]:
    heads, shared, size = (site.whole(key) for key in ("num_query_heads", "num_key_value_heads", "head_dim"))
    query, key, value = _attended(site)
    gate = _projection(site, "_gate_dense", (query, heads, size), (heads, size)) if site.flag("use_gate") else []
    return [
        *_projection(site, "_query_dense", (query, heads, size), (heads, size)),
        *_projection(site, "_key_dense", (key, shared, size), (shared, size)),
        *gate,
        *_projection(site, "_value_dense", (value, shared, size), (shared, size)),
        *_projection(site, "_output_dense", (heads, size, query), (query,)),
    ]
