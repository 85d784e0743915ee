"""Optical flow: estimators, the stream that pairs frames with their flow, and its colour image."""

from isomer.flow.color import flow_to_image, motion_scale
from isomer.flow.create import create_flow
from isomer.flow.dis import DISFlow
from isomer.flow.estimator import Flow, FlowEstimator
from isomer.flow.flo import FlowFiles, read_flo, write_flo
from isomer.flow.raft import RAFTFlow
from isomer.flow.stream import ANCHOR, MovingFrame, frames_with_flow, moving_frames

__all__ = [
    "ANCHOR",
    "DISFlow",
    "Flow",
    "FlowEstimator",
    "FlowFiles",
    "MovingFrame",
    "RAFTFlow",
    "create_flow",
    "flow_to_image",
    "frames_with_flow",
    "motion_scale",
    "moving_frames",
    "read_flo",
    "write_flo",
]
