//! Buttons under posts.
