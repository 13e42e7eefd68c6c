//! Where a call of the SDK failed: decided here, once.

use std::error::Error;
use std::time::Duration;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;
use infra_core::contracts::provider::Said;

use crate::aws::api::{ApiFailure, Reached};

/// Reads the SDK's error.
#[allow(clippy::needless_pass_by_value, reason = "map_err hands errors over by value")]
pub(super) fn failed<E>(error: SdkError<E>) -> ApiFailure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    let reached = match &error {
        SdkError::ConstructionFailure(_) => Reached::Nothing,
        SdkError::DispatchFailure(dispatch) if dispatch.as_connector_error().is_some_and(never_connected) => {
            Reached::Nothing
        }
        SdkError::ServiceError(answer) => Reached::Answered(answer.raw().status().as_u16()),
        // An error answer that cannot be read is an error answer still.
        SdkError::ResponseError(answer) if !answer.raw().status().is_success() => {
            Reached::Answered(answer.raw().status().as_u16())
        }
        SdkError::ResponseError(_) => Reached::Unreadable,
        _ => Reached::Maybe,
    };
    let raw = error.raw_response();
    let body = raw.and_then(|raw| raw.body().bytes()).map(String::from_utf8_lossy).unwrap_or_default();
    // AWS wraps its errors in three ways, and the SDK reads one per service. The words are the same in all.
    let said = |sdk: Option<&str>, names: &[&str]| {
        let own = || names.iter().find_map(|name| element(&body, name));
        sdk.or_else(|| own().filter(|_| matches!(reached, Reached::Answered(_)))).map(ToOwned::to_owned)
    };
    let code = said(error.code(), &["Code"]).unwrap_or_else(|| transport_code(reached).to_owned());
    let message = said(error.message(), &["Message"]).unwrap_or_else(|| chain(&error));
    let request_id = said(error.request_id(), &["RequestID", "RequestId"]);
    let header = raw.and_then(|raw| raw.headers().get("retry-after"));
    let retry_after = header.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    ApiFailure { reached, said: Said { code, message, request_id }, retry_after }
}

/// The text of the first element of this name that holds nothing but text.
fn element<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    let (text, rest) = rest.split_once('<')?;
    (rest.starts_with(&format!("/{name}>")) && !text.is_empty()).then_some(text)
}

/// A word of ours where EC2 said nothing. An error answer without a code keeps an empty one: the table must see that
/// it was not EC2 who spoke.
const fn transport_code(reached: Reached) -> &'static str {
    match reached {
        Reached::Nothing => "not-connected",
        Reached::Maybe => "no-answer",
        Reached::Unreadable => "unreadable-answer",
        Reached::Answered(_) => "",
    }
}

/// A success that lacks what it must have.
pub(super) fn lacking(field: &str) -> ApiFailure {
    let said = Said {
        code: "unreadable-answer".to_owned(),
        message: format!("the answer has no {field}"),
        request_id: None,
    };
    ApiFailure { reached: Reached::Unreadable, said, retry_after: None }
}

/// Did it fail while connecting (name, refusal, TLS, connect timeout)? Then nothing of the request can have left.
fn never_connected(error: &aws_sdk_ec2::error::ConnectorError) -> bool {
    let connecting = |error: &(dyn Error + 'static)| {
        error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect())
    };
    causes(error).any(connecting)
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

/// The causes in one line. Their `Display` only: `Debug` of an SDK error prints whole bodies.
fn chain(error: &(dyn Error + 'static)) -> String {
    causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::element;

    #[test]
    fn an_errors_words_are_read_in_every_wrapping() {
        for document in [
            "<Response><Errors><Error><Code>Busy</Code></Error></Errors><RequestID>r</RequestID></Response>",
            "<ErrorResponse><Error><Type>Sender</Type><Code>Busy</Code></Error></ErrorResponse>",
        ] {
            assert_eq!(element(document, "Code"), Some("Busy"));
        }
        for document in
            ["", "<Code>", "<Code></Code>", "<Code>Busy", "<Code><b>Busy</b></Code>", "<html>Code</html>"]
        {
            assert_eq!(element(document, "Code"), None, "{document}");
        }
    }
}
