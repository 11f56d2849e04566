//! Tests of whole rooms together, in one binary so that they link once.

mod cli;
mod fetch;
mod floors;
mod support;
