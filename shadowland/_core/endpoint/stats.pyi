import numpy as np

STATS_DTYPE: np.dtype[np.void]
