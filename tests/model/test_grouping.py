"""Which nodes make up a layer, by the scopes in their names."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bittrue.model.graphdef.grouping import layers_of


def chain(*names: str) -> dict[str, list[str]]:
    """Nodes that each read the one before."""
    return {name: list(names[at - 1 : at]) if at else [] for at, name in enumerate(names)}


def test_a_scope_that_computes_is_a_layer_and_one_that_holds_scopes_is_a_model() -> None:
    nodes = chain("net/conv/Conv2D", "net/conv/BiasAdd", "net/inner/dense/MatMul", "net/inner/act/Relu")
    assert list(layers_of(nodes).values()) == ["conv", "conv", "inner/dense", "inner/act"]


def test_a_scope_takes_in_the_scopes_below_it() -> None:
    nodes = chain("net/bn/Cast", "net/bn/batchnorm/mul", "net/bn/batchnorm/add", "net/out/Relu")
    assert list(layers_of(nodes).values()) == ["bn", "bn", "bn", "out"]


def test_names_of_inlined_functions_do_not_count() -> None:
    nodes = chain("StatefulPartitionedCall_1/PartitionedCall/MatMul", "StatefulPartitionedCall_1/PartitionedCall/Relu")
    assert list(layers_of(nodes).values()) == ["MatMul", "Relu"]


def test_layers_that_would_wait_for_one_another_are_taken_apart() -> None:
    nodes = chain("net/a/one", "net/b/one", "net/a/two")
    assert list(layers_of(nodes).values()) == ["a/one", "b", "a/two"]


@given(
    st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4)
    .map("/".join)
    .flatmap(
        lambda _: st.lists(
            st.tuples(st.sampled_from(["s", "t", "s/u", "t/u", ""]), st.lists(st.integers(0, 30), max_size=3)),
            max_size=12,
        )
    )
)
def test_layers_never_wait_for_one_another(drawn: list[tuple[str, list[int]]]) -> None:
    names = [f"net/{scope}/n{at}".replace("//", "/") for at, (scope, _) in enumerate(drawn)]
    reads = {
        name: [names[source % at] for source in sources] if at else []
        for at, (name, (_, sources)) in enumerate(zip(names, drawn, strict=True))
    }
    layers = layers_of(reads)
    waiting = {
        layer: {layers[s] for n in names if layers[n] == layer for s in reads[n]} - {layer} for layer in layers.values()
    }
    while waiting:
        free = {layer for layer, needed in waiting.items() if not needed & set(waiting)}
        assert free
        waiting = {layer: needed for layer, needed in waiting.items() if layer not in free}
