"""A folder or list of videos over Ray."""

from isomer.cluster.batch import BatchSummary, segment_batch
from isomer.cluster.machines import Resources
from isomer.cluster.manifest import Record, State
from isomer.cluster.settings import Settings

__all__ = ["BatchSummary", "Record", "Resources", "Settings", "State", "segment_batch"]
