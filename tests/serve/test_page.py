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
from serving import JobQueue, encode, encode_images, listening, two_squares

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


def scrub(browser: Any, frame: int, count: int = 10) -> None:
    browser.execute_script(
        """
        const slider = document.getElementById("scrub");
        slider.value = arguments[0];
        slider.dispatchEvent(new Event("input"));
        """,
        frame,
    )
    until(browser, f"document.getElementById('position').textContent === '{frame + 1} / {count}'")


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
        control.dispatchEvent(new Event("change"));
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


def click_at(browser: Any, x: float, y: float, to: tuple[float, float] | None = None) -> None:
    """Click on the original at shares of its sides, or drag from there."""
    places = browser.execute_script(
        """
        const surface = document.querySelector(".marks");
        const { width, height } = surface.viewBox.baseVal;
        return arguments[0].map(([x, y]) => {
          const place = new DOMPoint(x * width, y * height).matrixTransform(surface.getScreenCTM());
          return [Math.round(place.x), Math.round(place.y)];
        });
        """,
        [(x, y), to or (x, y)],
    )
    actions = webdriver.common.action_chains.ActionBuilder(browser)
    actions.pointer_action.move_to_location(*places[0]).pointer_down().move_to_location(*places[1]).pointer_up()
    actions.perform()


def pixel(browser: Any, x: float, y: float) -> list[int]:
    """RGB of the result at shares of its sides."""
    return browser.execute_script(
        """
        const canvas = document.getElementById("result");
        const copy = document.createElement("canvas");
        [copy.width, copy.height] = [canvas.width, canvas.height];
        const context = copy.getContext("2d");
        context.drawImage(canvas, 0, 0);
        const [x, y] = [arguments[0] * canvas.width, arguments[1] * canvas.height];
        return Array.from(context.getImageData(x, y, 1, 1).data.slice(0, 3));
        """,
        x,
        y,
    )


def until_pixel(browser: Any, place: tuple[float, float], rgb: list[int]) -> None:
    deadline = time.monotonic() + 60
    while pixel(browser, *place) != rgb:
        assert time.monotonic() < deadline, browser.find_element("id", "notice").text
        time.sleep(0.05)


