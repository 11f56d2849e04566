//! Messages that come in: in order, once, and only those that are story.
