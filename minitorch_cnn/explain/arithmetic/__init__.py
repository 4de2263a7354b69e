"""One convolution, pooling or flip, computed element by element."""
