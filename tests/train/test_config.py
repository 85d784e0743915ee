from __future__ import annotations

from pathlib import Path

import pytest

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
    ],
)
def test_what_is_wrong_is_refused_by_name(recipe: Path, override: str, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        load_config(recipe, [override])


def test_missing_keys_and_files_are_named(recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe.write_text("output: run\nmodel: {}\ndata: {root: d, real: 0, cutouts: [{path: a}], backgrounds: [b]}\n")
    assert main(["train", str(recipe)]) == 2
    assert "optimizer: missing" in capsys.readouterr().err
    for text in ("just text", "a: [1", ""):
        recipe.write_text(text)
        assert main(["train", str(recipe)]) == 2
    assert main(["train", str(tmp_path / "none.yaml")]) == 2
    assert capsys.readouterr().err.count("\n") == 4
