"""One convolution, pooling or flip, computed number by number."""
