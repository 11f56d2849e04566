//! What ends a reply in a template: its own words, line by line, and other people's
//! lines.

use super::Instruct;

/// Stops beyond this would only slow the reply down.
const MAX_STOPS: usize = 64;

impl Instruct<'_> {
    /// Each once, the template's own first.
    pub(in crate::prompt) fn stops(&self) -> Vec<String> {
        let (sequences, context) = (self.sequences(), self.context());
        let answering = self.stage.answering();
        let user = &self.stage.people[0];
        let mut stops = Stops { wrap: false, strings: Vec::new() };
        stops.add(self.filled(&sequences.stop_sequence, answering).as_str());
        stops.wrap = sequences.wrap;
        if sequences.sequences_as_stop_strings {
            for (sequence, name) in [
                (&sequences.input_sequence, user.as_str()),
                (&sequences.first_input_sequence, user),
                (&sequences.last_input_sequence, user),
                (&sequences.output_sequence, answering),
                (&sequences.first_output_sequence, answering),
                (&sequences.last_output_sequence, answering),
                (&sequences.system_sequence, super::SYSTEM),
                (&sequences.last_system_sequence, super::SYSTEM),
            ] {
                stops.add(self.filled(sequence, name).as_str());
            }
        }
        if context.use_stop_strings {
            for line in [&context.chat_start, &context.example_separator] {
                stops.wrap = true;
                stops.add(self.filled(line, super::SYSTEM).as_str());
            }
        }
        if context.single_line {
            stops.push("\n".to_owned());
        }
        if context.names_as_stop_strings {
            for name in self.stage.others() {
                stops.push(format!("\n{name}:"));
            }
        }
        stops.strings
    }
}

struct Stops {
    /// Whether a line of the template's own always begins one.
    wrap: bool,
    strings: Vec<String>,
}

impl Stops {
    /// Adds each line of a sequence. Where the length asked for stands in it, what
    /// comes before that suffices.
    fn add(&mut self, sequence: &str) {
        for (i, line) in sequence.split('\n').enumerate() {
            let line = line.split(" (length = ").next().unwrap_or_default();
            let begins_line = self.wrap || i > 0;
            let line = if begins_line { line.trim() } else { line.trim_end() };
            if !line.trim().is_empty() {
                self.push(if begins_line { format!("\n{line}") } else { line.to_owned() });
            }
        }
    }

    fn push(&mut self, stop: String) {
        if self.strings.len() < MAX_STOPS && !self.strings.contains(&stop) {
            self.strings.push(stop);
        }
    }
}
