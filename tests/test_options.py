"""Options are the same wherever they are offered: names, types, defaults, ranges and words."""

from __future__ import annotations

import argparse
import inspect
import pickle
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isomer import Segmenter, segment_video
from isomer.cli._options import flag
from isomer.cli.main import build_parser, main
from isomer.cluster import Resources, Settings
from isomer.errors import ArgumentError
from isomer.flow import ANCHOR, DISFlow, create_flow
from isomer.media import OUTPUTS
from isomer.options import FLOWS, QUALITIES, Adjustments, Options, Quality, VideoOptions, options_of
from isomer.serve.options import Limits

OF_VIDEOS = set(options_of(VideoOptions)) - set(options_of(Options))
OF_REQUESTS = {"outputs", "stride", "keep", "drop", "background", "fit", "premultiplied", "max_pixels"}
OF_REQUESTS |= set(options_of(Adjustments)) - {"threshold"}
# What a verb needs, and the options that make no sense for it.
VERBS = {
    "segment": (["clip.mp4"], set()),
    "batch": (["clip.mp4", "-o", "out"], set()),
    "predict": (["dataset", "-o", "out"], OF_VIDEOS - {"max_pixels"}),
    "benchmark": ([], OF_VIDEOS),
    "live": (
        ["clip.mp4"],
        {"max_step", "key_interval", "smoothing", "passes", "batch", "ahead", "stride", "audio", "keep", "drop"},
    ),
    "serve": ([], OF_REQUESTS),
    "demo": ([], OF_REQUESTS),
}

BAD = {
    "quality": {"good": "not fast, default or best", "bset": "not fast, default or best (did you mean best?)"},
    "size": {
        "63": "not between 64 and 4096 pixels",
        "4097": "not between 64 and 4096 pixels",
        "1.5": "not a whole number",
        "big": "not a whole number",
    },
    "backend": {"tensorrt": "not auto, openvino, onnx or torch"},
    "flow": {"farneback": "not dis or raft"},
    "max_step": {
        "0": "not between 1 and 16 frames; 4 is the default",
        "17": "not between 1 and 16 frames; 4 is the default",
    },
    "key_interval": {
        "0": "not between 1 and 12 frames",
        "13": "not between 1 and 12 frames",
    },
    "precision": {"half": "not int8 or float"},
    "passes": {"0": "not 1 or 2", "3": "not 1 or 2", "two": "not a whole number"},
    "views": {"3": "not 1, 2 or 4", "two": "not a whole number"},
    "smoothing": {
        "-0.5": "not between 0 and 10",
        "11.0": "not between 0 and 10",
        "nan": "not between 0 and 10",
        "much": "not a number",
    },
    "batch": {"0": "less than 1; 1 is the default"},
    "ahead": {"-1": "less than 0; 2 is the default"},
    "threshold": {
        "0.0": "not between 0 and 1; 0.5 is the default",
        "1.0": "not between 0 and 1; 0.5 is the default",
        "nan": "not between 0 and 1; 0.5 is the default",
    },
    "edges": {"sharp": "not map, refined or matte"},
    "min_area": {"-1": "less than 0 pixels; 0 is the default"},
    "grow": {
        "-1": "not between 0 and 100 pixels; 0 is the default",
        "1.5": "not a whole number; 0 is the default",
    },
    "shrink": {"101": "not between 0 and 100 pixels; 0 is the default"},
    "feather": {"-1.0": "not between 0 and 100 pixels; 0.0 is the default"},
    "stride": {"0": "less than 1; 1 is the default"},
    "keep": {
        "him": "not a number, a point and its time such as 0.42,0.55@3.2s, largest, longest, centre or all",
        "256": "not an object's number, which is between 1 and 255",
        "0.4,1.5@3s": "a point outside the frame; x and y are shares of it, between 0 and 1",
        "0.4,0.5@later": "no time after the @ such as 3.2s, or 80 for frame 80",
    },
    "drop": {"0": "not an object's number, which is between 1 and 255"},
    "fit": {"fill": "not cover, contain or stretch"},
    "max_pixels": {"0": "less than 1; 67108864 is the default"},
}


