"""The primitive ops: attributes, shapes and dtypes, meaning in float64, and what rounding may do. Nothing else."""

from .argmax import ArgMax
from .axioms import Allowance, Axioms
from .base import Op, Shape, TensorSpec
from .binary import Binary
from .broadcast import Broadcast
from .cast import Cast
from .compare import Compare
from .concat import Concat
from .conv import Conv
from .conv_transpose import ConvTranspose
from .einsum import Einsum
from .gather import Gather
from .logical import Logical
from .matmul import MatMul
from .normalize import Normalize
from .pad import Pad
from .pool import Pool
from .position import Position
from .reduce import Reduce
from .repeat import Repeat
from .reshape import Reshape
from .resize import Resize
from .scan import Scan, ScanStep
from .select import Select
from .slice import Slice
from .softmax import Softmax
from .transpose import Transpose
from .unary import Unary

__all__ = [
    "Allowance",
    "ArgMax",
    "Axioms",
    "Binary",
    "Broadcast",
    "Cast",
    "Compare",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Einsum",
    "Gather",
    "Logical",
    "MatMul",
    "Normalize",
    "Op",
    "Pad",
    "Pool",
    "Position",
    "Reduce",
    "Repeat",
    "Reshape",
    "Resize",
    "Scan",
    "ScanStep",
    "Select",
    "Shape",
    "Slice",
    "Softmax",
    "TensorSpec",
    "Transpose",
    "Unary",
]
