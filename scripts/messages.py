"""Every message that Bittrue stops with, read off its source: a page of the documentation (``make docs``).

A sentence is what stands in the call of an exception of ``errors.py``, or of ``refused``, which makes one; in the
page's code, of a ``Failure``. What is filled in when it is raised is written as "…".
"""

from __future__ import annotations

import ast
import functools
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from setup import ROOT

SOURCE = ROOT / "src" / "bittrue"
GAP = "…"
FEWEST_WORDS = 3  # less is no sentence: a part of one that is put together elsewhere
MAKERS = {"refused": "Unsupported", "NeedsKeras": "ModelError", "_unknown": "TargetError"}
"""Functions and classes that end as an exception of the tree, and as which; the sentence is their last argument."""
REMEDIES = {
    "UsageError": "Write it as the sentence says; `bittrue COMMAND --help` lists what is possible.",
    "TargetError": "A target is `engine[/runtime]:backend[@version][+FLAG=VALUE…]`; the sentence names the nearest.",
    "InputError": "Name the tensors as the model's inputs are named, in their shapes and dtypes: `bittrue lint MODEL`.",
    "ModelError": "Save the model once more as `.keras`, and give the file's own path.",
    "UntrustedCode": "Look at what the file would run. If it is yours: `--custom MODULE:CLASS`, or `--trust`.",
    "Unsupported": "The layer cannot be the same on both sides. `bittrue lint MODEL` names what else could be used.",
    "ArtifactError": "The folder is damaged or hostile: convert the model again.",
    "TraceError": "The file is damaged or of another kind: save the run again (`--save`).",
    "ComparisonError": "The two have no tensors in common: name the layers alike, or compare models with `check`.",
    "TargetFailure": "The other targets' results stand; `bittrue doctor` tells what works here.",
    "TargetUnavailable": "Install what the sentence names; `bittrue doctor` lists what is found and what is missing.",
    "BackendFallback": "The backend does not work in this browser on this machine: choose the one that answered.",
    "ProtocolError": "Two versions of Bittrue talk to one another, or something else answers: start the run again.",
    "TargetCancelled": "Nothing is wrong: somebody said no there.",
    "TargetDied": "Too little memory, a lost graphics context: lower `--batch` or `--budget`, raise `--timeout`.",
}
"""What helps for all messages of a class, beside what each of them says itself."""


@dataclass(frozen=True, order=True)
class Message:
    """One sentence. ``where``: the source file, relative to the package."""

    error: str
    where: str
    text: str


def tree() -> dict[str, tuple[str, int]]:
    """The exceptions of errors.py in its order: name to (first paragraph of the docstring, exit code)."""
    from bittrue import errors

    return {
        node.name: (" ".join((ast.get_docstring(node) or "").split("\n\n")[0].split()), code)
        for node in ast.parse((SOURCE / "errors.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and isinstance(code := getattr(errors, node.name).exit_code, int)
    }


@functools.cache
def messages() -> tuple[Message, ...]:
    """Those of the Python code and those of the page, sorted, each once."""
    known = {name: name for name in tree()} | MAKERS
    found = {message for path in SOURCE.rglob("*.py") for message in _of_python(path, known)}
    return tuple(sorted(found | {message for path in SOURCE.glob("web/*.js") for message in _of_page(path)}))


def _of_python(path: Path, known: dict[str, str]) -> Iterator[Message]:
    module = ast.parse(path.read_text(encoding="utf-8"))
    for call, names in _calls(module):
        error = known.get(_name(call.func))
        for text in _texts(_sentence(call), names) if error else ():
            if len(re.findall(r"\w+", text)) >= FEWEST_WORDS:
                yield Message(error or "", path.relative_to(SOURCE).as_posix(), text)


def _calls(module: ast.Module) -> Iterator[tuple[ast.Call, dict[str, list[ast.expr]]]]:
    """Every call, with what is assigned in the innermost function around it: walking comes to that one last."""
    around: dict[ast.Call, ast.AST] = {}
    for scope in ast.walk(module):
        if isinstance(scope, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef):
            around |= {node: scope for node in ast.walk(scope) if isinstance(node, ast.Call)}
    assigned = {scope: _assigned(scope) for scope in set(around.values())}
    for call, scope in around.items():
        yield call, assigned[scope]


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _sentence(call: ast.Call) -> ast.expr | None:
    because = [word.value for word in call.keywords if word.arg == "because"]
    if because or not call.args:
        return because[0] if because else None
    return call.args[-1 if _name(call.func) in MAKERS else 0]


def _assigned(scope: ast.AST) -> dict[str, list[ast.expr]]:
    """What is assigned to plain names in a function: the parts that a sentence is put together from."""
    found: dict[str, list[ast.expr]] = {}
    for node in [] if isinstance(scope, ast.Module) else ast.walk(scope):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found.setdefault(node.targets[0].id, []).append(node.value)
    return found


def _texts(node: ast.expr | None, names: dict[str, list[ast.expr]]) -> list[str]:
    """What an expression may say, "…" where that is not written in it."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else [GAP]
    if isinstance(node, ast.JoinedStr):
        return _joined(node.values, names)
    if isinstance(node, ast.FormattedValue):
        return _texts(node.value, names)
    if isinstance(node, ast.BinOp):
        return _joined([node.left, node.right], names)
    if isinstance(node, ast.IfExp):
        return _texts(node.body, names) + _texts(node.orelse, names)
    if isinstance(node, ast.Name) and node.id in names:
        within = {name: values for name, values in names.items() if name != node.id}  # x = x + "…" ends
        return [text for value in names[node.id] for text in _texts(value, within)]
    return [GAP]


def _joined(parts: list[ast.expr], names: dict[str, list[ast.expr]]) -> list[str]:
    texts = [""]
    for part in parts:
        texts = [text + more for text in texts for more in _texts(part, names)][:8]
    return [re.sub(f"{GAP}+", GAP, text) for text in texts]


def _of_page(path: Path) -> Iterator[Message]:
    code = path.read_text(encoding="utf-8")
    for text in re.findall(r"new Failure\(\s*\"[a-z-]+\",\s*[`\"](.*?)[`\"]\s*[,)]", code, re.DOTALL):
        yield Message("TargetFailure", path.relative_to(SOURCE).as_posix(), re.sub(r"\$\{[^}]*\}", GAP, text))


def page() -> str:
    """The page as Markdown."""
    found = messages()
    parts = [HEAD]
    for name, (says, code) in tree().items():
        own = [message for message in found if message.error == name]
        if own:
            parts.append(f"## {name}\n\n{says} Exit code {code}.\n\n**What helps:** {REMEDIES.get(name, GAP)}\n")
            parts.append("<ul class='messages'>\n" + "\n".join(map(_item, own)) + "\n</ul>\n")
    return "\n".join(parts)


def _item(message: Message) -> str:
    return f"<li>{html.escape(message.text)} <small><code>{html.escape(message.where)}</code></small></li>"


HEAD = """# Messages

Whatever stops Bittrue is one sentence: what is wrong, where, and what to do. This page has all of them, read off the
source, under the exception that carries them (`bittrue.BittrueError` and below) and that decides the exit code. "…" is
what is filled in. What TensorFlow.js itself says is [on pages of its own](errors/index.md), what a difference is
called under [verdicts](verdicts.md).
"""