def verb_parser(verb: str) -> argparse.ArgumentParser:
    (verbs,) = (action for action in build_parser()._actions if isinstance(action, argparse._SubParsersAction))
    return verbs.choices[verb]


def offered(name: str) -> list[str]:
    return [verb for verb, (_, without) in VERBS.items() if name not in without]


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_offers_the_options_by_the_same_names_defaults_and_words(verb: str) -> None:
    needed, without = VERBS[verb]
    parser = verb_parser(verb)
    found = {action.dest: action for action in parser._actions if action.dest in options_of(VideoOptions)}
    assert set(found) == set(options_of(VideoOptions)) - without
    for name, action in found.items():
        said = options_of(VideoOptions)[name]
        assert action.option_strings[0] == flag(name)
        assert action.help.startswith(said.meaning)
        assert said.cost in action.help
        assert action.default == said.default
    arguments = vars(parser.parse_args(needed))
    assert {name: arguments[name] for name in found} == {name: getattr(VideoOptions, name) for name in found}


def test_the_demo_takes_a_day_of_video_unless_told_otherwise_and_says_so() -> None:
    parser = verb_parser("demo")
    given = parser.parse_args([])
    assert given.frames >= 24 * 3600 * 60
    assert given.job_seconds >= 24 * 3600
    assert given.storage_mib >= given.upload_mib >= 100 * 1024
    assert parser.parse_args(["--frames", "9"]).frames == 9
    for action in parser._actions:
        if action.dest in options_of(Limits):
            assert action.help.endswith(f"(default: {getattr(given, action.dest)})")
    assert parser._action_groups[-1].title == "limits"


def test_what_is_given_arrives_with_its_type() -> None:
    arguments = verb_parser("segment").parse_args(
        ["clip.mp4", "--size", "512", "--smoothing", "2", "--flow", "raft", "--output", "masks", "coco", "--objects"]
    )
    given = arguments.size, arguments.smoothing, arguments.flow, arguments.outputs, arguments.objects
    assert given == (512, 2.0, "raft", ["masks", "coco"], True)
    assert isinstance(arguments.smoothing, float)


@pytest.mark.parametrize(("name", "text", "problem"), [(n, t, p) for n, bad in BAD.items() for t, p in bad.items()])
def test_every_verb_refuses_a_bad_value_in_the_same_line_before_any_work(
    name: str,
    text: str,
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def working(*_: object, **__: object) -> None:
        raise AssertionError("the work began")

    for work in ("serve.server.serve", "segment.Segmenter", "cluster.segment_batch", "benchmark.benchmark"):
        monkeypatch.setattr(f"isomer.{work}", working)
    monkeypatch.chdir(tmp_path)
    for verb in offered(name):
        assert main([verb, *VERBS[verb][0], flag(name), text]) == 2
        assert capsys.readouterr().err == f"isomer: {flag(name)} {text}: {problem}\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("name", "text", "problem"), [(n, t, p) for n, bad in BAD.items() for t, p in bad.items()])
def test_the_library_refuses_it_in_the_same_words(name: str, text: str, problem: str) -> None:
    kind = options_of(VideoOptions)[name].kind
    try:
        value = [text] if kind is tuple else kind(text)
    except ValueError:
        value = text
    calls = [lambda: segment_video("missing.mp4", **{name: value}), lambda: Settings(**{name: value})]
    if name in options_of(Options):
        calls.append(lambda: Segmenter(**{name: value}))
    for call in calls:
        with pytest.raises(ArgumentError) as caught:
            call()
        assert str(caught.value) == f"{name}={text if kind is tuple else value}: {problem}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", True),
        ("size", 384.0),
        ("quality", None),
        ("threshold", "0.5"),
        ("views", "1"),
        ("objects", "no"),
        ("outputs", "overlay"),
        ("outputs", ()),
        ("flow", 3),
    ],
)
def test_values_of_other_types_are_refused(name: str, value: object) -> None:
    with pytest.raises(ArgumentError, match=f"{name}=.*: n(ot|either) "):
        VideoOptions(**{name: value})


