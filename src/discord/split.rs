//! Cutting a text into messages.
