"""For each row of the table of nodes, TensorFlow graphs that use it: functions of tensors, and what they are fed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bittrue.traces import Array

RNG = np.random.default_rng(7)


def normal(*shape: int) -> Array:
    return RNG.normal(size=shape).astype(np.float32)


def positive(*shape: int) -> Array:
    return (RNG.random(shape) + 0.5).astype(np.float32)


def ints(high: int, *shape: int) -> Array:
    return RNG.integers(0, high, shape).astype(np.int32)


def flags(*shape: int) -> Array:
    return RNG.random(shape) < 0.5


@dataclass(frozen=True)
class NodeCase:
    """``build`` makes TensorFlow's outputs of the raw ops module and tensors; ``op`` is the row that it is about."""

    op: str
    build: Callable[..., Any]
    inputs: tuple[Array, ...]
    name: str = ""


IMAGE = normal(2, 6, 7, 4)
KERNEL = normal(3, 2, 4, 5)
BIAS = normal(5)
UNARY = {
    **dict.fromkeys(("Abs", "Ceil", "Cos", "Erf", "Exp", "Expm1", "Floor", "Neg", "Round", "Rint"), normal(2, 5)),
    **dict.fromkeys(("Sigmoid", "Sign", "Sin", "Square", "Tanh"), normal(2, 5)),
    **dict.fromkeys(("Log", "Log1p", "Rsqrt", "Sqrt", "Reciprocal", "Inv"), positive(2, 5)),
}
FEATURES = ("Elu", "Relu", "Relu6", "Selu", "Softplus", "Softsign")
BINARY = ("Add", "AddV2", "Maximum", "Minimum", "Mul", "RealDiv", "Div", "FloorDiv", "Sub", "SquaredDifference")
RELATIONS = ("Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "NotEqual")
REDUCTIONS = ("Max", "Mean", "Min", "Sum")
SLIDING: dict[str, Any] = {"strides": [1, 2, 1, 1], "padding": "SAME"}

CASES: list[NodeCase] = [
    *(NodeCase(op, lambda raw, x, op=op: getattr(raw, op)(x=x), (x,)) for op, x in UNARY.items()),
    *(NodeCase(op, lambda raw, x, op=op: getattr(raw, op)(features=x), (3 * normal(3, 5),)) for op in FEATURES),
    *(NodeCase(op, lambda raw, x, y, op=op: getattr(raw, op)(x=x, y=y), (normal(2, 3), positive(3))) for op in BINARY),
    *(NodeCase(op, lambda raw, x, y, op=op: getattr(raw, op)(x=x, y=y), (ints(3, 9), ints(3, 9))) for op in RELATIONS),
    *(
        NodeCase(op, lambda raw, x, op=op: getattr(raw, op)(input=x, axis=[0, -1], keep_dims=True), (normal(2, 3, 4),))
        for op in REDUCTIONS
    ),
    *(NodeCase(op, lambda raw, x, op=op: getattr(raw, op)(input=x, axis=[1]), (flags(3, 2),)) for op in ("All", "Any")),
    *(
        NodeCase(op, lambda raw, x, op=op: getattr(raw, op)(input=x, dimension=1, output_type="int32"), (normal(3, 5),))
        for op in ("ArgMax", "ArgMin")
    ),
    NodeCase("Pow", lambda raw, x, y: raw.Pow(x=x, y=y), (positive(2, 3), normal(3))),
    NodeCase("DivNoNan", lambda raw, x, y: raw.DivNoNan(x=x, y=y), (normal(4), np.float32([0, 2, 0, -3]))),
    NodeCase("AddN", lambda raw, x, y: raw.AddN(inputs=[x, y, x]), (normal(4), normal(4))),
    NodeCase("Identity", lambda raw, x: raw.Neg(x=raw.Identity(input=x)), (normal(3),)),
    NodeCase("IdentityN", lambda raw, x, y: raw.IdentityN(input=[-x, y + 1.0])[1], (normal(3), normal(2))),
    NodeCase("StopGradient", lambda raw, x: raw.StopGradient(input=raw.Neg(x=x)), (normal(3),)),
    NodeCase("PreventGradient", lambda raw, x: raw.PreventGradient(input=raw.Neg(x=x)), (normal(3),)),
    NodeCase("Snapshot", lambda raw, x: raw.Snapshot(input=raw.Neg(x=x)), (normal(3),)),
    NodeCase("LeakyRelu", lambda raw, x: raw.LeakyRelu(features=x, alpha=0.3), (normal(3, 3),)),
    NodeCase("ClipByValue", lambda raw, x: raw.ClipByValue(t=x, clip_value_min=-0.5, clip_value_max=0.5), (normal(9),)),
    NodeCase("LogicalAnd", lambda raw, x, y: raw.LogicalAnd(x=x, y=y), (flags(9), flags(9))),
    NodeCase("LogicalOr", lambda raw, x, y: raw.LogicalOr(x=x, y=y), (flags(9), flags(9))),
    NodeCase("LogicalNot", lambda raw, x: raw.LogicalNot(x=x), (flags(9),)),
    NodeCase("Select", lambda raw, c, x, y: raw.Select(condition=c, x=x, y=y), (flags(4), normal(4, 2), normal(4, 2))),
    NodeCase(
        "SelectV2", lambda raw, c, x, y: raw.SelectV2(condition=c, t=x, e=y), (flags(4, 1), normal(2), normal(4, 2))
    ),
    NodeCase("Cast", lambda raw, x: raw.Cast(x=x, DstT="int32"), (3 * normal(8),)),
    NodeCase("Cast", lambda raw, x: raw.Cast(x=x, DstT="float32"), (flags(8),), "of truth values"),
    NodeCase("BiasAdd", lambda raw, x, b: raw.BiasAdd(value=x, bias=b), (normal(2, 3, 5), BIAS)),
    NodeCase(
        "BiasAdd", lambda raw, x, b: raw.BiasAdd(value=x, bias=b, data_format="NCHW"), (normal(2, 5, 3), BIAS), "NCHW"
    ),
    NodeCase("Cumsum", lambda raw, x: raw.Cumsum(x=x, axis=-1), (normal(3, 4),)),
    NodeCase("Cumsum", lambda raw, x: raw.Cumsum(x=x, axis=1, reverse=True), (normal(2, 3, 4),), "from the end"),
    NodeCase("Bucketize", lambda raw, x: raw.Bucketize(input=x, boundaries=[-0.5, 0.25, 0.5]), (normal(3, 4),)),
    NodeCase("Bucketize", lambda raw, x: raw.Bucketize(input=x, boundaries=[1.0, 3.0]), (ints(5, 9),), "whole numbers"),
    NodeCase("Softmax", lambda raw, x: raw.Softmax(logits=x), (normal(3, 4),)),
    NodeCase("LogSoftmax", lambda raw, x: raw.LogSoftmax(logits=x), (normal(3, 4),)),
    NodeCase("MatMul", lambda raw, a, b: raw.MatMul(a=a, b=b, transpose_b=True), (normal(3, 4), normal(5, 4))),
    NodeCase(
        "MatMul", lambda raw, a, b: raw.MatMul(a=a, b=b, transpose_a=True), (normal(4, 3), normal(4, 5)), "turned"
    ),
    NodeCase(
        "BatchMatMul", lambda raw, a, b: raw.BatchMatMul(x=a, y=b, adj_x=True), (normal(2, 4, 3), normal(2, 4, 5))
    ),
    NodeCase(
        "BatchMatMulV2", lambda raw, a, b: raw.BatchMatMulV2(x=a, y=b, adj_y=True), (normal(2, 3, 4), normal(5, 4))
    ),
    NodeCase(
        "BatchMatMulV3", lambda raw, a, b: raw.BatchMatMulV3(x=a, y=b, Tout="float32"), (normal(2, 3, 4), normal(4, 5))
    ),
    NodeCase(
        "Einsum", lambda raw, a, b: raw.Einsum(inputs=[a, b], equation="bij,jk->bki"), (normal(2, 3, 4), normal(4, 5))
    ),
    NodeCase(
        "FusedBatchNormV3",
        lambda raw, x, s, o, m, v: raw.FusedBatchNormV3(
            x=x, scale=s, offset=o, mean=m, variance=v, epsilon=0.01, is_training=False
        )[0],
        (IMAGE, normal(4), normal(4), normal(4), positive(4)),
    ),
    NodeCase(
        "FusedBatchNorm",
        lambda raw, x, s, o, m, v: raw.FusedBatchNorm(x=x, scale=s, offset=o, mean=m, variance=v, is_training=False)[0],
        (IMAGE, normal(4), normal(4), normal(4), positive(4)),
    ),
    NodeCase(
        "FusedBatchNormV2",
        lambda raw, x, s, o, m, v: raw.FusedBatchNormV2(x=x, scale=s, offset=o, mean=m, variance=v, is_training=False)[
            0
        ],
        (IMAGE, normal(4), normal(4), normal(4), positive(4)),
    ),
    NodeCase("Reshape", lambda raw, x: raw.Reshape(tensor=x, shape=[3, -1]), (normal(2, 3, 4),)),
    NodeCase(
        "Reshape",
        lambda raw, x: raw.Reshape(tensor=x, shape=raw.Pack(values=[raw.Shape(input=x)[0], 12])),
        (normal(2, 3, 4),),
        "of a shape in the making",
    ),
    NodeCase("Fill", lambda raw, x: x + raw.Fill(dims=[2, 3], value=0.5), (normal(2, 3),)),
    NodeCase(
        "Fill",
        lambda raw, x: raw.Fill(dims=raw.Pack(values=[5, raw.Shape(input=x)[0], 1]), value=0.5),
        (normal(2, 3, 4),),
        "as long as another tensor",
    ),
    NodeCase(
        "MatrixBandPart", lambda raw, x: raw.MatrixBandPart(input=x, num_lower=1, num_upper=0), (normal(2, 4, 3),)
    ),
    NodeCase(
        "MatrixBandPart",
        lambda raw, x: raw.Cast(x=raw.MatrixBandPart(input=x, num_lower=-1, num_upper=0), DstT="float32"),
        (flags(2, 4, 4),),
        "of truth values, the lower triangle",
    ),
    NodeCase("Squeeze", lambda raw, x: raw.Squeeze(input=x, axis=[1]), (normal(2, 1, 3, 1),)),
    NodeCase("ExpandDims", lambda raw, x: raw.ExpandDims(input=x, axis=-2), (normal(2, 3),)),
    NodeCase("Transpose", lambda raw, x: raw.Transpose(x=x, perm=[2, 0, 1]), (normal(2, 3, 4),)),
    NodeCase("BroadcastTo", lambda raw, x: raw.BroadcastTo(input=x, shape=[2, 3, 4]), (normal(3, 1),)),
    NodeCase("ZerosLike", lambda raw, x: raw.ZerosLike(x=x), (normal(3, 2),)),
    NodeCase("OnesLike", lambda raw, x: raw.OnesLike(x=x), (normal(3, 2),)),
    NodeCase("DepthToSpace", lambda raw, x: raw.DepthToSpace(input=x, block_size=2), (normal(2, 3, 2, 8),)),
    NodeCase("SpaceToDepth", lambda raw, x: raw.SpaceToDepth(input=x, block_size=2), (normal(2, 4, 6, 3),)),
    NodeCase("ConcatV2", lambda raw, x, y: raw.ConcatV2(values=[x, y, x], axis=1), (normal(2, 3), normal(2, 1))),
    NodeCase("Pack", lambda raw, x, y: raw.Pack(values=[x, y], axis=-1), (normal(2, 3), normal(2, 3))),
    NodeCase("Unpack", lambda raw, x: raw.Unpack(value=x, num=3, axis=1)[2], (normal(2, 3, 4),)),
    NodeCase("Split", lambda raw, x: raw.Split(axis=1, value=x, num_split=3)[1], (normal(2, 6),)),
    NodeCase(
        "SplitV", lambda raw, x: raw.SplitV(value=x, size_splits=[1, -1, 2], axis=1, num_split=3)[1], (normal(2, 6),)
    ),
    NodeCase("Slice", lambda raw, x: raw.Slice(input=x, begin=[0, 1, 2], size=[-1, 2, 1]), (normal(2, 4, 5),)),
    NodeCase("StridedSlice", lambda raw, x: x[:, 1:-1:2, None, ..., -2], (normal(2, 7, 3, 4),)),
    NodeCase("StridedSlice", lambda raw, x: x[:, ::-1], (normal(2, 7),), "backwards"),
    NodeCase("Pad", lambda raw, x: raw.Pad(input=x, paddings=[[0, 0], [1, 2]]), (normal(2, 3),)),
    NodeCase(
        "PadV2", lambda raw, x: raw.PadV2(input=x, paddings=[[0, 0], [2, 1]], constant_values=-3.5), (normal(2, 3),)
    ),
    NodeCase(
        "MirrorPad", lambda raw, x: raw.MirrorPad(input=x, paddings=[[0, 0], [2, 3]], mode="REFLECT"), (normal(2, 5),)
    ),
    NodeCase(
        "MirrorPad",
        lambda raw, x: raw.MirrorPad(input=x, paddings=[[0, 0], [2, 0]], mode="SYMMETRIC"),
        (normal(2, 5),),
        "symmetric",
    ),
    NodeCase("Tile", lambda raw, x: raw.Tile(input=x, multiples=[1, 3]), (normal(2, 3),)),
    NodeCase("ReverseV2", lambda raw, x: raw.ReverseV2(tensor=x, axis=[1]), (normal(2, 5),)),
    NodeCase("GatherV2", lambda raw, x, i: raw.GatherV2(params=x, indices=i, axis=1), (normal(2, 5, 3), ints(5, 4))),
    NodeCase("OneHot", lambda raw, x: raw.OneHot(indices=x, depth=4, on_value=2.0, off_value=-1.0), (ints(4, 3, 2),)),
    NodeCase("Conv2D", lambda raw, x, k: raw.Conv2D(input=x, filter=k, **SLIDING), (IMAGE, KERNEL)),
    NodeCase(
        "Conv2D",
        lambda raw, x, k: raw.Conv2D(input=x, filter=k, strides=[1, 1, 1, 1], padding="VALID", dilations=[1, 2, 1, 1]),
        (IMAGE, KERNEL),
        "dilated",
    ),
    NodeCase(
        "Conv2D",
        lambda raw, x, k: raw.Conv2D(
            input=x, filter=k, strides=[1, 1, 2, 1], padding="EXPLICIT", explicit_paddings=[0, 0, 1, 2, 0, 3, 0, 0]
        ),
        (IMAGE, KERNEL),
        "padded explicitly",
    ),
    NodeCase(
        "Conv3D",
        lambda raw, x, k: raw.Conv3D(input=x, filter=k, strides=[1, 1, 2, 1, 1], padding="SAME"),
        (normal(1, 4, 5, 3, 2), normal(2, 3, 2, 2, 3)),
    ),
    NodeCase(
        "DepthwiseConv2dNative",
        lambda raw, x, k: raw.DepthwiseConv2dNative(input=x, filter=k, strides=[1, 2, 2, 1], padding="SAME"),
        (IMAGE, normal(3, 3, 4, 2)),
    ),
    NodeCase(
        "Conv2DBackpropInput",
        lambda raw, x, k: raw.Conv2DBackpropInput(
            input_sizes=[2, 11, 8, 3], filter=k, out_backprop=x, strides=[1, 2, 2, 1], padding="SAME"
        ),
        (normal(2, 6, 4, 5), normal(3, 2, 3, 5)),
    ),
    NodeCase(
        "Conv2DBackpropInput",
        lambda raw, x, k: raw.Conv2DBackpropInput(
            input_sizes=[2, 13, 8, 3], filter=k, out_backprop=x, strides=[1, 2, 2, 1], padding="VALID"
        ),
        (normal(2, 6, 4, 5), normal(3, 2, 3, 5)),
        "valid",
    ),
    *(
        NodeCase(
            op,
            lambda raw, x, op=op: getattr(raw, op)(
                **{"input" if op == "MaxPool" else "value": x}, ksize=[1, 3, 2, 1], strides=[1, 2, 1, 1], padding="SAME"
            ),
            (IMAGE,),
        )
        for op in ("MaxPool", "AvgPool")
    ),
    *(
        NodeCase(
            op,
            lambda raw, x, op=op: getattr(raw, op)(
                input=x, ksize=[1, 2, 2, 2, 1], strides=[1, 1, 2, 1, 1], padding="VALID"
            ),
            (normal(1, 4, 5, 3, 2),),
        )
        for op in ("MaxPool3D", "AvgPool3D")
    ),
    NodeCase(
        "ResizeBilinear", lambda raw, x: raw.ResizeBilinear(images=x, size=[9, 5], half_pixel_centers=True), (IMAGE,)
    ),
    NodeCase(
        "ResizeNearestNeighbor",
        lambda raw, x: raw.ResizeNearestNeighbor(images=x, size=[9, 5], half_pixel_centers=True),
        (IMAGE,),
    ),
]
