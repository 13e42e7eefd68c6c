//! Lists: `{items, next}`, and cursors that nobody should read.

use axum::Json;
use infra_core::words::secret::hex;

use super::extract::Params;
use super::problem::{Code, Problem};
use super::wire::Page;

/// A page as it is answered.
pub(super) fn answer<T>(items: Vec<T>, next: Option<&str>) -> Json<Page<T>> {
    Json(Page { items, next: next.map(|key| hex(key.as_bytes())) })
}

/// Where the page begins: after this key.
pub(super) fn after(params: &Params) -> Result<Option<String>, Problem> {
    let Some(cursor) = params.get("after") else { return Ok(None) };
    let wrong = || Problem::field(Code::OutOfRange, "?after", "must be the `next` of an earlier page", None);
    if cursor.is_empty() || !cursor.len().is_multiple_of(2) || !cursor.is_ascii() {
        return Err(wrong());
    }
    let byte = |at: usize| u8::from_str_radix(&cursor[at..at + 2], 16).ok();
    let bytes = (0..cursor.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>().ok_or_else(wrong)?;
    String::from_utf8(bytes).map(Some).map_err(|_| wrong())
}

/// Cuts a page out of a whole list. Items keep their place by key, so a page is right also when others come
/// and go meanwhile.
pub(super) fn cut<T, W>(
    all: impl IntoIterator<Item = T>,
    key: impl Fn(&T) -> String,
    params: &Params,
    show: impl Fn(T) -> W,
) -> Result<Json<Page<W>>, Problem> {
    let (limit, after) = (params.limit()?, after(params)?);
    let mut keyed: Vec<(String, T)> = all.into_iter().map(|item| (key(&item), item)).collect();
    keyed.retain(|(key, _)| after.as_ref().is_none_or(|after| key > after));
    keyed.sort_by(|(one, _), (other, _)| one.cmp(other));
    let more = keyed.len() > limit;
    keyed.truncate(limit);
    let next = keyed.last().filter(|_| more).map(|(key, _)| key.clone());
    let items = keyed.into_iter().map(|(_, item)| show(item)).collect();
    Ok(answer(items, next.as_deref()))
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;

    use super::*;

    fn params(query: &str) -> Params {
        let uri: Uri = format!("/x?{query}").parse().expect("a uri");
        Params::read(&uri, &["limit", "after"]).expect("known parameters")
    }

    #[test]
    fn pages_show_every_item_once() {
        let names: Vec<String> = (0..7).map(|n| format!("é{n}")).collect();
        let mut seen = Vec::new();
        let mut query = "limit=3".to_owned();
        loop {
            let page =
                cut(names.iter().rev(), |n| n.to_string(), &params(&query), |n| n.clone()).expect("a page");
            seen.extend(page.0.items);
            let Some(next) = page.0.next else { break };
            query = format!("limit=3&after={next}");
        }
        assert_eq!(seen, names);
    }

    #[test]
    fn a_made_up_cursor_is_refused() {
        for bad in ["", "z", "zz", "abc", "ff", "%C3%A9%C3%A9"] {
            let refused = after(&params(&format!("after={bad}"))).expect_err(bad);
            assert_eq!(refused.code, Code::OutOfRange, "{bad}");
        }
    }
}
