"""How browsers are started: quiet, isolated, sending nothing anywhere, with the graphics card if there is one."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["chromium_switches", "firefox_preferences", "write_preferences"]

_QUIET = (
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-component-update",
    "--disable-crash-reporter",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-hang-monitor",
    "--disable-prompt-on-repost",
    "--disable-quic",
    "--disable-search-engine-choice-screen",
    "--disable-sync",
    "--metrics-recording-only",
    "--mute-audio",
    "--no-pings",
    "--no-proxy-server",
    "--password-store=basic",
    "--use-mock-keychain",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
    "--disable-features=Translate,MediaRouter,OptimizationHints,AutofillServerCommunication,DialMediaRouteProvider",
)
_UNTHROTTLED = (
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-gpu-watchdog",  # it takes a long layer on an emulated card for a hang
)
_GRAPHICS = ("--ignore-gpu-blocklist", "--enable-unsafe-swiftshader", "--enable-unsafe-webgpu")
"""They permit emulation where there is no card, and do not force it."""

_EMULATED = ("--use-gl=angle", "--use-angle=swiftshader", "--use-webgpu-adapter=swiftshader")
_SHARED_MEMORY = 2**30  # bytes; containers often give 64 MiB, and Chromium crashes when they are used up


def chromium_switches(*, headless: bool, software: bool, local: bool = True) -> list[str]:
    """Switches for Chrome, Chromium and Edge. ``software`` forces emulated graphics.

    ``local`` is False for a browser on another machine, of which nothing is known. ``BITTRUE_CHROME_ARGS``
    is added as it is.
    """
    switches = [*_QUIET, *_UNTHROTTLED, *_GRAPHICS]
    if headless:
        switches.append("--headless=new")
    if software:
        switches.extend(_EMULATED)
    linux = local and sys.platform.startswith("linux")
    if software or linux:
        switches.append("--enable-features=Vulkan,WebGPU")
    if linux and os.geteuid() == 0:
        switches.append("--no-sandbox")  # Chromium refuses to start as root with it
    if linux and not _has_shared_memory():
        switches.append("--disable-dev-shm-usage")
    return switches + shlex.split(os.environ.get("BITTRUE_CHROME_ARGS", ""))


def _has_shared_memory() -> bool:
    try:
        return shutil.disk_usage("/dev/shm").free >= _SHARED_MEMORY
    except OSError:
        return False


def firefox_preferences() -> dict[str, bool | int | str]:
    """Preferences of a Firefox that opens one page, talks to nobody else and changes nothing."""
    off = (
        "app.normandy.enabled",
        "app.update.auto",
        "app.update.enabled",
        "app.update.service.enabled",
        "browser.aboutwelcome.enabled",
        "browser.discovery.enabled",
        "browser.newtabpage.enabled",
        "browser.newtabpage.activity-stream.feeds.telemetry",
        "browser.region.update.enabled",
        "browser.safebrowsing.blockedURIs.enabled",
        "browser.safebrowsing.downloads.enabled",
        "browser.safebrowsing.malware.enabled",
        "browser.safebrowsing.phishing.enabled",
        "browser.search.update",
        "browser.sessionstore.resume_from_crash",
        "browser.shell.checkDefaultBrowser",
        "browser.topsites.contile.enabled",
        "datareporting.healthreport.uploadEnabled",
        "datareporting.policy.dataSubmissionEnabled",
        "datareporting.usage.uploadEnabled",
        "dom.ipc.reportProcessHangs",
        "dom.push.enabled",
        "extensions.getAddons.cache.enabled",
        "extensions.systemAddon.update.enabled",
        "extensions.update.enabled",
        "media.gmp-manager.updateEnabled",
        "network.captive-portal-service.enabled",
        "network.connectivity-service.enabled",
        "network.prefetch-next",
        "signon.autofillForms",
        "toolkit.telemetry.enabled",
        "toolkit.telemetry.unified",
        "webgl.disabled",
    )
    return {**dict.fromkeys(off, False), **_FIREFOX}


_FIREFOX: dict[str, bool | int | str] = {
    "app.update.disabledForTesting": True,
    "browser.startup.homepage": "about:blank",
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.startup.page": 0,
    "browser.tabs.warnOnClose": False,
    "datareporting.policy.firstRunURL": "",
    "dom.max_chrome_script_run_time": 0,
    "dom.max_script_run_time": 0,
    "dom.min_background_timeout_value": 4,
    "dom.timeout.enable_budget_timer_throttling": False,
    "dom.webgpu.enabled": True,
    "media.gmp-manager.url": "",
    "network.dns.disablePrefetch": True,
    "network.http.speculative-parallel-limit": 0,
    # A proxy that nobody listens on for everything but loopback: whatever was overlooked above stays here.
    # Firefox's own requests must not try without it when it does not answer.
    "network.proxy.allow_bypass": False,
    "network.proxy.failover_direct": False,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.no_proxies_on": "127.0.0.1, localhost",
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    "network.proxy.type": 1,
    "network.trr.mode": 5,
    "services.settings.server": "data:,",
    "startup.homepage_welcome_url": "",
    "startup.homepage_welcome_url.additional": "",
    "toolkit.startup.max_resumed_crashes": -1,
    "toolkit.telemetry.server": "data:,",
    "webgl.force-enabled": True,
}


def write_preferences(profile: Path, preferences: Mapping[str, bool | int | str]) -> None:
    """Write ``user.js`` into a Firefox profile."""
    lines = (f"user_pref({_quoted(name)}, {_literal(value)});\n" for name, value in preferences.items())
    (profile / "user.js").write_text("".join(lines), encoding="utf-8")


def _literal(value: bool | int | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
