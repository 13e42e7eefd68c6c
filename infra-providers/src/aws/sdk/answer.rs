//! What an answer says beside its content: its date, and whether it is all there.

use std::sync::{Arc, Mutex};

use aws_sdk_ec2::config::interceptors::{
    AfterDeserializationInterceptorContextRef, BeforeDeserializationInterceptorContextRef,
};
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use infra_core::words::clock::Timestamp;

use crate::aws::api::Page;

/// Keeps the `Date` of an answer.
#[derive(Debug, Clone, Default)]
pub(super) struct DateOfAnswer(Arc<Mutex<Option<Timestamp>>>);

impl DateOfAnswer {
    pub(super) fn page<T>(&self, items: Vec<T>, next: Option<String>) -> Page<T> {
        let as_of = *self.0.lock().expect("nobody panics while holding a date");
        Page { items, next: next.filter(|next| !next.is_empty()), as_of }
    }
}

impl Intercept for DateOfAnswer {
    fn name(&self) -> &'static str {
        "date-of-answer"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let date = context.response().headers().get("date");
        let date = date.and_then(|text| jiff::fmt::rfc2822::parse(text).ok()).map(|date| date.timestamp());
        *self.0.lock().expect("nobody panics while holding a date") = date;
        Ok(())
    }
}

/// Refuses a success that ends early: the SDK reads half a document as far as it goes, and half an id is an id.
#[derive(Debug)]
pub(super) struct WholeAnswer;

impl Intercept for WholeAnswer {
    fn name(&self) -> &'static str {
        "whole-answer"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let body = response.body().bytes().map(String::from_utf8_lossy).unwrap_or_default();
        if response.status().is_success() && !whole(&body) {
            return Err("the answer is no whole document".into());
        }
        Ok(())
    }
}

/// Does the document end with the end of its first element? The Price List answers JSON.
fn whole(document: &str) -> bool {
    let text = document.trim();
    if text.starts_with('{') {
        return serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
    }
    let text =
        text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>")).map_or(text, |(_, rest)| rest);
    let Some(root) = text.trim_start().strip_prefix('<') else { return false };
    let name =
        root.split(|end: char| end.is_whitespace() || end == '>' || end == '/').next().unwrap_or_default();
    !name.is_empty()
        && (text.ends_with(&format!("</{name}>")) || (text.ends_with("/>") && !root.contains('<')))
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    fn half_an_answer_is_none() {
        for document in [
            "<A><b/></A>",
            "<?xml version=\"1.0\"?>\n<A x=\"1\">t</A>\n",
            "<A/>",
            "<A x=\"1\"/>",
            " {\"a\": [1]}\n",
        ] {
            assert!(whole(document), "{document}");
        }
        for document in [
            "",
            "text",
            "<A><b>i-1",
            "<A><b>i-1</b>",
            "<A><b/>",
            "<A></B>",
            "<?xml?>",
            "<A>",
            "</A>",
            "{\"a\": [1]",
            "{",
            "{}}",
        ] {
            assert!(!whole(document), "{document}");
        }
    }
}
