"""The primitive ops: attributes, shapes and dtypes, meaning in float64, and what rounding may do. Nothing else."""

from .base import Allowance, Axioms, Op, Shape, TensorSpec
from .binary import Binary
from .cast import Cast
from .compare import Compare
from .concat import Concat
from .conv import Conv
from .conv_transpose import ConvTranspose
from .einsum import Einsum
from .gather import Gather
from .matmul import MatMul
from .normalize import Normalize
from .pad import Pad
from .pool import Pool
from .reduce import Reduce
from .repeat import Repeat
from .reshape import Reshape
from .select import Select
from .slice import Slice
from .softmax import Softmax
from .transpose import Transpose
from .unary import Unary

__all__ = [
    "Allowance",
    "Axioms",
    "Binary",
    "Cast",
    "Compare",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Einsum",
    "Gather",
    "MatMul",
    "Normalize",
    "Op",
    "Pad",
    "Pool",
    "Reduce",
    "Repeat",
    "Reshape",
    "Select",
    "Shape",
    "Slice",
    "Softmax",
    "TensorSpec",
    "Transpose",
    "Unary",
]
