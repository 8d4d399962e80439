CONFIG = {"units": 8, "filter_sizes": [2, 3], "dropout": 0.5, "optimizer": "Adam"}
