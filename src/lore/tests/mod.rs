//! Tests of whole activations.
