from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from isomer.cli.main import main
from isomer.errors import InputError
from isomer.train.config import load_config

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_the_recipes_are_valid(path: Path) -> None:
    assert load_config(path).optimizer.steps > 0


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_no_recipe_validates_on_what_it_trains_on(path: Path) -> None:
    config = load_config(path)
    if config.validation is not None:
        for videos in config.data.videos:
            if videos.path == config.validation.path:
                assert config.validation.sequences
                assert set(config.validation.sequences) <= set(videos.exclude)


def test_there_are_recipes() -> None:
    assert {"finetune", "isomer_efficientnet_lite0", "isomer_swin_tiny_stage1", "isomer_mit_b0_stage2"} <= {
        path.stem for path in CONFIGS
    }


def test_overrides_reach_every_depth(recipe: Path) -> None:
    overrides = ["seed=3", "optimizer.learning_rate=6e-4", "data.cutouts.0.weight=2", "loss.boundary=5",
                 "data.sizes=[32, 64]", "model.init=some/where.safetensors"]  # fmt: skip
    config = load_config(recipe, overrides)
    assert config.seed == 3
    assert config.optimizer.learning_rate == 0.0006
    assert config.data.cutouts[0].weight == 2
    assert config.loss.boundary == 5
    assert config.data.sizes == (32, 64)
    assert config.model.init == "some/where.safetensors"


@pytest.mark.parametrize(
    ("override", "complaint"),
    [
        ("optimizer.step=3", "optimizer.step: unknown key; did you mean steps"),
        ("init=some/where", "init: unknown key; did you mean model.init"),
        ("weight=1", "weight: unknown key; did you mean data.cutouts.N.weight"),
        ("optimiser.steps=3", "optimiser: unknown key; did you mean optimizer"),
        ("optimizer.steps=many", "optimizer.steps: .*many"),
        ("optimizer.steps=2.5", "optimizer.steps: .*2.5"),
        ("optimizer.steps='200'", 'optimizer.steps: .*"200"'),
        ("optimizer.steps=0", "optimizer.steps: "),
        ("data.strict=1", "data.strict: "),
        ("data.cutouts.0.wieght=1", "data.cutouts.0.wieght: unknown key; did you mean weight"),
        ("data.cutouts.5.weight=1", "there is no data.cutouts.5.weight"),
        ("data.real=1.5", "data.real: "),
        ("data.videos=[]", "data: .*videos are needed"),
        ("model.encoder=resnet", "model.encoder: .*mobilenet_v2"),
        ("hardware.precision=half", "hardware.precision: "),
        ("hardware.devices=many", "recipe.yaml: hardware.devices: "),
        ("optimizer.schedule=trapezoid", "optimizer: .*trapezoid"),
        ("optimizer.decay=2", "optimizer: .*trapezoid"),
        ("optimizer={steps: 4, schedule: trapezoid, decay: 5}", "optimizer: .*decay is more than steps"),
        ("data.finish_sizes=[64]", "finish_sizes"),
        ("seed", "no override"),
        ("seed=[", "no valid YAML"),
        ("seed=2026-13-45", "no valid YAML"),
        ("seed=" + "9" * 5000, "no valid YAML"),
        ("data.cutouts.0.weight=.inf", "data.cutouts.0.weight: "),
        ("model.encoder=" + "x" * 5000, "model.encoder: "),
        ("x" * 5000 + ".0=1", "xxx"),
    ],
)
def test_what_is_wrong_is_refused_by_name(recipe: Path, override: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint) as error:
        load_config(recipe, [override])
    assert len(str(error.value)) < len(str(recipe)) + 500


LAUGHS = "\n".join(f"{name}: &{name} [{', '.join(10 * [f'*{before}'])}]" for before, name in pairwise("zabcdef"))


@pytest.mark.parametrize(
    "text",
    [
        "output: &a [*a]",
        "output: &a {b: *a}",
        "&a ? *a : 1",
        "output: " + "[" * 100_000,
        "output: 2026-13-45",
        "2026-01-02: a date for a key",
        '? "a\\nb' + "c" * 5000 + '"\n: 1',
        "seed: " + "9" * 5000,
        "seed: 0x" + "f" * 5000,
        "seed: 0b" + "1" * 64,
        "seed: !!bool maybe",
        "seed: !!timestamp today",
        "seed: !!int many",
        'output: "run\\0"',
        'output: "\\ud800"',
        "? [a, b]\n: c",
        "#" * (1 << 19),
    ],
    ids=lambda text: text[:20],
)
def test_yaml_that_is_no_recipe_is_refused_in_a_line(recipe: Path, text: str) -> None:
    recipe.write_text(f"{recipe.read_text()}\n{text}\n")  # of two entries of a key the later one counts
    with pytest.raises(InputError) as error:
        load_config(recipe)
    assert str(error.value).startswith(f"{recipe}: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < len(str(recipe)) + 300


@pytest.mark.parametrize(
    "text",
    [
        "z: &z lol\n" + LAUGHS,
        "z: &z {lol: 1}\n" + LAUGHS.replace("[", "{<<: [").replace("]", "]}"),
        f"z: &z {'lol' * 9999}\nb: [{', '.join(1000 * ['*z'])}]",
    ],
    ids=["lists", "merges", "texts"],
)
def test_aliases_that_multiply_are_not_written_out(recipe: Path, text: str) -> None:
    recipe.write_text(text)
    with pytest.raises(InputError, match="it is too large, or contains itself"):
        load_config(recipe)


def test_what_is_no_text_is_refused(recipe: Path) -> None:
    recipe.write_bytes(b"\xff\xfe\x00" * 99)
    with pytest.raises(InputError, match=r"recipe\.yaml: no valid YAML"):
        load_config(recipe)
    with pytest.raises(InputError, match="no valid YAML"):
        load_config(Path("/dev/zero"))


def test_aliases_are_written_out(recipe: Path) -> None:
    sections = yaml.safe_load(recipe.read_text())
    sections["data"]["cutouts"].append(sections["data"]["cutouts"][0])
    recipe.write_text(yaml.safe_dump(sections))
    assert "*id001" in recipe.read_text()
    assert load_config(recipe).data.cutouts[0] == load_config(recipe).data.cutouts[1]


def test_missing_keys_and_files_are_named(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text("output: run\nmodel: {}\ndata: {root: d, real: 0, cutouts: [{path: a}], backgrounds: [b]}\n")
    assert main(["train", str(recipe)]) == 2
    assert "optimizer: missing" in capsys.readouterr().err
    for text in ("just text", "a: [1", ""):
        recipe.write_text(text)
        assert main(["train", str(recipe)]) == 2
    assert main(["train", str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 4
