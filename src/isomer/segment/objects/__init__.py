"""The objects of a video: followed, told apart, chosen, and corrected in projects."""
