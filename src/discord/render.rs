//! What people are told, as text.
