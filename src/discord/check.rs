//! Looking whether a start would succeed, without posting anything.