@pytest.mark.parametrize("quality", QUALITIES)
def test_a_quality_says_what_is_not_given_and_nothing_else(quality: str) -> None:
    assert vars(Options(quality=quality).settled) == vars(QUALITIES[quality])
    others = Quality(model="mine.onnx", size=96, flow=DISFlow(), key_interval=3, views=2, smoothing=0.0)
    for name, value in vars(others).items():
        options = VideoOptions(quality=quality, **{name: value})
        settled = vars(QUALITIES[quality]) | {name: value}
        assert vars(options.settled) == settled
        assert {known: options.of(VideoOptions)[known] for known in settled} == settled


def test_qualities_are_within_the_ranges_of_the_options_and_told_with_each() -> None:
    text = verb_parser("segment").format_help().replace("\n", " ")
    told = " ".join(text.split())
    for quality, settings in QUALITIES.items():
        Options(quality=quality, **vars(settings))
        for name, value in vars(settings).items():
            wanted = value if quality == Options.quality else f"{quality}: {value}"
            if quality == Options.quality or value != getattr(QUALITIES[Options.quality], name):
                assert re.search(rf"{flag(name)} [^(]*\([^)]*\b{re.escape(str(wanted))}\b", told)


def test_what_segments_takes_the_quality_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way in ends at the segmenter, whose network then sees a frame at the size that the quality says."""
    monkeypatch.setitem(QUALITIES, "fast", replace(QUALITIES["fast"], size=64))
    frames = np.zeros((2, 128, 128, 3), np.uint8)
    shapes = [
        next(Segmenter(quality=quality, **given).inputs(frames)).images.shape
        for quality, given in (("fast", {}), ("fast", {"size": 128}), ("best", {"size": 128, "views": 1}))
    ]
    assert shapes == [(1, 64, 64, 3), (1, 128, 128, 3), (1, 128, 128, 3)]


def test_numbers_of_numpy_are_numbers() -> None:
    options = VideoOptions(size=np.int64(128), threshold=np.float32(0.25), stride=np.uint8(2), smoothing=1)
    assert (options.size, options.threshold) == (128, 0.25)


@pytest.mark.parametrize(("call", "group"), [(Segmenter, Options), (segment_video, VideoOptions)])
def test_signatures_have_plain_keywords_and_documentation_has_the_words(call: object, group: type[Options]) -> None:
    parameters = inspect.signature(call).parameters
    words = " ".join(inspect.getdoc(call).split())
    for name, said in options_of(group).items():
        assert parameters[name].default == said.default
        assert parameters[name].annotation == inspect.signature(group).parameters[name].annotation
        assert f"{name}: {said.help}" in words
    assert "options: see" not in words


def test_groups_are_of_one_kind() -> None:
    """A batch's settings are those of a video and one more; each group's defaults are within its own ranges."""
    assert set(options_of(Settings)) == set(options_of(VideoOptions)) | {"shard"}
    for group in (Settings, Resources, Limits):
        for name, said in options_of(group).items():
            assert getattr(group(), name) == said.default
    with pytest.raises(ArgumentError, match="queue=0: less than 1; 8 is the default"):
        Limits(queue=0)
    with pytest.raises(ArgumentError, match=r"^workers=0: less than 1$"):
        Resources(workers=0)


def test_ranges_and_choices_are_those_of_what_does_the_work() -> None:
    assert options_of(Options)["key_interval"].high == ANCHOR
    assert set(VideoOptions.outputs) <= set(OUTPUTS)
    for name in FLOWS:
        pytest.importorskip("openvino", reason="runs RAFT")
        assert callable(create_flow(name))


def test_an_error_of_an_argument_survives_the_way_between_processes() -> None:
    error = pickle.loads(pickle.dumps(ArgumentError("size", 32, "too small")))
    assert (str(error), error.argument, error.value) == ("size=32: too small", "size", 32)
