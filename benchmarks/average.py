"""The mean of networks that were trained on from one another, which often does better than each of them.

    python benchmarks/average.py FIRST.safetensors SECOND.safetensors -o MEAN.safetensors

Wortsman et al., "Model soups", ICML 2022.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from isomer.model.checkpoint import load_checkpoint, save_model


def main() -> None:
    """Average the weights and write them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoints", nargs="+", type=Path)
    parser.add_argument("-o", dest="out", type=Path, required=True)
    arguments = parser.parse_args()
    networks = [load_checkpoint(path) for path in arguments.checkpoints]
    mean = networks[0]
    if any(network.config != mean.config for network in networks):
        parser.error("networks of different architectures have no mean")
    states = [network.state_dict() for network in networks]
    for name, tensor in mean.state_dict().items():
        tensor.copy_(torch.stack([state[name].double() for state in states]).mean(0))
    save_model(mean, arguments.out, {"mean": " and ".join(path.name for path in arguments.checkpoints)})


if __name__ == "__main__":
    main()
