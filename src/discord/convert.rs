//! Discord's ids and ours.
