//! Reading what was missed while nobody listened.
