"""The grammar of targets: engine[/runtime]:backend[@version][+FLAG=VALUE…]."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bittrue.errors import TargetError
from bittrue.runtimes.target import BACKENDS, Target, parse_targets

PAIRS = [(engine, backend) for engine, backends in BACKENDS.items() for backend in backends]
RUNTIME = {"keras": "keras", "tensorflow": "tensorflow"}


@pytest.mark.parametrize(
    ("spec", "target"),
    [
        ("chrome:webgl", Target("chrome", "webgl")),
        ("firefox:wasm", Target("firefox", "wasm")),
        ("node:cpu@4.22.0", Target("node", "cpu", version="4.22.0")),
        ("chrome/tfjs:webgpu", Target("chrome", "webgpu", runtime="tfjs")),
        (
            "chrome:webgl+WEBGL_FORCE_F16_TEXTURES=true",
            Target("chrome", "webgl", flags=(("WEBGL_FORCE_F16_TEXTURES", "true"),)),
        ),
        (
            "keras:tensorflow+TF_ENABLE_ONEDNN_OPTS=0+OMP_NUM_THREADS=1",
            Target("keras", "tensorflow", flags=(("TF_ENABLE_ONEDNN_OPTS", "0"), ("OMP_NUM_THREADS", "1"))),
        ),
    ],
)
def test_parses_the_documented_forms(spec: str, target: Target) -> None:
    assert Target.parse(spec) == target


@given(
    st.sampled_from(PAIRS),
    st.booleans(),
    st.none() | st.sampled_from(["1.7.2", "4.22.0", "5.0.0-rc.1"]),
    st.dictionaries(
        st.from_regex(r"[A-Z_]{1,9}", fullmatch=True), st.from_regex(r"[A-Za-z0-9_./]{1,9}", fullmatch=True)
    ),
)
def test_parse_is_the_inverse_of_str(
    pair: tuple[str, str], named: bool, version: str | None, flags: dict[str, str]
) -> None:
    exact = pair[1] == "exact"
    runtime = ("exact" if exact else RUNTIME.get(pair[0], "tfjs")) if named else None
    target = Target(pair[0], pair[1], runtime, None if exact else version, () if exact else tuple(flags.items()))
    assert Target.parse(str(target)) == target


@pytest.mark.parametrize("engine", ["python", "chrome", "firefox", "edge", "node"])
@pytest.mark.parametrize("rest", ["@4.22.0", "+WASM_HAS_SIMD_SUPPORT=false"])
def test_exact_has_one_version_and_no_flags(engine: str, rest: str) -> None:
    assert Target.parse(f"{engine}/exact:exact").is_exact
    with pytest.raises(TargetError, match="exact has one version and no flags"):
        Target.parse(f"{engine}:exact{rest}")


def test_f16_is_short_for_half_float_textures() -> None:
    target = Target.parse("chrome:webgl+f16")
    assert target.is_half
    assert str(target) == "chrome:webgl+WEBGL_FORCE_F16_TEXTURES=true"
    assert Target.parse("device:webgl@4.22.0+f16+DEBUG=true").flags[0] == ("WEBGL_FORCE_F16_TEXTURES", "true")
    assert not Target.parse("chrome:webgl").is_half


@pytest.mark.parametrize("spec", ["chrome:wasm+f16", "node:cpu+f16", "chrome:webgl+f16+f16"])
def test_f16_is_webgls_and_given_once(spec: str) -> None:
    with pytest.raises(TargetError, match=r"half-float textures|twice"):
        Target.parse(spec)


def test_a_device_is_its_graphics_processor_and_its_cpu() -> None:
    whole = [Target("device", "webgl"), Target("device", "wasm")]
    assert parse_targets(["node:cpu,device"]) == [Target("node", "cpu"), *whole]
    assert parse_targets(["device:webgl", "device"]) == whole
    with pytest.raises(TargetError, match="did you mean device:"):
        Target.parse("device")


@pytest.mark.parametrize(
    ("spec", "nearest"),
    [
        ("chrome:webgll", "chrome:webgl"),
        ("crome:wasm", "chrome:wasm"),
        ("nodejs:cpu", "node:cpu"),
        ("keras:tensorfow", "keras:tensorflow"),
        ("chrome-webgl", "chrome:webgl"),
        ("node:webgl", "node:wasm"),
    ],
)
def test_a_wrong_target_names_a_near_right_one(spec: str, nearest: str) -> None:
    with pytest.raises(TargetError) as caught:
        Target.parse(spec)
    assert spec in str(caught.value)
    assert caught.value.nearest == nearest


@pytest.mark.parametrize(
    "spec",
    ["", ":", "chrome", "chrome:", "chrome:webgl@", "chrome:webgl+", "chrome:webgl+A", "a b:c", "chrome:webgl+A=1+A=2"],
)
def test_what_is_no_target_is_refused(spec: str) -> None:
    with pytest.raises(TargetError):
        Target.parse(spec)


def test_chromium_is_chrome_and_a_foreign_runtime_is_refused() -> None:
    assert Target.parse("chromium:cpu") == Target("chrome", "cpu")
    with pytest.raises(TargetError, match="chrome runs tfjs"):
        Target.parse("chrome/onnx:wasm")


def test_lists_take_commas_drop_repetitions_and_spread_the_version() -> None:
    found = parse_targets(["chrome:cpu,node:cpu", "chrome:cpu", "node:wasm@4.0.0", "keras:tensorflow"], "1.7.2")
    assert [str(target) for target in found] == [
        "chrome:cpu@1.7.2",
        "node:cpu@1.7.2",
        "node:wasm@4.0.0",
        "keras:tensorflow",
    ]
