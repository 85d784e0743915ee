"""The page in a real browser."""

from __future__ import annotations

import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stand_ins
from serving import JobQueue, encode, listening

from isomer.options import VideoOptions
from isomer.serve.options import Limits

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

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


SCREENS = {"laptop": (1366, 860), "phone": (390, 844)}


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

    browser.find_element("css selector", "[data-kind=masks]").click()
    until(browser, "document.getElementById('notice').textContent.includes('ready')")
    archive = tmp_path / "downloads" / "square_masks.zip"
    deadline = time.monotonic() + 10
    while not archive.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with zipfile.ZipFile(archive) as masks:
        assert len(masks.namelist()) == 10

    # Reloading the page comes back to the job.
    browser.refresh()
    until(browser, shown("player"))
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


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
    assert [path.name for path in tmp_path.glob("jobs/*/results/*")] == ["overlay-0.30-objects.mp4"]


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
