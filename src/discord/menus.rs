//! The message menu: what can be done with any turn.
