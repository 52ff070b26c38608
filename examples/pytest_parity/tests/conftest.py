"""The model under test: a project would name a file; here it is built, so that the example needs none."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small image classifier, saved."""
    import keras

    keras.utils.set_random_seed(1)
    image = keras.Input((12, 12, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="edges")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(image, keras.layers.Dense(5, activation="softmax", name="label")(x), name="classifier")
    path = tmp_path_factory.mktemp("model") / "classifier.keras"
    model.save(path)
    return path
