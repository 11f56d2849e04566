//! What a button or a modal says of itself when it comes back.
