"""Browsers as targets: the page is the agent, and one tab serves target after target."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from bittrue.errors import BittrueError, ProtocolError, TargetDied, TargetFailure, TraceError
from bittrue.graph.model import Graph
from bittrue.traces import Trace

from . import wire
from .base import Inputs, Progress, TraceOptions
from .exact_artifact import module_files
from .inbox import LinkClosedError, SilenceError
from .job import Job
from .launch import OpenBrowser
from .server import PageLink, Server
from .session import run_session
from .target import Target
from .tfjs import BUNDLED, tfjs_files

if TYPE_CHECKING:
    from bittrue.conversion.tfjs.artifact import Artifact

    from .host import Host

__all__ = ["BrowserRuntime", "Tab"]

_START = 60.0  # seconds for a browser to start and its page to connect
_TICK = 0.02


class Tab:
    """A browser that was opened for us and the page in it."""

    def __init__(self, server: Server, browser: OpenBrowser) -> None:
        self._server = server
        self._browser = browser
        self._page: PageLink | None = None
        self.broken = False

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the browser is."""
        return self._browser.facts

    @property
    def usable(self) -> bool:
        """Whether another session can be opened in it; False once it failed, ended, or its page was closed."""
        reachable = self._page is None or self._page.open or self._browser.navigates
        return reachable and not self.broken and self._browser.ended is None

    def visit(self, target: Target, patience: float = _START) -> PageLink:
        """Open a new session in it and wait for the page. Raises TargetDied if none connects."""
        page, before = self._server.open_page(), self._page
        self._page = page
        self.broken = True
        try:
            if not self._send_to(page, before) and not self._browser.goto(page.url):
                raise TargetDied(f"{target} lost its page between two runs: run it again", target=str(target))
            self._await(page, target, patience)
        finally:
            if before is not None:
                self._server.close_page(before)
        self._browser.note_children()
        self.broken = False
        return page

    def _send_to(self, page: PageLink, before: PageLink | None) -> bool:
        """Ask the page of the session before to go on to the next."""
        if before is None or not before.open:
            return False
        try:
            before.send(wire.encode({"type": "goto", "url": page.url}), 5.0)
        except (LinkClosedError, SilenceError):
            return False
        return True

    def _await(self, page: PageLink, target: Target, patience: float) -> None:
        deadline = time.monotonic() + patience
        while not page.connected:
            ended = self._browser.ended
            if ended is not None or time.monotonic() > deadline:
                why = ended or f"no page connected within {patience:g} s"
                raise TargetDied(
                    f"{target} did not start: {why}; check that the browser opens by itself, "
                    "and that nothing keeps it from connecting to 127.0.0.1",
                    target=str(target),
                )
            time.sleep(_TICK)

    def close(self) -> None:
        """End the browser, having told its page that nothing more will come."""
        if self._page is not None and not self.broken:
            with suppress(LinkClosedError, SilenceError):
                self._page.send(wire.encode({"type": "stop"}), 1.0)
        self.broken = True
        self._browser.close()
        if self._page is not None:
            self._server.close_page(self._page)


class BrowserRuntime:
    """Runs one artifact in a browser of the host's."""

    def __init__(self, target: Target, artifact: Artifact, graph: Graph, host: Host, progress: Progress) -> None:
        self.target = target
        self._artifact = artifact
        self._graph = graph
        self._host = host
        self._progress = progress
        self._tab: Tab | None = None

    def __enter__(self) -> BrowserRuntime:
        self._progress.phase(str(self.target), "starting")
        self._tab = self._named(lambda: self._host.tab(self.target))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The browser stays open for the next target; the host ends it. One that failed mid-run ends here."""
        if self._tab is not None and self._tab.broken:
            self._tab.close()
        self._tab = None

    def trace(self, inputs: Inputs, options: TraceOptions = TraceOptions()) -> Trace:  # noqa: B008
        """Run the model on ``inputs``; see `Runtime`."""
        assert self._tab is not None, "enter the runtime first"
        job = self._job(options)
        self._prepare(job, inputs)
        if not self._tab.usable:
            self._tab = self._named(lambda: self._host.tab(self.target))
        tab = self._tab
        link = self._named(lambda: tab.visit(self.target))
        tab.broken = True
        facts = {**tab.facts, "flags": dict(job.flags)}
        try:
            trace = run_session(link, job, self._graph, inputs, options, self._progress, facts)
            tab.broken = False
            return trace
        except BittrueError as error:
            # A page that reported a failure of its own is as good as new; anything else is not trusted again.
            tab.broken = isinstance(error, TargetDied | ProtocolError | TraceError) or not link.open
            raise

    def _prepare(self, job: Job, inputs: Inputs) -> None:
        """What has to be known before a page is there."""

    def _named(self, action: Callable[[], Any]) -> Any:
        """Do it; a failure that does not say which target it struck is given this one's name."""
        try:
            return action()
        except TargetFailure as error:
            if error.target != str(self.target):
                error.target = str(self.target)
                if str(self.target) not in str(error):
                    error.args = (f"{self.target}: {error}",)
            raise

    def _job(self, options: TraceOptions) -> Job:
        artifact_base = self._host.artifact_base(self._artifact, self._server)
        return Job.of(self.target, self._graph, self._artifact, self._runtime_files(), artifact_base, options)

    @property
    def _server(self) -> Server:
        """What serves the page."""
        return self._host.server

    def _runtime_files(self) -> tuple[str, str, tuple[str, ...]]:
        """Version, address and scripts of what runs the model."""
        if self.target.is_exact:
            module = module_files()
            return module.version, self._server.mount("exact", module.folder, module.scripts), module.scripts
        files = tfjs_files(self.target.version or self._artifact.version or BUNDLED)
        names = [path.relative_to(files.folder).as_posix() for path in files.folder.rglob("*") if path.is_file()]
        base = self._server.mount(f"tfjs/{files.version}", files.folder, names)
        return files.version, base, files.scripts(self.target.backend)
