//! Server-sent events, as far as completions need them: the `data` of each event.
//!
//! After the HTML standard, section 9.2.6: events end with an empty line, lines with LF,
//! CR LF or CR, one space after the colon is not part of the value. Event names, ids and
//! retry times are skipped; llama-server's `error:` field is read like data.

/// The most bytes that one event may have: far more than a token needs.
const MAX_EVENT_BYTES: usize = 1 << 20;

/// A server sent an event beyond all measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// Bytes in, whole events out.
#[derive(Debug, Default)]
pub(super) struct EventParser {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a CR: an LF after it ends no further line.
    after_cr: bool,
}

impl EventParser {
    /// Takes in bytes as they came, and calls `on_event` with the data of each event that
    /// they complete.
    pub(super) fn push(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(&[u8]),
    ) -> Result<(), TooLong> {
        for &byte in bytes {
            let after_cr = std::mem::take(&mut self.after_cr);
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    self.end_line(&mut on_event);
                }
                _ if self.line.len() + self.data.len() >= MAX_EVENT_BYTES => return Err(TooLong),
                _ => self.line.push(byte),
            }
        }
        Ok(())
    }

    fn end_line(&mut self, on_event: &mut impl FnMut(&[u8])) {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                on_event(&std::mem::take(&mut self.data));
            }
            return;
        }
        let value = line.strip_prefix(b"data:").or_else(|| line.strip_prefix(b"error:"));
        let Some(value) = value else { return };
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(parts: &[&[u8]]) -> Vec<String> {
        let mut parser = EventParser::default();
        let mut events = Vec::new();
        for part in parts {
            let text = |data: &[u8]| String::from_utf8(data.to_vec()).unwrap();
            parser.push(part, |data| events.push(text(data))).unwrap();
        }
        events
    }

    #[test]
    fn events_come_whole_however_the_bytes_are_cut() {
        let stream =
            ": hello\n\ndata: {\"a\": \"é\"}\n\nevent: x\r\ndata:1\r\ndata: 2\r\n\r\nid: 7\n\n\
                      error: {}\n\ndata: [DONE]\n\ndata: not ended"
                .as_bytes();
        let wanted = ["{\"a\": \"é\"}", "1\n2", "{}", "[DONE]"];
        assert_eq!(events(&[stream]), wanted);
        for at in 0..stream.len() {
            assert_eq!(events(&[&stream[..at], &stream[at..]]), wanted, "cut at {at}");
        }
        let bytes: Vec<_> = stream.chunks(1).collect();
        assert_eq!(events(&bytes), wanted);
    }

    #[test]
    fn an_event_without_end_is_given_up() {
        let mut parser = EventParser::default();
        let endless = vec![b'x'; MAX_EVENT_BYTES + 1];
        assert_eq!(parser.push(&endless, |_| {}), Err(TooLong));
    }
}
