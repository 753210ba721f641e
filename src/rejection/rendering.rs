//! How refusals look on the wire: data, rendered at load.
