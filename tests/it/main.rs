//! Tests of whole rooms together, in one binary so that they link once.
