"""The page in a real browser."""

from __future__ import annotations

import io
import re
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import stand_ins
from PIL import Image
from serving import JobQueue, encode, listening

from isomer.options import QUALITIES, VideoOptions
from isomer.serve.options import Limits

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
ActionChains, Keys = webdriver.ActionChains, webdriver.Keys

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    queue = JobQueue(tmp_path_factory.mktemp("page") / "jobs", Limits(), VideoOptions(size=64))
    with listening(queue) as address:
        yield address


SCREENS = {"laptop": (1280, 800), "phone": (390, 844)}


@pytest.fixture
def browser(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Any]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("no Chromium with its driver here")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    width, height = SCREENS[getattr(request, "param", "laptop")]
    options.add_experimental_option(
        "mobileEmulation", {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 1.0}}
    )
    options.add_experimental_option("prefs", {"download.default_directory": str(tmp_path / "downloads")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    browser = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield browser
    browser.quit()


def until(browser: Any, condition: str, seconds: float = 180) -> Any:
    """Wait for a JavaScript expression to be true, and return it."""
    deadline = time.monotonic() + seconds
    while not (value := browser.execute_script(f"return {condition}")):
        assert time.monotonic() < deadline, (
            condition,
            browser.execute_script("return document.body.innerText"),
        )
        time.sleep(0.05)
    return value


def shown(stage: str) -> str:
    return f"!document.getElementById('{stage}').hidden"


def pixels(browser: Any, canvas: str) -> list[list[int]]:
    """RGB along the middle row of a canvas."""
    return browser.execute_script(
        """
        const canvas = document.getElementById(arguments[0]);
        const copy = document.createElement("canvas");
        [copy.width, copy.height] = [canvas.width, canvas.height];
        const context = copy.getContext("2d");
        context.drawImage(canvas, 0, 0);
        const { data } = context.getImageData(0, canvas.height / 2, canvas.width, 1);
        return Array.from({ length: canvas.width }, (_, x) => Array.from(data.slice(4 * x, 4 * x + 3)));
        """,
        canvas,
    )


def white(row: list[list[int]]) -> int:
    return sum(pixel == [255, 255, 255] for pixel in row)


def choose(browser: Any, view: str, threshold: float = 0.5) -> None:
    browser.execute_script(
        """
        const slider = document.getElementById("threshold");
        slider.value = arguments[1];
        slider.dispatchEvent(new Event("input"));
        document.querySelector(`[value=${arguments[0]}]`).click();
        """,
        view,
        threshold,
    )


def scrub(browser: Any, frame: int) -> None:
    browser.execute_script(
        """
        const slider = document.getElementById("scrub");
        slider.value = arguments[0];
        slider.dispatchEvent(new Event("input"));
        """,
        frame,
    )
    until(browser, f"document.getElementById('position').textContent === '{frame + 1} / 10'")


@pytest.mark.parametrize("browser", SCREENS, indirect=True)
def test_from_a_video_to_its_result(browser: Any, address: str, clip: Path, tmp_path: Path) -> None:
    browser.get(address)
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    browser.find_element("id", "file").send_keys(str(clip))
    until(browser, shown("player"))
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert "64, 10 frames, 25 fps" in browser.find_element("id", "facts").text

    # The bright square is at column 8 + 4 i in frame i: scrubbing shows the frame asked for.
    for frame in (2, 7):
        scrub(browser, frame)
        row = pixels(browser, "original")
        bright = [x for x, (red, _, _) in enumerate(row) if red > 150]
        assert bright[0] == pytest.approx(8 + 4 * frame, abs=2)
        assert bright[-1] == pytest.approx(31 + 4 * frame, abs=2)

    # A lower threshold can only add to the mask; the result follows at once, without the server.
    masked = []
    for threshold in (0.05, 0.5, 0.95):
        choose(browser, "mask", threshold)
        row = pixels(browser, "result")
        assert all(pixel in ([0, 0, 0], [255, 255, 255]) for pixel in row)
        masked.append(white(row))
    assert masked == sorted(masked, reverse=True)
    assert masked[0] > 0
    pictures = []
    for view in ("overlay", "mask", "cutout", "heat"):
        choose(browser, view)
        pictures.append(pixels(browser, "result"))
    assert all(one != other for one in pictures for other in pictures if one is not other)

    with zipfile.ZipFile(download(browser, "masks", tmp_path / "downloads" / "square_masks.zip")) as masks:
        assert len(masks.namelist()) == 10

    # Reloading the page comes back to the job.
    browser.refresh()
    until(browser, shown("player"))
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def set_option(browser: Any, name: str, value: object) -> None:
    browser.execute_script(
        """
        const control = document.getElementById(arguments[0]);
        if (control.type === "checkbox") control.checked = arguments[1];
        else control.value = arguments[1];
        control.dispatchEvent(new Event("input"));
        """,
        name,
        value,
    )


def in_sight(browser: Any, name: str) -> bool:
    return browser.execute_script(
        """
        const { top, bottom } = document.getElementById(arguments[0]).getBoundingClientRect();
        return top >= 0 && bottom <= innerHeight;
        """,
        name,
    )


def download(browser: Any, kind: str, path: Path) -> Path:
    browser.find_element("css selector", f"[data-kind={kind}]").click()
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, browser.find_element("id", "notice").text
        time.sleep(0.05)
    return path


def test_what_is_adjusted_shows_at_once_and_is_downloaded(
    browser: Any, address: str, clip: Path, tmp_path: Path
) -> None:
    browser.get(address)
    browser.find_element("id", "file").send_keys(str(clip))
    until(browser, shown("player"))
    assert in_sight(browser, "downloads")
    scrub(browser, 5)
    choose(browser, "mask")
    found = white(pixels(browser, "result"))
    widths = []
    for name in ("grow", "shrink"):
        set_option(browser, name, 3)
        widths.append(white(pixels(browser, "result")))
        set_option(browser, name, 0)
    assert widths == [found + 6, found - 6]  # the middle row of a square

    # Composites have the background that the page shows.
    set_option(browser, "colour", "#102030")
    until(browser, "document.querySelector('[value=composite]').checked")
    assert pixels(browser, "result")[0] == [0x10, 0x20, 0x30]
    set_option(browser, "grow", 3)
    with av.open(download(browser, "composite", tmp_path / "downloads" / "square_composite.mp4")) as container:
        pictures = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert np.abs(pictures[5][2, 2].astype(int) - (0x10, 0x20, 0x30)).max() < 8
    set_option(browser, "blur", True)
    assert pixels(browser, "result")[0] != [0x10, 0x20, 0x30]


def test_an_object_is_left_out_by_a_click(browser: Any, address: str, clip: Path, tmp_path: Path) -> None:
    browser.get(address)
    browser.find_element("id", "file").send_keys(str(clip))
    until(browser, shown("player"))
    until(browser, "document.querySelectorAll('#found button').length")
    scrub(browser, 5)
    choose(browser, "mask")
    assert white(pixels(browser, "result")) > 0
    for button in browser.find_elements("css selector", "#found button"):
        button.click()
    deadline = time.monotonic() + 30
    while white(pixels(browser, "result")):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert browser.find_element("id", "position").text == "6 / 10"
    with zipfile.ZipFile(download(browser, "masks", tmp_path / "downloads" / "square_masks.zip")) as masks:
        levels = [Image.open(io.BytesIO(masks.read(name))).getextrema() for name in masks.namelist()]
    assert levels == [(0, 0)] * 10
    browser.find_element("css selector", "#found button").click()
    until(browser, "document.querySelector('#found button').getAttribute('aria-pressed') === 'true'")


@pytest.mark.parametrize("focus", ["threshold", "objects", "play", "views"])
def test_shortcuts_work_wherever_was_clicked(browser: Any, address: str, clip: Path, focus: str) -> None:
    browser.get(address)
    browser.find_element("id", "file").send_keys(str(clip))
    until(browser, shown("player"))
    browser.find_element("id", focus).click()
    scrub(browser, 5)
    states = [browser.execute_script("return document.getElementById(arguments[0]).value", focus)]
    for key, position in ((Keys.ARROW_LEFT, "5 / 10"), (Keys.ARROW_RIGHT, "6 / 10"), (Keys.HOME, "1 / 10")):
        ActionChains(browser).send_keys(key).perform()
        until(browser, f"document.getElementById('position').textContent === '{position}'", 10)
    states.append(browser.execute_script("return document.getElementById(arguments[0]).value", focus))
    assert states[0] == states[1]
    ActionChains(browser).send_keys(" ").perform()
    until(browser, "!document.getElementById('video').paused", 10)


@pytest.mark.parametrize("browser", ["phone"], indirect=True)
def test_a_portrait_clip_leaves_the_controls_in_sight(browser: Any, address: str, tmp_path: Path) -> None:
    browser.get(address)
    browser.find_element("id", "file").send_keys(str(encode(tmp_path / "tall.mp4", size=(96, 160))))
    until(browser, shown("player"))
    assert in_sight(browser, "transport")
    assert in_sight(browser, "views")
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system(browser: Any, address: str, scheme: str) -> None:
    wanted = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", wanted)
    browser.get(address)
    colour = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    levels = [int(level) for level in re.findall(r"\d+", colour)[:3]]
    assert min(levels) > 200 if scheme == "light" else max(levels) < 60


def test_the_quality_is_chosen(browser: Any, clip: Path, tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "jobs", Limits(), VideoOptions(quality="fast"), stand_ins.telling)
    with listening(queue) as address:
        browser.get(address)
        until(browser, "document.querySelector('[name=quality]:checked')?.value === 'fast'")
        offered = [one.get_attribute("value") for one in browser.find_elements("name", "quality")]
        assert offered == list(QUALITIES)
        browser.execute_script("document.querySelector('[value=best]').click()")
        browser.find_element("id", "file").send_keys(str(clip))
        until(browser, shown("failure"))
        assert browser.find_element("id", "reason").text.startswith("quality best")


def test_controls_begin_as_the_server_was_told(browser: Any, clip: Path, tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "jobs", Limits(), VideoOptions(size=64, threshold=0.3, objects=True))
    with listening(queue) as address:
        browser.get(address)
        browser.find_element("id", "file").send_keys(str(clip))
        until(browser, shown("player"))
        slider = browser.find_element("id", "threshold")
        found = [slider.get_attribute(name) for name in ("min", "max", "step", "value")]
        assert [float(text) for text in found] == [0.01, 0.99, 0.01, 0.3]
        assert browser.find_element("css selector", "#threshold + output").text == "0.30"
        assert browser.find_element("id", "objects").is_selected()
        browser.find_element("css selector", "[data-kind=overlay]").click()
        until(browser, "document.getElementById('notice').textContent.includes('ready')")
    assert [path.name for path in tmp_path.glob("jobs/*/results/overlay*")] == ["overlay-0.30-objects.mp4"]


def test_what_went_wrong_is_said(browser: Any, address: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video")
    browser.get(address)
    browser.find_element("id", "file").send_keys(str(text))
    until(browser, shown("failure"))
    assert "not a video that can be read" in browser.find_element("id", "reason").text
    browser.find_element("id", "again").click()
    until(browser, shown("start"))


def test_a_job_can_be_cancelled(browser: Any, address: str, tmp_path: Path) -> None:
    browser.get(address)
    browser.find_element("id", "file").send_keys(str(encode(tmp_path / "long.mp4", count=600)))
    job = until(browser, "location.hash.slice(1)")
    browser.find_element("id", "cancel").click()
    until(browser, shown("start"))
    deadline = time.monotonic() + 10
    while browser.execute_script(f"return fetch('v1/jobs/{job}').then((r) => r.status)") != 404:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_token_is_asked_for(browser: Any, clip: Path, tmp_path: Path) -> None:
    queue = JobQueue(tmp_path / "jobs", Limits(), VideoOptions(), stand_ins.faulty)
    with listening(queue, token="sesame") as address:
        browser.get(address)
        browser.find_element("id", "file").send_keys(str(clip))
        for token in ("wrong", "sesame"):
            until(browser, "document.getElementById('door').open")
            field = browser.find_element("id", "token")
            field.clear()
            field.send_keys(token, "\n")
        until(browser, shown("failure"))
        assert "an error of the server" in browser.find_element("id", "reason").text
