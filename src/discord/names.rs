//! Names that Discord lets a webhook speak under.