def use_tool(browser: Any, tool: str) -> None:
    browser.execute_script("document.querySelector(`[name=tool][value='${arguments[0]}']`).click()", tool)


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server that finds what is bright, whatever the weights."""
    queue = JobQueue(tmp_path_factory.mktemp("seeing") / "jobs", Limits(), VideoOptions(), stand_ins.seeing)
    with listening(queue) as address:
        yield address


@pytest.mark.parametrize("browser", SCREENS, indirect=True)
def test_from_a_video_to_what_was_chosen_and_corrected(browser: Any, seeing: str, tmp_path: Path) -> None:
    clip = encode_images(tmp_path / "two.mp4", two_squares(30))
    width = browser.execute_script("return screen.width")
    browser.get(seeing)
    browser.find_element("id", "file").send_keys(str(clip))
    until(browser, shown("player"))
    until(browser, "document.querySelectorAll('#found button').length === 2")
    use_tool(browser, "remove")
    assert browser.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [width, width]
    scrub(browser, 15, 30)
    choose(browser, "mask")
    orange, blue, nothing = (66 / 192, 60 / 128), (152 / 192, 70 / 128), (20 / 192, 110 / 128)
    assert [pixel(browser, *place)[0] for place in (orange, blue, nothing)] == [255, 255, 0]

    browser.find_element("css selector", "#found button:nth-child(2)").click()
    until_pixel(browser, blue, [0, 0, 0])
    assert pixel(browser, *orange) == [255, 255, 255]

    assert not browser.find_element("id", "apply").is_enabled()
    click_at(browser, *orange)
    assert browser.find_element("id", "apply").text == "Apply 1"
    assert len(browser.find_elements("css selector", ".marks .remove")) == 2  # one a pane
    browser.find_element("id", "apply").click()
    until_pixel(browser, orange, [0, 0, 0])
    until(browser, "document.getElementById('undo').textContent === 'Undo 1'")
    assert browser.find_element("id", "position").text == "16 / 30"
    pressed = "return [...document.querySelectorAll('#found button')].map((one) => one.getAttribute('aria-pressed'))"
    assert browser.execute_script(pressed) == ["true", "false"]  # numbers stay, and who is left out

    browser.find_element("id", "undo").click()
    until_pixel(browser, orange, [255, 255, 255])
    click_at(browser, *orange)
    browser.find_element("id", "apply").click()
    until_pixel(browser, orange, [0, 0, 0])
    until(browser, "document.getElementById('apply').textContent === 'Apply'")
    written = download(browser, "cutouts", tmp_path / "downloads" / "two_cutouts.zip")
    with zipfile.ZipFile(written) as archive:
        alpha = [np.asarray(Image.open(io.BytesIO(archive.read(name))))[..., 3] for name in sorted(archive.namelist())]
    assert max(picture[:, 132:].max() for picture in alpha) == 0  # of the one that was clicked away
    here, early = ((60, 36 + 2 * index) for index in (15, 0))
    assert alpha[15][here] == 0
    assert alpha[0][early] > 250
    project = download(browser, "project", tmp_path / "downloads" / "two_project.zip")
    with zipfile.ZipFile(project) as archive:
        assert sorted(archive.namelist()) == ["two.isomer.json", "two.isomer.zip"]
    browser.refresh()
    until(browser, shown("player"))
    until(browser, "document.getElementById('undo').textContent === 'Undo 1'")
    assert not [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_marks_are_of_one_frame(browser: Any, seeing: str, tmp_path: Path) -> None:
    browser.get(seeing)
    browser.find_element("id", "file").send_keys(str(encode_images(tmp_path / "two.mp4", two_squares(10))))
    until(browser, shown("player"))
    use_tool(browser, "add")
    assert browser.execute_script("return document.getElementById('video').paused")
    scrub(browser, 5)
    click_at(browser, 0.1, 0.9)
    scrub(browser, 6)
    assert not browser.find_elements("css selector", ".marks circle")
    assert not browser.find_element("id", "apply").is_enabled()
    scrub(browser, 5)
    assert len(browser.find_elements("css selector", ".marks circle")) == 2
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    assert not browser.find_elements("css selector", ".marks circle")
    use_tool(browser, "box")
    click_at(browser, 0.6, 0.8, to=(0.2, 0.3))
    assert len(browser.find_elements("css selector", ".marks rect")) == 2
    browser.find_element("id", "apply").click()
    until(browser, "document.getElementById('undo').textContent === 'Undo 1'")
    (kept,) = browser.execute_script(
        "return fetch(`v1/jobs/${location.hash.slice(1)}`).then((response) => response.json())"
    )["corrections"]
    assert (kept["frame"], kept["box"]) == (5, pytest.approx([0.2, 0.3, 0.4, 0.5], abs=0.02))
    use_tool(browser, "")
    click_at(browser, 0.1, 0.9)
    assert not browser.find_elements("css selector", ".marks circle")


def test_edges_say_what_they_cost_and_are_downloaded(browser: Any, seeing: str, tmp_path: Path) -> None:
    browser.get(seeing)
    browser.find_element("id", "file").send_keys(str(encode_images(tmp_path / "two.mp4", two_squares(10))))
    until(browser, shown("player"))
    offered = browser.execute_script("return [...document.getElementById('edges').options].map((one) => one.value)")
    assert offered == ["map", "refined", "matte"]
    said = set()
    for edges in offered:
        set_option(browser, "edges", edges)
        said.add(browser.find_element("id", "edge-cost").text)
        browser.find_element("css selector", "[data-kind=cutouts]").click()
        until(
            browser,
            f"performance.getEntriesByType('resource').some(({{ name }}) => /cutouts.*edges={edges}/.test(name))",
        )
        until(browser, "document.querySelector('[data-kind=cutouts]').disabled === false")
        assert browser.find_element("id", "notice").text == "two_cutouts.zip is ready."
    assert len(said) == 3


@pytest.mark.parametrize("kind", ["overlay", "mask", "composite", "cutout"])
def test_browsers_play_what_is_written(browser: Any, seeing: str, tmp_path: Path, kind: str) -> None:
    browser.get(seeing)
    browser.find_element("id", "file").send_keys(str(encode_images(tmp_path / "two.mp4", two_squares(20))))
    until(browser, shown("player"))
    browser.execute_script(
        """
        const video = Object.assign(document.createElement("video"), { muted: true, id: "played" });
        video.src = `v1/jobs/${location.hash.slice(1)}/results/${arguments[0]}`;
        document.body.append(video);
        video.play();
        """,
        kind,
    )
    until(browser, "document.getElementById('played').ended || document.getElementById('played').error", 60)
    played = "const video = document.getElementById('played'); return "
    assert browser.execute_script(f"{played} video.error?.message ?? null") is None
    state = browser.execute_script(f"{played} [video.readyState, video.videoWidth, video.videoHeight]")
    assert (state[0] >= 2, state[1:]) == (True, [192, 128])
    assert browser.execute_script(f"{played} video.duration") == pytest.approx(0.8, abs=0.05)
    corner, square = browser.execute_script(
        f"""
        {played} (() => {{
          const context = document.createElement("canvas").getContext("2d");
          [context.canvas.width, context.canvas.height] = [192, 128];
          context.drawImage(video, 0, 0);
          return [[5, 120], [74, 60]].map((place) => Array.from(context.getImageData(...place, 1, 1).data));
        }})()
        """
    )
    if kind == "cutout":
        assert (corner[3], square[3]) == (0, 255)
        assert np.abs(np.subtract(square[:3], (220, 180, 60))).max() < 30
    elif kind == "mask":
        assert (max(corner[:3]), min(square[:3])) == (0, 255)
    elif kind == "composite":
        assert np.abs(np.subtract(corner[:3], (0, 255, 0))).max() < 30


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
