//! Images: layers.
