"""Networks on the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from isomer.errors import require

require("isomer.model.hub", "hub", "torch", "safetensors", "huggingface_hub")
from huggingface_hub import PyTorchModelHubMixin, constants, hf_hub_download  # noqa: E402 (once it is known to be there)

from isomer.model.checkpoint import load_checkpoint, save_model  # noqa: E402
from isomer.model.network import Isomer  # noqa: E402


class HubIsomer(
    Isomer,
    PyTorchModelHubMixin,
    library_name="isomer-vos",
    license="apache-2.0",
    pipeline_tag="image-segmentation",
    tags=["video-object-segmentation", "optical-flow"],
):
    """`Isomer` with `from_pretrained`, `save_pretrained` and `push_to_hub`.

    Its repository holds a file of `isomer.model.checkpoint.save_model`, with the configuration inside; the
    `config.json` beside it is for people. `isomer segment --model model.safetensors` takes the file too.
    """

    @classmethod
    def from_network(cls, network: Isomer) -> HubIsomer:
        """Return a network that can be saved and pushed, with the weights of this one."""
        shared = cls(network.config)
        shared.load_state_dict(network.state_dict())
        shared.train(network.training)
        return shared

    def _save_pretrained(self, save_directory: Path) -> None:
        save_model(self, save_directory / constants.SAFETENSORS_SINGLE_FILE)

    @classmethod
    def _from_pretrained(  # type: ignore[override]  # a file has its configuration, and is loaded whole
        cls,
        *,
        model_id: str,
        revision: str | None,
        cache_dir: str | Path | None,
        force_download: bool,
        local_files_only: bool,
        token: str | bool | None,
        config: object = None,
    ) -> HubIsomer:
        """Load a network from a folder, or from a repository at the Hub.

        Raises:
            InputError: the file is refused; see `isomer.model.checkpoint.load_checkpoint`.
        """
        if Path(model_id).is_dir():
            file = Path(model_id) / constants.SAFETENSORS_SINGLE_FILE
        else:
            file = Path(
                hf_hub_download(
                    model_id,
                    constants.SAFETENSORS_SINGLE_FILE,
                    revision=revision,
                    cache_dir=cache_dir,
                    force_download=force_download,
                    local_files_only=local_files_only,
                    token=token,
                )
            )
        return cls.from_network(load_checkpoint(file))
