"""The files of TensorFlow.js: the bundled version, other versions through npm, and every way in which that fails."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from bittrue.errors import TargetError, TargetUnavailable
from bittrue.runtimes import tfjs
from bittrue.runtimes.tfjs import BUNDLED, TfjsFiles, tfjs_files

Registry = dict[str, dict[str, bytes] | str]
"""package@version to its files, or to the error code that npm answers."""


def tarball(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """A fake registry, empty at first."""
    packages: Registry = {}

    def pack(npm: list[str], package: str, folder: Path) -> str:
        answer = packages.get(package, "E404")
        if isinstance(answer, str):
            return answer
        tarball(folder / "package.tgz", answer)
        return ""

    monkeypatch.setattr(tfjs, "_pack", pack)
    monkeypatch.setattr(tfjs, "_npm", lambda: ["npm"])
    monkeypatch.delenv("BITTRUE_OFFLINE", raising=False)
    return packages


def test_the_bundled_version_is_the_one_that_package_json_pins(repository: Path) -> None:
    pinned = json.loads((repository / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert pinned["@tensorflow/tfjs"] == BUNDLED


@pytest.mark.parametrize("backend", ["cpu", "webgl", "wasm", "webgpu"])
def test_the_bundled_version_has_every_script_it_names(backend: str) -> None:
    files = tfjs_files(BUNDLED)
    scripts = files.scripts(backend)
    assert scripts[0] == "tf.min.js"
    assert all((files.folder / name).stat().st_size > 100_000 for name in scripts)


def test_the_bundled_version_has_a_binary_for_each_kind_of_wasm() -> None:
    names = {path.name for path in tfjs_files().folder.glob("*.wasm")}
    assert names == {f"tfjs-backend-wasm{kind}.wasm" for kind in ("", "-simd", "-threaded-simd")}


def test_another_version_is_fetched_once_and_kept(registry: Registry, tmp_path: Path) -> None:
    registry["@tensorflow/tfjs@3.0.0"] = {"package/dist/tf.min.js": b"core"}
    assert tfjs_files("3.0.0", cache=tmp_path).folder.joinpath("tf.min.js").read_bytes() == b"core"
    registry.clear()
    assert tfjs_files("3.0.0", cache=tmp_path).scripts("webgl") == ("tf.min.js",)


def test_only_the_wanted_files_leave_a_package_and_none_chooses_its_path(registry: Registry, tmp_path: Path) -> None:
    registry["@tensorflow/tfjs@3.0.0"] = {
        "package/dist/tf.min.js": b"core",
        "package/dist/tf.js": b"not wanted",
        "package/dist/../../../tf.min.js": b"climbs",
        "/package/dist/tf.min.js": b"absolute",
        "package/dist/sub/tfjs-backend-wasm.wasm": b"deeper",
    }
    folder = tfjs_files("3.0.0", cache=tmp_path).folder
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()} == {
        "tfjs/3.0.0/tf.min.js"
    }
    assert (folder / "tf.min.js").read_bytes() == b"core"


def test_a_link_in_a_package_is_not_followed(tmp_path: Path) -> None:
    link = tarfile.TarInfo("package/dist/tf.min.js")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with tarfile.open(tmp_path / "package.tgz", "w:gz") as archive:
        archive.addfile(link)
    tfjs._extract(tmp_path / "package.tgz", tmp_path)
    assert not (tmp_path / "tf.min.js").exists()


def test_a_damaged_package_is_one_sentence_and_leaves_nothing(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def pack(npm: list[str], package: str, folder: Path) -> str:
        whole = tarball(folder / "package.tgz", {"package/dist/tf.min.js": bytes(range(256)) * 500}).read_bytes()
        (folder / "package.tgz").write_bytes(whole[: len(whole) // 2])
        return ""

    monkeypatch.setattr(tfjs, "_pack", pack)
    with pytest.raises(TargetUnavailable, match="arrived damaged"):
        tfjs_files("3.0.0", cache=tmp_path)
    assert list((tmp_path / "tfjs").iterdir()) == []


def test_a_version_without_a_backend_says_so_when_it_is_asked_for(registry: Registry, tmp_path: Path) -> None:
    registry["@tensorflow/tfjs@1.7.2"] = {"package/dist/tf.min.js": b"core"}
    registry["@tensorflow/tfjs-backend-wasm@1.7.2"] = {"package/dist/tf-backend-wasm.min.js": b"wasm"}
    files = tfjs_files("1.7.2", cache=tmp_path)
    assert files.scripts("wasm") == ("tf.min.js", "tf-backend-wasm.min.js")
    with pytest.raises(TargetUnavailable, match=r"TensorFlow\.js 1\.7\.2 has no webgpu backend"):
        files.scripts("webgpu")


def test_a_version_that_does_not_exist(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(TargetUnavailable, match=r"TensorFlow\.js 9\.9\.9 does not exist"):
        tfjs_files("9.9.9", cache=tmp_path)


@pytest.mark.parametrize("version", ["", "latest", "4.22", "4.22.0/../../x", "^4.0.0", "-rf", "4.22.0 x"])
def test_what_is_no_version_never_reaches_npm(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfjs, "_npm", lambda: pytest.fail("npm was asked"))
    with pytest.raises(TargetError, match="not a version"):
        tfjs_files(version, cache=tmp_path)


def test_a_network_failure_names_npms_code_and_keeps_nothing(registry: Registry, tmp_path: Path) -> None:
    registry["@tensorflow/tfjs@3.0.0"] = {"package/dist/tf.min.js": b"core"}
    registry["@tensorflow/tfjs-backend-wasm@3.0.0"] = "ECONNREFUSED"
    with pytest.raises(TargetUnavailable, match="ECONNREFUSED for @tensorflow/tfjs-backend-wasm"):
        tfjs_files("3.0.0", cache=tmp_path)
    assert list((tmp_path / "tfjs").iterdir()) == []


def test_offline_forbids_fetching_but_not_what_is_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BITTRUE_OFFLINE", "1")
    monkeypatch.setattr(tfjs, "_npm", lambda: pytest.fail("npm was asked"))
    with pytest.raises(TargetUnavailable, match="BITTRUE_OFFLINE forbids"):
        tfjs_files("3.0.0", cache=tmp_path)
    kept = tmp_path / "tfjs" / "3.0.0"
    kept.mkdir(parents=True)
    (kept / "tf.min.js").write_bytes(b"core")
    assert tfjs_files("3.0.0", cache=tmp_path) == TfjsFiles("3.0.0", kept)
    assert tfjs_files(BUNDLED, cache=tmp_path).version == BUNDLED


def test_no_npm_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BITTRUE_OFFLINE", raising=False)
    monkeypatch.setattr(tfjs.shutil, "which", lambda name: None)
    monkeypatch.setattr(tfjs, "find_spec", lambda name: None)
    with pytest.raises(TargetUnavailable, match=r"install Node\.js") as caught:
        tfjs_files("3.0.0", cache=tmp_path)
    assert caught.value.remedy


def test_a_faster_process_is_no_error(tmp_path: Path) -> None:
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tf.min.js").write_bytes(name.encode())
    tfjs._put_in_place(tmp_path / "mine", tmp_path / "theirs")
    assert (tmp_path / "theirs" / "tf.min.js").read_bytes() == b"theirs"


@pytest.mark.slow
@pytest.mark.needs("npm")
def test_the_version_of_the_experiment_comes_from_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BITTRUE_OFFLINE", raising=False)
    files = tfjs_files("1.7.2", cache=tmp_path)
    assert b"1.7.2" in (files.folder / "tf.min.js").read_bytes()
    assert (files.folder / "tfjs-backend-wasm.wasm").read_bytes().startswith(b"\0asm")
    with pytest.raises(TargetUnavailable, match="no webgpu backend"):
        files.scripts("webgpu")
