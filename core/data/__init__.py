"""HAM10000 from a folder to arrays: records, splits, pixels, augmentation, synthetic lesions, download."""
