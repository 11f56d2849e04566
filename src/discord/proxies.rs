//! PluralKit, Tupperbox and their like: posts in somebody else's name.
