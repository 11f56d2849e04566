//! The `dramatis` binary: everything is in the library.

fn main() {}
