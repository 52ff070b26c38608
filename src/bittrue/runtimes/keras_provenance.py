"""What can move a bit of a run in Python: versions, switches, threads, and the processor's instruction sets."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

import numpy as np

from bittrue.traces import Provenance

__all__ = ["keras_provenance", "tensorflow_provenance"]

_X86 = ("sse4_2", "avx", "fma", "f16c", "avx2", "avx_vnni", "avx512f", "avx512bw", "avx512vl", "avx512_vnni")
_X86_NARROW = ("avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16")
_ARM = ("neon", "asimd", "asimdhp", "asimddp", "sve", "sve2", "bf16", "i8mm")
_INSTRUCTION_SETS = _X86 + _X86_NARROW + _ARM
_SWITCHES = (
    *("TF_ENABLE_", "TF_DISABLE_", "TF_XLA_", "TF_NUM_", "TF_DETERMINISTIC_", "TF_CUDNN_", "TF_USE_", "TF_FORCE_"),
    *("TF_OVERRIDE_", "XLA_", "ONEDNN_", "DNNL_", "OMP_", "MKL_", "OPENBLAS_", "JAX_", "TORCH_ALLOW_", "NVIDIA_TF32_"),
)
"""How environment variables begin that change how tensors are computed. Others are nobody's business."""


def keras_provenance(target: str, model: Any) -> Provenance:
    """What ``model`` runs on in this process. ``adapter`` is the accelerator that Keras would use, None for the CPU."""
    import keras

    backend = keras.backend.backend()
    details: dict[str, Any] = {
        "python": platform.python_version(),
        "keras": keras.__version__,
        "numpy": np.__version__,
        "floatx": keras.config.floatx(),
        "jit_compile": bool(model.jit_compile),
        "run_eagerly": bool(model.run_eagerly),
        **_machine(),
        "switches": _switches(os.environ),
        **_FACTS[backend](),
    }
    return Provenance(target, "keras", backend, details.pop("version"), details.pop("adapter"), None, details)


def tensorflow_provenance(target: str) -> Provenance:
    """What a graph of TensorFlow's own runs on in this process: its CPU kernels."""
    details = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        **_machine(),
        "switches": _switches(os.environ),
        **_tensorflow(),
    }
    version = details.pop("version")
    return Provenance(target, "tensorflow", "cpu", version, None, None, {**details, "adapter": None})


def _tensorflow() -> dict[str, Any]:
    from bittrue.model.framework import import_tensorflow

    tf = import_tensorflow()

    config = tf.config
    accelerators = [device.name for device in config.list_physical_devices() if device.device_type != "CPU"]
    return {
        "version": tf.__version__,
        "adapter": ", ".join(accelerators) or None,
        "onednn": _onednn(),
        "threads": {
            "inter_op": config.threading.get_inter_op_parallelism_threads(),
            "intra_op": config.threading.get_intra_op_parallelism_threads(),
        },
        "deterministic_ops": _deterministic(),
        "tensor_float_32": config.experimental.tensor_float_32_execution_enabled(),
    }


def _onednn() -> bool | None:
    """Whether TensorFlow's kernels are oneDNN's; None where this TensorFlow does not say."""
    try:
        from tensorflow.python.util import _pywrap_util_port
    except ImportError:
        return None
    enabled = getattr(_pywrap_util_port, "IsMklEnabled", None)
    return None if enabled is None else bool(enabled())


def _deterministic() -> bool | None:
    try:
        from tensorflow.python.framework.config import is_op_determinism_enabled
    except ImportError:
        return None
    return bool(is_op_determinism_enabled())


def _jax() -> dict[str, Any]:
    jax: Any = import_module("jax")

    kind = jax.default_backend()
    return {
        "version": jax.__version__,
        "adapter": None if kind == "cpu" else jax.devices()[0].device_kind,
        "matmul_precision": str(jax.config.jax_default_matmul_precision),
        "x64": bool(jax.config.jax_enable_x64),
    }


def _torch() -> dict[str, Any]:
    torch: Any = import_module("torch")

    return {
        "version": torch.__version__,
        "adapter": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "onednn": bool(torch.backends.mkldnn.is_available()),
        "threads": {"inter_op": torch.get_num_interop_threads(), "intra_op": torch.get_num_threads()},
        "deterministic_ops": bool(torch.are_deterministic_algorithms_enabled()),
        "matmul_precision": torch.get_float32_matmul_precision(),
    }


_FACTS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def _switches(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in sorted(environment.items()) if name.startswith(_SWITCHES)}


def _machine() -> dict[str, Any]:
    name, flags = _processor()
    return {
        "os": platform.platform(),
        "machine": platform.machine(),
        "cpu": name,
        "cpu_features": [flag for flag in _INSTRUCTION_SETS if flag in flags],
        "cpu_count": os.cpu_count(),
        "cpu_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
    }


def _processor() -> tuple[str, set[str]]:
    """The processor's name and its feature flags, as far as the system tells them without privileges."""
    name, flags = platform.processor() or platform.machine(), set()
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            label, _, value = (part.strip() for part in line.partition(":"))
            if label == "model name":
                name = value
            elif label in ("flags", "Features"):
                flags = set(value.lower().split())
                break
    if sys.platform == "darwin":
        name = _sysctl("machdep.cpu.brand_string") or name
        words = _sysctl("machdep.cpu.features") + " " + _sysctl("machdep.cpu.leaf7_features")
        flags = {word.replace(".", "_").replace("avx1_0", "avx") for word in words.lower().split()}
    return name, flags


def _sysctl(name: str) -> str:
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(["/usr/sbin/sysctl", "-n", name], capture_output=True, text=True, timeout=5, check=False)
        return done.stdout.strip()
    return ""
