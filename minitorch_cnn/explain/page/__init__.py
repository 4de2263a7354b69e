"""Pages that compute: the engine in JavaScript, what it needs to know of a model, and the pages built on it."""
