//! What every part of the front end shares.
