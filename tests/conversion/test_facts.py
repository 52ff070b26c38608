"""What is known of TensorFlow.js's and of Keras's layers is theirs, and the table of rules claims nothing else."""

from __future__ import annotations

import json
import subprocess
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from bittrue.conversion.tfjs.facts import facts, is_default, keras_defaults, tfjs_spelling
from bittrue.conversion.tfjs.layer_config import COMMON
from bittrue.conversion.tfjs.rules import ACTIVATIONS, INERT, INERT_ENDINGS, RULES, Rule
from bittrue.runtimes.discovery import find_node
from bittrue.runtimes.tfjs import BUNDLED

DATA = files("bittrue.conversion.tfjs")
TABLE = [(name, rule) for name, rules in RULES.items() for rule in rules]
IDS = [f"{name}-{rule.tfjs}" for name, rule in TABLE]
UNDECLARED = {"groups", "rms_scaling"}  # Keras takes them without naming them in the signature


@pytest.mark.browser
@pytest.mark.needs("node")
def test_the_keys_are_what_the_bundled_classes_read(repository: Path) -> None:
    node = find_node()
    assert node is not None
    script = repository / "scripts" / "tfjs_keys.mjs"
    done = subprocess.run([str(node.path), str(script)], capture_output=True, timeout=120, check=True)
    kept = (DATA / f"keys-{BUNDLED}.json").read_text(encoding="utf-8")
    assert done.stdout.decode() == kept, "run node scripts/tfjs_keys.mjs again"


@pytest.mark.slow
@pytest.mark.needs("tensorflow")
def test_the_defaults_are_those_of_keras() -> None:
    import keras_defaults as script

    text = (DATA / "keras-defaults.json").read_text(encoding="utf-8")
    if json.loads(text)["keras"] != pytest.importorskip("keras").__version__:
        pytest.skip("another Keras than the pinned one")
    assert script.text() == text, "run python scripts/keras_defaults.py again"


def test_the_facts_are_of_the_bundled_release() -> None:
    assert facts().tfjs == BUNDLED


READ = [
    ("Dense", "units", True),
    ("Dense", "kernel_initializer", True),
    ("ReLU", "max_value", True),
    ("ReLU", "negative_slope", False),
    ("ReLU", "threshold", False),
    ("LeakyReLU", "alpha", True),
    ("LeakyReLU", "negative_slope", False),
    ("Conv2D", "groups", False),
    ("LayerNormalization", "rms_scaling", False),
    ("ConvLSTM2D", "units", False),
    ("LSTM", "recurrent_activation", True),
    ("Bidirectional", "merge_mode", True),
]


@pytest.mark.parametrize(("class_name", "key", "read"), READ)
def test_what_is_known_to_be_read_and_ignored_was_found(class_name: str, key: str, read: bool) -> None:
    assert (key in facts().layers[class_name].reads) is read


REJECTED = [
    ("GRU", "reset_after", True, True),
    ("GRU", "reset_after", False, False),
    ("ELU", "alpha", 0.3, True),
    ("ELU", "alpha", 1.0, False),
    ("Conv2DTranspose", "padding", "causal", True),
    ("UpSampling2D", "interpolation", "bicubic", True),
    ("UpSampling2D", "interpolation", "bilinear", False),
    ("Dense", "units", 7, False),
]


@pytest.mark.parametrize(("class_name", "key", "value", "rejected"), REJECTED)
def test_values_that_a_constructor_rejects_are_known(class_name: str, key: str, value: Any, rejected: bool) -> None:
    known = facts()
    assert known.layers[class_name].rejects(key, value, known.samples) is rejected


def test_every_class_and_activation_of_the_table_is_registered() -> None:
    assert {rule.tfjs for _, rule in TABLE} <= set(facts().layers)
    assert set(ACTIVATIONS.values()) <= facts().activations


@pytest.mark.parametrize(("name", "rule"), TABLE, ids=IDS)
def test_what_the_table_passes_on_is_read_under_that_name(name: str, rule: Rule) -> None:
    passed = {*rule.keep, *rule.rename.values(), *rule.activations, *rule.fixed}
    assert passed - facts().layers[rule.tfjs].reads == set()


@pytest.mark.parametrize(("name", "rule"), TABLE, ids=IDS)
def test_every_option_of_keras_has_its_place_in_the_table(name: str, rule: Rule) -> None:
    placed = {*rule.keep, *rule.rename, *rule.only, *rule.ignore, *rule.activations, *INERT, *COMMON}
    options = {key for key, value in keras_defaults()[name].items() if value is not None}
    assert {key for key in options - placed if not key.endswith(INERT_ENDINGS)} == set()


@pytest.mark.parametrize(("name", "rule"), TABLE, ids=IDS)
def test_what_is_never_read_is_left_out_at_its_default_alone(name: str, rule: Rule) -> None:
    """Unless the class is another one, which is written because it does the same."""
    unread = set(rule.only) - facts().layers[rule.tfjs].reads - UNDECLARED
    for key in unread if rule.tfjs == name else ():
        assert [value for value in rule.only[key] if value is not None and not is_default(name, key, value)] == []


@pytest.mark.parametrize(
    ("class_name", "key", "value", "expected"),
    [
        ("Conv2D", "dilation_rate", [1, 1], True),
        ("Conv2D", "dilation_rate", [1, 2], False),
        ("Conv2D", "dilation_rate", 1, True),
        ("UpSampling1D", "size", [2], True),
        ("Conv2D", "data_format", "channels_last", True),
        ("Conv2D", "data_format", "channels_first", False),
        ("BatchNormalization", "center", 1, False),
        ("LSTM", "zero_output_for_mask", False, True),
        ("Dense", "units", 3, False),
        ("NoSuchLayer", "x", None, True),
        ("InputLayer", "ragged", False, True),
    ],
)
def test_defaults_are_told_from_choices(class_name: str, key: str, value: Any, expected: bool) -> None:
    assert is_default(class_name, key, value) is expected


@pytest.mark.parametrize(
    ("name", "read"), [("log_softmax", "logSoftmax"), ("gelu", "gelu"), ("batch_input_shape", "batchInputShape")]
)
def test_names_are_spelled_as_tensorflow_js_reads_them(name: str, read: str) -> None:
    assert tfjs_spelling(name) == read
