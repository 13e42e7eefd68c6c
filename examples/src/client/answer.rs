//! What came back: the value, and the server's own text.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// A value, beside the JSON it was read from.
#[derive(Debug, Clone)]
pub struct Answer<T> {
    /// What was read.
    pub value: T,
    /// What was sent, to the byte; empty when nothing was (204).
    pub raw: String,
    /// The version to change it with, as `If-Match` wants it.
    pub etag: Option<String>,
    /// The HTTP status.
    pub status: u16,
    /// How often it was sent: above 1 some earlier answer was lost or a refusal was waited for.
    pub sends: u32,
}

/// A page of a list, or all of its pages put together.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<String>,
    /// `{"items": [...], "next": ...}` with each item as the server wrote it.
    pub raw: String,
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    next: Option<String>,
}

/// Pages in the making.
#[derive(Debug, Default)]
pub(super) struct Pages {
    items: Vec<String>,
    /// Where the next page begins.
    pub(super) next: Option<String>,
    single: Option<String>,
}

impl Pages {
    /// Adds a page as it came. Answers whether there is another.
    pub(super) fn add(&mut self, text: &str) -> Result<bool, serde_json::Error> {
        let wire: Wire<'_> = serde_json::from_str(text)?;
        self.single = (self.items.is_empty() && self.single.is_none()).then(|| text.to_owned());
        self.items.extend(wire.items.iter().map(|item| item.get().to_owned()));
        self.next = wire.next;
        Ok(self.next.is_some())
    }

    /// The whole. One page alone keeps its own text.
    pub(super) fn finish<T: DeserializeOwned>(self) -> Result<Page<T>, serde_json::Error> {
        let items = self.items.iter().map(|item| serde_json::from_str(item)).collect::<Result<_, _>>()?;
        let raw = match self.single {
            Some(raw) => raw,
            None => {
                let next = serde_json::to_string(&self.next)?;
                format!("{{\"items\":[{}],\"next\":{next}}}", self.items.join(","))
            }
        };
        Ok(Page { items, next: self.next, raw })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_page_keeps_its_text_and_several_keep_that_of_every_item() {
        let mut pages = Pages::default();
        let one = "{\"next\": \"6f\", \"items\": [ 1.10 , 2]}";
        assert!(pages.add(one).expect("a page"));
        let mut both = pages;
        let mut alone = Pages::default();
        alone.add(one).expect("a page");
        let alone = alone.finish::<f64>().expect("numbers");
        assert_eq!((alone.raw.as_str(), alone.next.as_deref()), (one, Some("6f")));
        assert!(!both.add("{\"items\":[3],\"next\":null}").expect("a page"));
        let both = both.finish::<f64>().expect("numbers");
        assert_eq!(both.raw, "{\"items\":[1.10,2,3],\"next\":null}");
        assert_eq!((both.items, both.next), (vec![1.1, 2.0, 3.0], None));
    }
}
