"""What runs the network: PyTorch, OpenVINO or ONNX Runtime."""

from isomer.segment.backends.backend import Backend, is_ir
from isomer.segment.backends.choice import BACKENDS, create_backend

__all__ = ["BACKENDS", "Backend", "create_backend", "is_ir"]
