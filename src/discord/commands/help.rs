//! `/help`.

use super::super::call::{Answer, Call};
use super::super::interaction::Options;
use super::super::render;

pub(super) fn help(call: &Call, options: &Options) -> Answer {
    Answer::text(render::help(options.text("topic"), call.locale))
}
