//! Server-sent events, as the WHATWG's HTML standard reads them: bytes in, events out.

/// Longest line and longest data of one event, bytes. What is longer is no event of ours.
const BYTES_MAX: usize = 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SseEvent {
    /// The last id that was named, by this event or by one before it.
    pub id: String,
    /// Its type; `message` when not named.
    pub event: String,
    /// Its data, lines joined by line feeds.
    pub data: String,
}

/// Reads a stream, however it is cut into parts. A character, a line or a line's end may be cut in two.
#[derive(Debug, Clone, Default)]
pub struct SseReader {
    line: Vec<u8>,
    /// The last byte was a carriage return: a line feed right after it belongs to it.
    after_cr: bool,
    begun: bool,
    /// The line was too long and its rest is passed over.
    overlong: bool,
    event: String,
    data: Option<String>,
    /// Named by the event that is being read; counts once that is whole.
    named_id: String,
    last_id: String,
    retry_ms: Option<u64>,
}

impl SseReader {
    /// A reader of a new stream that goes on after an event; empty when there was none.
    #[must_use]
    pub fn after(last_id: &str) -> Self {
        Self { last_id: last_id.to_owned(), named_id: last_id.to_owned(), ..Self::default() }
    }

    /// Reads the next part of the stream.
    pub fn push(&mut self, part: &[u8]) -> Vec<SseEvent> {
        let mut events = Vec::new();
        for &byte in part {
            let ends = match byte {
                b'\n' if self.after_cr => {
                    self.after_cr = false;
                    continue;
                }
                b'\n' | b'\r' => true,
                _ => false,
            };
            self.after_cr = byte == b'\r';
            if ends {
                events.extend(self.end_line());
            } else if self.line.len() < BYTES_MAX {
                self.line.push(byte);
            } else {
                self.overlong = true;
            }
        }
        events
    }

    /// The id to go on after, for `Last-Event-ID`: that of the last event that came whole.
    #[must_use]
    pub fn last_id(&self) -> &str {
        &self.last_id
    }

    /// How long to wait before connecting again, when the server has said so, milliseconds.
    #[must_use]
    pub const fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    fn end_line(&mut self) -> Option<SseEvent> {
        let bytes = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.overlong) {
            return None;
        }
        let text = String::from_utf8_lossy(&bytes);
        let line = if self.begun { &*text } else { text.strip_prefix('\u{feff}').unwrap_or(&text) };
        self.begun = true;
        if line.is_empty() {
            return self.dispatch();
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        self.field(field, value.strip_prefix(' ').unwrap_or(value));
        None
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                let data = self.data.get_or_insert_default();
                if data.len() + value.len() < BYTES_MAX {
                    data.push_str(value);
                    data.push('\n');
                }
            }
            "id" if !value.contains('\0') => value.clone_into(&mut self.named_id),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                self.retry_ms = value.parse().ok().or(self.retry_ms);
            }
            // An empty name is a comment; others are for readers that know them.
            _ => {}
        }
    }

    /// An event without data is none; its id counts all the same.
    fn dispatch(&mut self) -> Option<SseEvent> {
        self.named_id.clone_into(&mut self.last_id);
        let event = std::mem::take(&mut self.event);
        let mut data = self.data.take()?;
        data.pop();
        let event = if event.is_empty() { "message".to_owned() } else { event };
        Some(SseEvent { id: self.last_id.clone(), event, data })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, event: &str, data: &str) -> SseEvent {
        SseEvent { id: id.to_owned(), event: event.to_owned(), data: data.to_owned() }
    }

    const STREAM: &str = "\u{feff}: hello\n\nid: 1\nevent: state\ndata: {\"é\":\ndata:  2}\n\n: alive\n\n\
                          id:2\ndata\n\nid: 3\nevent: nothing\n\nretry: 250\nunknown: x\ndata: last\n\ndata: cut";

    fn expected() -> Vec<SseEvent> {
        vec![event("1", "state", "{\"é\":\n 2}"), event("2", "message", ""), event("3", "message", "last")]
    }

    #[test]
    fn a_stream_reads_the_same_however_it_is_cut_and_however_its_lines_end() {
        for ending in ["\n", "\r\n", "\r"] {
            let bytes = STREAM.replace('\n', ending).into_bytes();
            let mut whole = SseReader::default();
            assert_eq!(whole.push(&bytes), expected(), "{ending:?}");
            assert_eq!((whole.last_id(), whole.retry_ms()), ("3", Some(250)));
            for cut in 0..=bytes.len() {
                let mut reader = SseReader::default();
                let mut read = reader.push(&bytes[..cut]);
                read.extend(reader.push(&bytes[cut..]));
                assert_eq!(read, expected(), "{ending:?} cut at {cut}");
            }
            let mut reader = SseReader::default();
            let read: Vec<_> = bytes.iter().flat_map(|byte| reader.push(&[*byte])).collect();
            assert_eq!(read, expected(), "{ending:?} byte by byte");
        }
    }

    #[test]
    fn an_event_that_was_cut_off_is_never_told() {
        let mut reader = SseReader::default();
        assert_eq!(reader.push(b"id: 7\ndata: half\n"), []);
        assert_eq!(reader.last_id(), "", "the server must tell it again");
        let mut again = SseReader::after("6");
        again.push(b"id: 7\ndata: half");
        assert_eq!(again.last_id(), "6");
        let mut again = SseReader::after("6");
        assert_eq!(again.push(b"data: whole\n\n"), [event("6", "message", "whole")]);
    }

    #[test]
    fn a_line_without_end_costs_bounded_memory_and_spoils_only_itself() {
        let mut reader = SseReader::default();
        reader.push(b"data: ");
        for _ in 0..40 {
            reader.push(&[b'x'; 65_536]);
        }
        assert!(reader.line.len() <= BYTES_MAX);
        assert_eq!(reader.push(b"\nid: 1\ndata: good\n\n"), [event("1", "message", "good")]);
    }

    #[test]
    fn what_is_no_id_and_no_number_is_passed_over() {
        let mut reader = SseReader::default();
        reader.push(b"id: 5\n\nid: a\0b\nretry: soon\nretry: 99999999999999999999\n\n");
        assert_eq!((reader.last_id(), reader.retry_ms()), ("5", None));
    }
}
