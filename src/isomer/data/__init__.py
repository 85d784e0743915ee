"""Training data: layouts of datasets, synthetic motion, samples and their augmentation."""
