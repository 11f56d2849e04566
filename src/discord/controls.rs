//! The buttons under the latest reply, and while one is being written.
